"""What is measured: a table of 8 mixed columns, a first load of it, a full snapshot of it, and a delta."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = """
  id bigint NOT NULL, name varchar(60) NOT NULL, city text, amount numeric(12,2) NOT NULL,
  qty integer NOT NULL, ratio double precision, day date NOT NULL, seen timestamptz NOT NULL"""
LOADED = "_loaded_at timestamptz NOT NULL, _batch_id uuid NOT NULL"
VALIDITY = "valid_from timestamptz NOT NULL, valid_to timestamptz, is_current boolean NOT NULL, row_hash bytea NOT NULL"
NAMES = "id, name, city, amount, qty, ratio, day, seen"
BATCH = "'00000000-0000-4000-8000-000000000001'::uuid"
#: Rows of the table for one row of a delta: 20,000 of 1,000,000.
DELTA = 50


def base_sql(rows: int) -> str:
    """The rows of the first load: ``bench.base``."""
    return f"""
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
CREATE TABLE bench.base ({COLUMNS});
INSERT INTO bench.base
SELECT i, 'customer ' || i, CASE WHEN i % 17 > 0 THEN 'city of ' || i * 7919 % 5003 END, i * 104729 % 10000000 / 100.0, i * 31 % 1000,
       sqrt(i), date '2020-01-01' + (i % 1500)::integer, timestamptz '2024-01-01 00:00Z' + i * 37 % 31536000 * interval '1 second'
FROM generate_series(1, {rows}::bigint) i;
"""


def source_sql(rows: int, order: str, changed: int) -> str:
    """The later loads, ``changed`` % of whose stored rows differ.

    ``bench.snapshot`` has every row and 2 % more; ``bench.delta`` a fiftieth of the rows, spread over the table, a tenth of them new. Where
    nothing is changed nothing is new either. ``order`` is the physical order: ``natural`` (new rows last) or ``shuffled``.
    """
    new = rows // DELTA if changed else 0
    stored = rows // DELTA - new // 10
    differs = f"id % 20 < {changed // 5}"

    def table(name: str, where: str, new: int) -> str:
        return f"""
DROP TABLE IF EXISTS bench.{name};
CREATE TABLE bench.{name} ({COLUMNS});
INSERT INTO bench.{name}
SELECT id, CASE WHEN {differs} THEN name || ' x' ELSE name END, CASE WHEN NOT ({differs} AND id % 3 = 0) THEN city END,
       CASE WHEN {differs} AND id % 2 = 0 THEN amount + 1 ELSE amount END, qty, ratio, day, seen
FROM bench.base WHERE {where}
UNION ALL
SELECT i, 'customer ' || i, 'new', 1.5, 2, 3.5, date '2025-01-01', timestamptz '2025-01-01 00:00Z'
FROM generate_series({rows + 1}, {rows + new}::bigint) i
ORDER BY {"1" if order == "natural" else "5, 6"};
"""

    return table("snapshot", "true", new) + table("delta", f"id * 7919 % {rows} < {stored}", new // 10)


@dataclass(frozen=True)
class Workload:
    """One load: the table it goes into, what that holds before, the rows that come, and what the result must be."""

    name: str
    mode: str
    table: str
    source: str
    #: Files of ``hand/`` -> the ratio that the package must not exceed against it; None: shown for comparison.
    rivals: dict[str, float | None]
    #: What % of the stored rows differ where --changed does not say.
    changed: int = 5

    @property
    def query(self) -> str:
        return f"SELECT {NAMES} FROM {self.source}"

    @property
    def shape(self) -> Shape:
        return SHAPES[self.table]


@dataclass(frozen=True)
class Shape:
    """A table of the workloads."""

    #: Columns and indexes where the engine does not make it (--rivals-only).
    columns: str
    indexes: tuple[str, ...]
    #: What it holds before a load that is no first one.
    before: str
    #: What two loads of the same rows have in common: everything but the run's id and time.
    compared: str
    #: Which rows are those of now.
    current: str


SHAPES = {
    "orders": Shape(
        columns=f"{COLUMNS}, {LOADED}",
        indexes=("ALTER TABLE {table} ADD PRIMARY KEY (id)",),
        before=f"SELECT {NAMES}, timestamptz '2026-01-01 00:00Z', {BATCH} FROM bench.base",
        compared=f"{NAMES}, _batch_id <> {BATCH}",
        current="true",
    ),
    "orders_history": Shape(
        columns=f"{COLUMNS}, {VALIDITY}, {LOADED}, CHECK (valid_from < valid_to)",
        indexes=(
            "ALTER TABLE {table} ADD PRIMARY KEY (id, valid_from)",
            "CREATE UNIQUE INDEX ON {table} (id) NULLS NOT DISTINCT WHERE is_current",
        ),
        before=(
            f"SELECT {NAMES}, timestamptz '2026-01-01 00:00Z', NULL, true, sha256(convert_to(id::text, 'UTF8')),"
            f" timestamptz '2026-01-01 00:00Z', {BATCH} FROM bench.base"
        ),
        compared=f"{NAMES}, is_current, row_hash, valid_to IS NULL, _batch_id <> {BATCH}",
        current="is_current",
    ),
}

WORKLOADS = (
    Workload("append", "append", "orders", "bench.base", {"append": 1.10}),
    Workload("merge", "merge", "orders", "bench.snapshot", {"merge": 1.15, "merge_tuned": None}),
    Workload("scd2", "scd2", "orders_history", "bench.snapshot", {"scd2": 1.15, "scd2_tuned": None}),
    Workload("merge_delta", "merge", "orders", "bench.delta", {"merge_conflict": 1.25, "merge": None}, changed=100),
    Workload("scd2_delta", "scd2", "orders_history", "bench.delta", {"scd2": 1.15, "scd2_index": None}, changed=100),
)
