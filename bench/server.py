"""The servers that the workloads run on, and the tables there."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What tests/fix_db.py turns down for speed, as a server has it by default.
DEFAULTS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB", "max_prepared_transactions=0")
SCHEMAS = "hand, product, dbt, dlt, dlt_staging"
SOURCE_DATABASE = "ematix_bench_source"


@dataclass
class Bench:
    """One server: the database that is loaded into, and a second one that rows are relayed from."""

    dsn: str
    source_dsn: str
    raw: psycopg.Connection[Any]
    #: None where no workload relays.
    source: psycopg.Connection[Any] | None
    indexes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        cursor = self.raw.execute(text)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

    def begin(self) -> None:
        """Empty schemas for the next workload."""
        self.indexes.clear()
        self.sql(f"DROP SCHEMA IF EXISTS {SCHEMAS} CASCADE; CREATE SCHEMA hand; CREATE SCHEMA product")

    def make_sources(self, text: str) -> None:
        """Makes tables of the schema ``bench``, alike in both databases."""
        for raw in (self.raw, self.source):
            if raw is not None:
                raw.execute(text)  # type: ignore[call-overload]
                for (name,) in raw.execute(
                    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = 'bench'"
                ).fetchall():
                    raw.execute(f"VACUUM ANALYZE {name}")

    def set_work_mem(self, value: str | None) -> None:
        """For the sessions that begin from now on; None: as the server has it."""
        name = self.raw.info.dbname
        self.sql(f'ALTER DATABASE "{name}" ' + (f"SET work_mem = '{value}'" if value else "RESET work_mem"))

    def indexes_of(self, table: str) -> list[tuple[str, str]]:
        """How to drop and how to make each index of a table, constraints included."""
        return [
            (drop, make)
            for drop, make in self.sql(
                f"""SELECT CASE WHEN c.oid IS NULL THEN format('DROP INDEX %s', i.indexrelid::regclass)
                                ELSE format('ALTER TABLE {table} DROP CONSTRAINT %I', c.conname) END,
                           CASE WHEN c.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
                                ELSE format('ALTER TABLE {table} ADD CONSTRAINT %I %s', c.conname, pg_get_constraintdef(c.oid)) END
                    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')
                    WHERE i.indrelid = '{table}'::regclass ORDER BY i.indisprimary DESC, i.indexrelid"""
            )
        ]

    def reset(self, table: str, before: str) -> None:
        """The table as it is before the load: the rows of a query, indexes, VACUUM ANALYZE, CHECKPOINT."""
        indexes = self.indexes.setdefault(table, self.indexes_of(table))
        for drop, _ in indexes:
            self.sql(drop)
        self.sql(f"TRUNCATE {table}")
        self.sql(f"INSERT INTO {table} {before}")
        for _, make in indexes:
            self.sql(make)
        self.sql(f"VACUUM ANALYZE {table}")
        self.sql("CHECKPOINT")

    def checksum(self, table: str, columns: str, where: str = "true") -> tuple[Any, ...]:
        """How many rows there are, and the count and order-free checksum of some of them."""
        return self.sql(
            f"SELECT count(*), count(*) FILTER (WHERE {where}), sum(hashtextextended(ROW({columns})::text, 0)::numeric) FILTER (WHERE {where}) FROM {table}"
        )[0]


@contextlib.contextmanager
def bench(dsn: str, *, relay: bool) -> Iterator[Bench]:
    """The database of a DSN; where rows are relayed a second one is made beside it, and dropped at the end."""
    with psycopg.connect(dsn, autocommit=True) as raw:
        raw.execute("SET TimeZone = 'UTC'")
        source_dsn = urlunsplit(urlsplit(dsn)._replace(path=f"/{SOURCE_DATABASE}"))
        if not relay:
            yield Bench(dsn, source_dsn, raw, None)
            return
        raw.execute(f"DROP DATABASE IF EXISTS {SOURCE_DATABASE}")
        raw.execute(f"CREATE DATABASE {SOURCE_DATABASE}")
        try:
            with psycopg.connect(source_dsn, autocommit=True) as source:
                yield Bench(dsn, source_dsn, raw, source)
        finally:
            raw.execute(f"DROP DATABASE {SOURCE_DATABASE} WITH (FORCE)")


def servers(wanted: str) -> Iterator[str]:
    """The DSNs to run on, one after the other; each server lives while its DSN is in use."""
    from tests.fix_db import Cluster, installed_servers

    found = installed_servers()
    for major in [int(part) for part in wanted.split(",")] if wanted else sorted(found):
        if major not in found:
            sys.exit(f"there is no PostgreSQL {major} here, only {sorted(found)}")
        with Cluster(found[major], *DEFAULTS) as server:
            yield server.dsn("postgres")
