"""Rounds of loads, and what is said of them."""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rivals import PRODUCT
from workloads import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivals import Rival, Took
    from server import Bench


@dataclass(frozen=True)
class Sample:
    """One load of one side."""

    seconds: float
    took: Took


def measure(bench: Bench, sides: list[Rival], rounds: int) -> list[dict[str, Sample]]:
    """Every side, round by round."""
    found = []
    for number in range(rounds):
        samples, full, current = {}, set(), set()
        for side in sides if number % 2 == 0 else sides[::-1]:
            bench.reset(side.table, side.before)
            begin = time.perf_counter()
            took = side.run()
            samples[side.name] = Sample(time.perf_counter() - begin - took.start, took)
            if side.compared:
                full.add(bench.checksum(side.table, side.compared))
            current.add(bench.checksum(side.table, NAMES, side.current))
        if len(full) > 1 or len(current) > 1:
            sys.exit(f"the results differ: {full or current}")
        print(
            f"  round {number + 1}: " + ", ".join(f"{name} {one.seconds:.2f} s" for name, one in sorted(samples.items())), file=sys.stderr
        )
        found.append(samples)
    return found


def lines(title: str, sides: list[Rival], found: list[dict[str, Sample]]) -> Iterator[str]:
    """The lines of a workload: seconds, memory of the client, and the ratio of the package to each other side."""
    for side in sides:
        seconds = statistics.median(row[side.name].seconds for row in found)
        line = f"{title:34} {side.name:20} {seconds:8.2f} s  {max(row[side.name].took.rss for row in found) / 1024:5.0f} MiB"
        if side.name != PRODUCT and PRODUCT in found[0]:
            line += ratio([row[PRODUCT].seconds / row[side.name].seconds for row in found], side.limit)
        calls = [(row[side.name].took.call, row[PRODUCT].seconds) for row in found if PRODUCT in row]
        if known := [(call, product) for call, product in calls if call is not None]:
            line += f"   its call alone {statistics.median(call for call, _ in known):.2f} s:{ratio([product / call for call, product in known], None)}"
        yield line


def ratio(values: list[float], limit: float | None) -> str:
    text = f"   ratio {statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"
    return text if limit is None else f"{text}   at most {limit:.2f}: {'yes' if statistics.median(values) <= limit else 'NO'}"
