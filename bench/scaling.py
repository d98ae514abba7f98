"""Does the cost of a historised row stay the same from 150,000 keys to 3,000,000?"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import measuring
import rivals
from workloads import WORKLOADS, base_sql, source_sql

if TYPE_CHECKING:
    import argparse

    from server import Bench

KEYS = (150_000, 500_000, 1_000_000, 3_000_000)
#: How much dearer a row of the largest may be than one of the smallest.
LIMIT = 1.5


def run(bench: Bench, arguments: argparse.Namespace) -> None:
    """The scd2 snapshot with 5 % changed, at each size; --rows is of no account here."""
    workload = next(one for one in WORKLOADS if one.name == "scd2")
    per_row: dict[str, list[float]] = {}
    for keys in KEYS:
        bench.make_sources(base_sql(keys))
        bench.make_sources(source_sql(keys, arguments.order, workload.changed))
        ((rows,),) = bench.sql(f"SELECT count(*) FROM {workload.source}")
        bench.begin()
        sides = [] if arguments.rivals_only else [rivals.product_rival(bench, workload, "same_db")]
        rivals.make_hand_table(bench, workload, sides)
        sides.append(rivals.psql_rival(bench, workload, "same_db", "scd2"))
        found = measuring.measure(bench, sides, arguments.rounds)
        for side in sides:
            seconds = statistics.median(row[side.name].seconds for row in found)
            peak = max(row[side.name].took.rss for row in found) / 1024
            per_row.setdefault(side.name, []).append(seconds / rows * 1e6)
            growth = per_row[side.name][-1] / per_row[side.name][0]
            cost = f"{seconds:7.2f} s  {peak:5.0f} MiB  {seconds / rows * 1e6:5.2f} us a row, {growth:.2f} of the smallest"
            line = f"scaling {keys:>9,} keys  {side.name:12} {cost}"
            if keys == KEYS[-1] and side.name == rivals.PRODUCT:
                line += f"   at most {LIMIT:.2f}: {'yes' if growth <= LIMIT else 'NO'}"
            print(line, flush=True)
    print(flush=True)
