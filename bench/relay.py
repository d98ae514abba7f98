"""Rows of one database into a table of another, beside two ``psql`` and a pipe: ``python bench/relay.py --help``.

The pipe is the quickest there is by hand: ``COPY (query) TO STDOUT | COPY table FROM STDIN``, both binary, straight into the table. It
stages nothing, keeps no history and checks no declaration. The package appends the same rows to a table with the same index. Rounds
alternate, results are compared, and a ratio is taken within a round, as in ``bench/run.py``. ``--memory`` loads growing numbers of rows,
each in a process of its own, and shows the most memory that it has had (Linux only).

The server is new, with default settings, of each PostgreSQL found (or --servers); both databases are on it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from rivals import PRODUCT, program
from run import SHOWN
from server import servers
from workloads import COLUMNS, LOADED, NAMES, base_sql

if TYPE_CHECKING:
    from collections.abc import Callable

QUERY = f"SELECT {NAMES} FROM bench.base"
#: What the package fills in by itself, so that the pipe writes rows as wide.
FILLED = f"SELECT q.*, now(), gen_random_uuid() FROM ({QUERY}) AS q"
MEMORY_ROWS = (200_000, 2_000_000, 10_000_000)


def product(source: str, target: str) -> Callable[[], object]:
    """An append by the package, on open connections."""
    import tables

    from ematix_flow import _core, pipeline
    from ematix_flow.source import Source

    here, there = _core.connect(target), _core.connect(source)

    def load() -> object:
        return pipeline.sync(
            target=tables.Orders,
            source=Source(connection=there, query=QUERY),
            target_connection=here,
            mode="append",
            pipeline_name="bench_relay",
        )

    return load


def pipe(source: str, target: str) -> Callable[[], object]:
    """Two psql; their start counts (about 20 ms)."""
    psql = program()
    command = " | ".join(
        shlex.join((psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, "-c", statement))
        for dsn, statement in (
            (source, f"COPY ({FILLED}) TO STDOUT (FORMAT binary)"),
            (target, "COPY hand.orders FROM STDIN (FORMAT binary)"),
        )
    )
    return lambda: subprocess.run(("sh", "-c", command), check=True)


def result(raw: psycopg.Connection[Any], table: str) -> tuple[Any, ...] | None:
    """Count and order-free checksum."""
    return raw.execute(f"SELECT count(*), sum(hashtextextended(ROW({NAMES})::text, 0)::numeric) FROM {table}").fetchone()  # type: ignore[call-overload,no-any-return]


def compare(source: str, target: str, rounds: int, rivals_only: bool) -> None:
    """Rounds of both, and the ratio."""
    with psycopg.connect(target, autocommit=True) as raw, psycopg.connect(source, autocommit=True) as origin:
        raw.execute("DROP SCHEMA IF EXISTS hand, product CASCADE; CREATE SCHEMA hand; SET TimeZone = 'UTC'")
        raw.execute(f"CREATE TABLE hand.orders ({COLUMNS}, {LOADED}, PRIMARY KEY (id))")  # type: ignore[call-overload]
        origin.execute("SET TimeZone = 'UTC'")
        wanted = result(origin, "bench.base")
        sides = {"psql | psql": (pipe(source, target), "hand.orders")}
        if not rivals_only:
            load = product(source, target)
            load()  # makes the table
            sides[PRODUCT] = (load, "product.orders")
        found: dict[str, list[float]] = {name: [] for name in sides}
        for number in range(rounds):
            for name in list(sides)[:: 1 if number % 2 == 0 else -1]:
                run, table = sides[name]
                raw.execute(f"TRUNCATE {table}")  # type: ignore[call-overload]
                raw.execute("CHECKPOINT")
                begin = time.perf_counter()
                run()
                found[name].append(time.perf_counter() - begin)
                if (got := result(raw, table)) != wanted:
                    sys.exit(f"{name}: {got} arrived of {wanted}")
            print(f"  round {number + 1}: " + ", ".join(f"{name} {took[-1]:.2f} s" for name, took in found.items()), file=sys.stderr)
        for name, took in found.items():
            line = f"{name:18} {statistics.median(took):8.2f} s"
            if name == PRODUCT:
                ratios = [ours / theirs for ours, theirs in zip(took, found["psql | psql"], strict=True)]
                line += f"   ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
            print(line, flush=True)


def peak() -> float:
    """The most memory that this process has had, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("this system does not tell")


def run(dsn: str, arguments: argparse.Namespace) -> None:
    """Both databases on one server."""
    source, target = (dsn.rsplit("/", 1)[0] + "/" + name for name in ("bench_source", "bench_target"))
    with psycopg.connect(dsn, autocommit=True) as raw:
        print(raw.execute("SELECT version()").fetchone()[0])  # type: ignore[index]
        print(", ".join(f"{name}={raw.execute(f'SHOW {name}').fetchone()[0]}" for name in SHOWN))  # type: ignore[call-overload,index]
        for name in ("bench_source", "bench_target"):
            raw.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    for rows in arguments.memory or (arguments.rows,):
        with psycopg.connect(source, autocommit=True) as raw:
            raw.execute(base_sql(rows))  # type: ignore[call-overload]
            raw.execute("VACUUM ANALYZE bench.base")
        if not arguments.memory:
            print(f"{rows:,} rows, {arguments.rounds} rounds, {os.cpu_count()} cores\n")
            compare(source, target, arguments.rounds, arguments.rivals_only)
            continue
        child = subprocess.run((sys.executable, __file__, "--load", source, target), check=True, capture_output=True, text=True)
        print(f"{rows:12,} rows   {child.stdout.strip()}", flush=True)
        with psycopg.connect(target, autocommit=True) as raw:
            raw.execute("DROP SCHEMA product CASCADE")


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="bench/relay.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of a load (2,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (5)")
    parser.add_argument("--servers", default="", help="major versions of PostgreSQL, such as 15,18 (all that are found)")
    parser.add_argument("--memory", action="store_const", const=MEMORY_ROWS, help="memory for growing numbers of rows, in place of times")
    parser.add_argument("--rivals-only", action="store_true", help="the pipe alone, without the package")
    parser.add_argument("--load", nargs=2, metavar=("SOURCE", "TARGET"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        load = product(*arguments.load)
        before, begin = peak(), time.perf_counter()
        load()
        print(f"{time.perf_counter() - begin:8.2f} s   {peak():6.1f} MB at most, {before:.1f} MB before the load")
        return 0
    for dsn in servers(arguments.servers):
        run(dsn, arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
