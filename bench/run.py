"""The workloads of bench/ side by side with their rivals: ``make bench``, or ``python bench/run.py --help``.

Every hand-written rival does the same work on the same server: the same rows, table and indexes, in one transaction. Before each load its
table is made anew (rows in the same order, indexes, VACUUM ANALYZE, CHECKPOINT). A round runs every rival once; from round to round the order
is reversed. A ratio is taken within a round, so that a slow minute of the machine hits both sides; the median of the rounds counts. After
each load the table is compared with what the others made of it. Ratios count, not seconds.

The server is that of EMATIX_BENCH_DSN (a database of its own: the schemas bench, hand, product, dbt and dlt are dropped, and with the path
relay the database ematix_bench_source), else a new one with default settings, of each PostgreSQL found (or --servers).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import measuring  # noqa: E402
import peers  # noqa: E402
import rivals  # noqa: E402
import scaling  # noqa: E402
import server  # noqa: E402
import unchanged  # noqa: E402
from workloads import WORKLOADS, Workload, base_sql, source_sql  # noqa: E402

SHOWN = ("hash_mem_multiplier", "shared_buffers", "max_wal_size", "fsync", "synchronous_commit", "full_page_writes", "jit")
OTHERS = {"scaling": scaling.run, "unchanged": unchanged.run}


def run(dsn: str, arguments: argparse.Namespace) -> None:
    """All chosen workloads on one server."""
    with server.bench(dsn, relay="relay" in arguments.paths) as bench, contextlib.ExitStack() as cleanup:
        cleanup.callback(bench.sql, f"DROP SCHEMA IF EXISTS bench, {server.SCHEMAS} CASCADE")
        cleanup.callback(bench.set_work_mem, None)
        print(bench.sql("SELECT version()")[0][0])
        print(", ".join(f"{name}={bench.sql(f'SHOW {name}')[0][0]}" for name in SHOWN))
        print(f"{arguments.rows:,} rows, sources in {arguments.order} order, {arguments.rounds} rounds, {os.cpu_count()} cores\n")
        chosen = [workload for workload in WORKLOADS if workload.name in arguments.workloads]
        if chosen:
            bench.make_sources(base_sql(arguments.rows))
        for workload in chosen:
            for changed in [0] if workload.mode == "append" else arguments.changed or [workload.changed]:
                bench.make_sources(source_sql(arguments.rows, arguments.order, changed))
                for path in ["same_db"] if workload.mode == "append" else arguments.paths:
                    for work_mem in arguments.work_mem:
                        bench.set_work_mem(work_mem)
                        title = f"{workload.name} {path} {work_mem}" + (f" {changed} %" if workload.mode != "append" else "")
                        one(bench, workload, path, title, arguments)
        bench.set_work_mem(arguments.work_mem[0])
        for name, other in OTHERS.items():
            if name in arguments.workloads:
                other(bench, arguments)


def one(bench: server.Bench, workload: Workload, path: str, title: str, arguments: argparse.Namespace) -> None:
    """One workload in one setting."""
    bench.begin()
    sides = [] if arguments.rivals_only else [rivals.product_rival(bench, workload, path)]
    rivals.make_hand_table(bench, workload, sides)
    sides += [rivals.psql_rival(bench, workload, path, name) for name in workload.rivals]
    with peers.rivals(bench, workload, path, arguments.peers) as others:
        sides += others
        for line in measuring.lines(title, sides, measuring.measure(bench, sides, arguments.rounds)):
            print(line)
    print(flush=True)


def main() -> int:
    """Read the command line and run."""
    names = [workload.name for workload in WORKLOADS] + list(OTHERS)
    parser = argparse.ArgumentParser(prog="bench/run.py", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("workloads", nargs="*", default=names, help=f"which of: {', '.join(names)} (all)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the first load (1,000,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of every workload (5)")
    parser.add_argument("--order", choices=("natural", "shuffled"), default="natural", help="physical order of the sources")
    parser.add_argument(
        "--changed", type=numbers, default=[], help="%% of stored rows that differ, such as 0,5,100 (snapshot 5, delta 100)"
    )
    parser.add_argument("--paths", type=words, default=["same_db"], help="same_db, relay or both (same_db)")
    parser.add_argument("--work-mem", type=words, default=["4MB"], help="of the server, such as 4MB,256MB (4MB)")
    parser.add_argument("--servers", default="", help="major versions of PostgreSQL, such as 15,18 (all that are found)")
    parser.add_argument("--peers", type=words, default=["dlt", "dbt"], help="dlt, dbt or none, from the venv of `make bench-peers` (both)")
    parser.add_argument("--rivals-only", action="store_true", help="the rivals alone, without the package")
    arguments = parser.parse_args()
    for given, known in ((arguments.workloads, names), (arguments.paths, ["same_db", "relay"]), (arguments.peers, ["dlt", "dbt", "none"])):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if any(changed % 5 or not 0 <= changed <= 100 for changed in arguments.changed):
        parser.error("--changed takes multiples of 5 up to 100")
    given_dsn = os.environ.get("EMATIX_BENCH_DSN")
    for dsn in [given_dsn] if given_dsn else server.servers(arguments.servers):
        run(dsn, arguments)
    return 0


def words(text: str) -> list[str]:
    return text.split(",")


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
