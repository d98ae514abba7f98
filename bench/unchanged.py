"""Does a load that changes nothing write nothing? Row versions of the target, and the write-ahead log of the whole, idle server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import rivals
from workloads import WORKLOADS, base_sql, source_sql

if TYPE_CHECKING:
    import argparse

    from server import Bench

#: Bytes of write-ahead log: catalog rows of temporary tables, the run history.
LIMIT = 1_000_000


def run(bench: Bench, arguments: argparse.Namespace) -> None:
    """Every merge and scd2 workload on each path, with sources that equal the table."""
    if arguments.rivals_only:
        return
    bench.make_sources(base_sql(arguments.rows))
    bench.make_sources(source_sql(arguments.rows, arguments.order, 0))
    for workload in WORKLOADS:
        for path in arguments.paths if workload.mode != "append" else []:
            bench.begin()
            side = rivals.product_rival(bench, workload, path)
            bench.reset(side.table, side.before)
            side.run()  # what the first run of all makes is not counted
            bench.reset(side.table, side.before)
            versions, log = versions_of(bench, side.table), log_position(bench)
            side.run()
            wrote = log_position(bench) - log
            if versions_of(bench, side.table) != versions:
                sys.exit(f"{workload.name} {path}: a load without changes wrote row versions")
            print(
                f"unchanged {workload.name} {path}: no row version; {wrote / 1000:,.0f} kB of log   at most 1 MB: {'yes' if wrote < LIMIT else 'NO'}"
            )
    print(flush=True)


def versions_of(bench: Bench, table: str) -> tuple[Any, ...]:
    """Where every row version is and who wrote or locked it, and the size of the table: an insert that was undone again counts too."""
    return bench.sql(f"SELECT sum(hashtextextended(ROW(ctid, xmin, xmax)::text, 0)::numeric), pg_relation_size('{table}') FROM {table}")[0]


def log_position(bench: Bench) -> int:
    return int(bench.sql("SELECT pg_current_wal_insert_lsn() - pg_lsn '0/0'")[0][0])
