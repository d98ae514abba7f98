"""The workloads of bench/ side by side with hand-written SQL: ``make bench``, or ``python bench/run.py --help``.

Every rival does the same work on the same server: the same rows, table and indexes, in one transaction. Before each load its table is made
anew (rows in the same order, indexes, VACUUM ANALYZE, CHECKPOINT). A round runs every rival once; from round to round the order is
reversed. A ratio is taken within a round, so that a slow minute of the machine hits both sides; the median of the rounds counts. After each
load the table is compared with what the others made of it. Ratios count, not seconds.

The server is that of EMATIX_BENCH_DSN (a database of its own: the schemas bench, hand and product are dropped), else a new one with
default settings, of each PostgreSQL found (or --servers).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from workloads import WORKLOADS, Workload, source_sql  # noqa: E402

#: What tests/fix_db.py turns down for speed, as a server has it by default.
DEFAULTS = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB", "max_prepared_transactions=0")
SHOWN = ("work_mem", "hash_mem_multiplier", "shared_buffers", "max_wal_size", "fsync", "synchronous_commit", "full_page_writes", "jit")
PRODUCT = "ematix-flow"


@dataclass
class Bench:
    """One server, and what both sides need to run on it."""

    dsn: str
    raw: psycopg.Connection[Any]
    indexes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    connection: Any = None

    def sql(self, text: str) -> list[tuple[Any, ...]]:
        cursor = self.raw.execute(text)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []

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

    def reset(self, workload: Workload, table: str) -> None:
        """The table as it is before the load."""
        indexes = self.indexes.setdefault(table, self.indexes_of(table))
        for drop, _ in indexes:
            self.sql(drop)
        self.sql(f"TRUNCATE {table}")
        self.sql(f"INSERT INTO {table} {workload.before.format(table=table)}")
        for _, make in indexes:
            self.sql(make)
        self.sql(f"VACUUM ANALYZE {table}")
        self.sql("CHECKPOINT")

    def result(self, workload: Workload, table: str) -> tuple[Any, ...]:
        """Count and order-free checksum of what the load made."""
        return self.sql(f"SELECT count(*), sum(hashtextextended(ROW({workload.compared})::text, 0)::numeric) FROM {table}")[0]


@dataclass(frozen=True)
class Rival:
    """One side: where it loads to, and how."""

    name: str
    table: str
    run: Callable[[], object]


def psql_rival(bench: Bench, workload: Workload, name: str) -> Rival:
    """The statements of a file, run by psql; the start of psql counts (about 10 ms)."""
    file = HERE / "hand" / f"{name}.sql"
    psql = shutil.which("psql") or sys.exit("psql is needed: install the client programs of PostgreSQL")

    def run() -> None:
        subprocess.run((psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", bench.dsn, "-f", str(file)), check=True)

    return Rival(f"psql {name}", f"hand.{workload.table}", run)


def product_rival(bench: Bench, workload: Workload) -> Rival:
    """``pipeline.sync`` on an open connection."""
    import tables

    from ematix_flow import pipeline
    from ematix_flow.source import Source

    target = tables.TABLES[workload.table]

    def load(query: str) -> object:
        return pipeline.sync(
            target=target,
            source=Source(connection=bench.connection, query=query),
            target_connection=bench.connection,
            mode=workload.mode,
            pipeline_name=f"bench_{workload.name}",
        )

    load(f"{workload.source} WHERE false")  # makes the table, with the indexes and checks that the mode has
    return Rival(PRODUCT, f"product.{workload.table}", lambda: load(workload.source))


def measure(bench: Bench, workload: Workload, rivals: list[Rival], rounds: int) -> list[dict[str, float]]:
    """Seconds of each rival, round by round."""
    found = []
    for number in range(rounds):
        seconds, results = {}, {}
        for rival in rivals if number % 2 == 0 else rivals[::-1]:
            bench.reset(workload, rival.table)
            begin = time.perf_counter()
            rival.run()
            seconds[rival.name] = time.perf_counter() - begin
            results[rival.name] = bench.result(workload, rival.table)
        if len(set(results.values())) > 1:
            sys.exit(f"{workload.name}: the results differ: {results}")
        print(f"  round {number + 1}: " + ", ".join(f"{name} {took:.2f} s" for name, took in sorted(seconds.items())), file=sys.stderr)
        found.append(seconds)
    return found


def table(workload: Workload, rivals: list[Rival], found: list[dict[str, float]]) -> Iterator[str]:
    """The lines of a workload: seconds, and the ratio of the package to each other rival."""
    for rival in rivals:
        seconds = statistics.median(row[rival.name] for row in found)
        line = f"{workload.name:8} {rival.name:18} {seconds:8.2f} s"
        if rival.name != PRODUCT and any(other.name == PRODUCT for other in rivals):
            ratios = [row[PRODUCT] / row[rival.name] for row in found]
            limit = workload.rivals[rival.name.removeprefix("psql ")]
            line += f"   ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            if limit is not None:
                line += f"   at most {limit:.2f}: {'yes' if statistics.median(ratios) <= limit else 'NO'}"
        yield line


def run(dsn: str, arguments: argparse.Namespace) -> None:
    """All chosen workloads on one server."""
    with psycopg.connect(dsn, autocommit=True) as raw:
        bench = Bench(dsn, raw)
        bench.sql("SET TimeZone = 'UTC'")
        print(bench.sql("SELECT version()")[0][0])
        print(", ".join(f"{name}={bench.sql(f'SHOW {name}')[0][0]}" for name in SHOWN))
        print(f"{arguments.rows:,} rows, snapshot in {arguments.order} order, {arguments.rounds} rounds, {os.cpu_count()} cores\n")
        bench.sql(source_sql(arguments.rows, arguments.order))
        bench.sql("VACUUM ANALYZE bench.base")
        bench.sql("VACUUM ANALYZE bench.snapshot")
        if not arguments.rivals_only:
            from ematix_flow import _core

            bench.connection = _core.connect(dsn)
        for workload in WORKLOADS:
            if workload.name not in arguments.workloads:
                continue
            bench.indexes.clear()
            bench.sql("DROP SCHEMA IF EXISTS hand, product CASCADE; CREATE SCHEMA hand; CREATE SCHEMA product")
            sides = [psql_rival(bench, workload, name) for name in workload.rivals]
            if arguments.rivals_only:
                bench.sql(f"CREATE TABLE hand.{workload.table} ({workload.columns})")
                for index in workload.indexes:
                    bench.sql(index.format(table=f"hand.{workload.table}"))
            else:
                sides.append(product_rival(bench, workload))
                bench.sql(f"CREATE TABLE hand.{workload.table} (LIKE product.{workload.table} INCLUDING ALL)")
            for line in table(workload, sides, measure(bench, workload, sides, arguments.rounds)):
                print(line)
            print(flush=True)
        bench.sql("DROP SCHEMA IF EXISTS bench, hand, product CASCADE")


@contextlib.contextmanager
def servers(wanted: str) -> Iterator[Iterator[str]]:
    """The DSNs to run on, one after the other; each server lives while its DSN is in use."""
    from tests.fix_db import Cluster, installed_servers

    def each() -> Iterator[str]:
        found = installed_servers()
        chosen = [int(part) for part in wanted.split(",")] if wanted else sorted(found)
        for major in chosen:
            if major not in found:
                sys.exit(f"there is no PostgreSQL {major} here, only {sorted(found)}")
            with Cluster(found[major], *DEFAULTS) as server:
                yield server.dsn("postgres")

    yield each()


def main() -> int:
    """Read the command line and run."""
    names = [workload.name for workload in WORKLOADS]
    parser = argparse.ArgumentParser(prog="bench/run.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=names, help=f"which of: {', '.join(names)} (all)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the first load (1,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every workload (5)")
    parser.add_argument("--order", choices=("natural", "shuffled"), default="natural", help="physical order of the snapshot")
    parser.add_argument("--servers", default="", help="major versions of PostgreSQL, such as 15,18 (all that are found)")
    parser.add_argument("--rivals-only", action="store_true", help="the hand-written SQL alone, without the package")
    arguments = parser.parse_args()
    if unknown := set(arguments.workloads) - set(names):
        parser.error(f"unknown workload {', '.join(sorted(unknown))}")
    if dsn := os.environ.get("EMATIX_BENCH_DSN"):
        run(dsn, arguments)
        return 0
    with servers(arguments.servers) as dsns:
        for dsn in dsns:
            run(dsn, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
