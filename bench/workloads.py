"""What is measured: a table of 8 mixed columns, a first load of it, and a full snapshot with 5 % of its rows changed and 2 % new."""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = """
  id bigint NOT NULL, name varchar(60) NOT NULL, city text, amount numeric(12,2) NOT NULL,
  qty integer NOT NULL, ratio double precision, day date NOT NULL, seen timestamptz NOT NULL"""
LOADED = "_loaded_at timestamptz NOT NULL, _batch_id uuid NOT NULL"
VALIDITY = "valid_from timestamptz NOT NULL, valid_to timestamptz, is_current boolean NOT NULL, row_hash bytea NOT NULL"
NAMES = "id, name, city, amount, qty, ratio, day, seen"
BATCH = "'00000000-0000-4000-8000-000000000001'::uuid"


def source_sql(rows: int, order: str) -> str:
    """The two source tables: ``bench.base`` (``rows`` rows) and ``bench.snapshot`` (2 % more, 5 % of the old ones changed).

    ``order`` is the physical order of the snapshot: ``natural`` (old rows as in base, new ones behind them) or ``shuffled``.
    """
    new = rows // 50
    sort = "id" if order == "natural" else f"id * 7919 % {rows + new + 1}, id"
    return f"""
DROP SCHEMA IF EXISTS bench CASCADE;
CREATE SCHEMA bench;
CREATE TABLE bench.base ({COLUMNS});
INSERT INTO bench.base
SELECT i, 'customer ' || i, CASE WHEN i % 17 > 0 THEN 'city of ' || i * 7919 % 5003 END, i * 104729 % 10000000 / 100.0, i * 31 % 1000,
       sqrt(i), date '2020-01-01' + (i % 1500)::integer, timestamptz '2024-01-01 00:00Z' + i * 37 % 31536000 * interval '1 second'
FROM generate_series(1, {rows}::bigint) i;
CREATE TABLE bench.snapshot ({COLUMNS});
INSERT INTO bench.snapshot
SELECT id, CASE WHEN id % 20 = 7 THEN name || ' x' ELSE name END, CASE WHEN id % 60 <> 7 THEN city END,
       CASE WHEN id % 40 = 7 THEN amount + 1 ELSE amount END, qty, ratio, day, seen
FROM (
  SELECT * FROM bench.base
  UNION ALL
  SELECT i, 'customer ' || i, 'new', 1.5, 2, 3.5, date '2025-01-01', timestamptz '2025-01-01 00:00Z'
  FROM generate_series({rows + 1}, {rows + new}::bigint) i
) rows_now
ORDER BY {sort};
"""


@dataclass(frozen=True)
class Workload:
    """One load: the table it goes into, what that holds before, the rows that come, and what the result must be."""

    name: str
    mode: str
    table: str
    #: Columns and indexes of the table where the engine does not make it (--rivals-only).
    columns: str
    indexes: tuple[str, ...]
    before: str
    source: str
    #: What two loads of the same rows have in common: everything but the run's id and time.
    compared: str
    #: Files of ``hand/`` -> the ratio that the package must not exceed against it; None: shown for comparison.
    rivals: dict[str, float | None]


WORKLOADS = (
    Workload(
        name="append",
        mode="append",
        table="orders",
        columns=f"{COLUMNS}, {LOADED}",
        indexes=("ALTER TABLE {table} ADD PRIMARY KEY (id)",),
        before="SELECT * FROM {table} WHERE false",
        source=f"SELECT {NAMES} FROM bench.base",
        compared=NAMES,
        rivals={"append": 1.10},
    ),
    Workload(
        name="merge",
        mode="merge",
        table="orders",
        columns=f"{COLUMNS}, {LOADED}",
        indexes=("ALTER TABLE {table} ADD PRIMARY KEY (id)",),
        before=f"SELECT {NAMES}, timestamptz '2026-01-01 00:00Z', {BATCH} FROM bench.base",
        source=f"SELECT {NAMES} FROM bench.snapshot",
        compared=f"{NAMES}, _batch_id <> {BATCH}",
        rivals={"merge": 1.00, "merge_tuned": None},
    ),
    Workload(
        name="scd2",
        mode="scd2",
        table="orders_history",
        columns=f"{COLUMNS}, {VALIDITY}, {LOADED}, CHECK (valid_from < valid_to)",
        indexes=(
            "ALTER TABLE {table} ADD PRIMARY KEY (id, valid_from)",
            "CREATE UNIQUE INDEX ON {table} (id) NULLS NOT DISTINCT WHERE is_current",
        ),
        before=(
            f"SELECT {NAMES}, timestamptz '2026-01-01 00:00Z', NULL, true, sha256(convert_to(id::text, 'UTF8')),"
            f" timestamptz '2026-01-01 00:00Z', {BATCH} FROM bench.base"
        ),
        source=f"SELECT {NAMES} FROM bench.snapshot",
        compared=f"{NAMES}, is_current, row_hash, valid_to IS NULL, _batch_id <> {BATCH}",
        rivals={"scd2": 1.15, "scd2_tuned": None},
    ),
)
