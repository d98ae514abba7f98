"""The sides of a workload: the package, the statements of an expert, other packages."""

from __future__ import annotations

import contextlib
import glob
import os
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from server import Bench
    from workloads import Workload

HERE = Path(__file__).resolve().parent
PRODUCT = "ematix-flow"


@dataclass(frozen=True)
class Took:
    """What a side says of its load."""

    #: Peak resident memory of the client's processes, KiB.
    rss: int
    #: Seconds of the load without the start of a process, where the side knows it.
    call: float | None = None
    #: Seconds that are not the load's: taken off.
    start: float = 0.0


@dataclass(frozen=True)
class Rival:
    """One side: where it loads to, and how."""

    name: str
    table: str
    #: A query of the rows that the table holds before the load.
    before: str
    #: Which rows of the table are those of now.
    current: str
    #: What its result has in common with that of others of the same kind; empty: only what every side has, the current rows.
    compared: str
    run: Callable[[], Took]
    #: The ratio that the package must not exceed against it; None: shown for comparison.
    limit: float | None = None


#: Seconds between two looks at the memory of a process; what it takes in its very last moment is not seen.
LOOK = 0.02


def finish(*processes: subprocess.Popen[Any]) -> int:
    """Waits for processes; the peak memory of all together in KiB.

    What wait4 says of a child begins with the memory of its parent, which is more than psql ever has: so the peak is asked for while it runs.
    """
    peaks = dict.fromkeys(processes, 0)
    if hasattr(os, "pidfd_open"):
        running = {os.pidfd_open(process.pid): process for process in processes}
        while running:
            for process in running.values():
                peaks[process] = max(peaks[process], peak_memory(process.pid))
            for ended in select.select(running, (), (), LOOK)[0]:
                del running[ended]
                os.close(ended)
    for process in processes:
        process.wait()
    for process in processes:
        if process.returncode != 0:
            sys.exit("a rival failed: see above")  # its arguments may hold a password
    return sum(peaks.values())


def program() -> str:
    """The real psql: the one that Debian puts into PATH is a script that starts it, and costs as much as a small load."""
    found = shutil.which("psql") or sys.exit("psql is needed: install the client programs of PostgreSQL")
    if Path(found).resolve().name != "pg_wrapper":
        return found
    return max(glob.glob("/usr/lib/postgresql/*/bin/psql"), default=found)


def psql(dsn: str, *arguments: str, **pipes: Any) -> subprocess.Popen[Any]:
    return subprocess.Popen((program(), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", dsn, *arguments), **pipes)


def start_of_psql(dsn: str) -> float:
    """Seconds that psql takes to start, connect and end: the package has its connection already, so they are taken off."""
    taken = []
    for _ in range(9):
        begin = time.perf_counter()
        finish(psql(dsn, "-c", ""))
        taken.append(time.perf_counter() - begin)
    return min(taken)


def psql_rival(bench: Bench, workload: Workload, path: str, name: str) -> Rival:
    """The statements of a file, run by psql; on the path relay a second psql, which starts
    at the same time, pipes the rows to it."""
    relay = path == "relay"
    arguments = ("-v", f"source={workload.source}", "-v", f"relay={int(relay)}", "-f", str(HERE / "hand" / f"{name}.sql"))

    start = start_of_psql(bench.dsn)

    def run() -> Took:
        if not relay:
            return Took(finish(psql(bench.dsn, *arguments)), start=start)
        reader = psql(bench.source_dsn, "-c", f"COPY ({workload.query}) TO STDOUT (FORMAT binary)", stdout=subprocess.PIPE)
        writer = psql(bench.dsn, *arguments, stdin=reader.stdout)
        assert reader.stdout is not None
        reader.stdout.close()  # the writer has it now
        return Took(finish(writer, reader), start=start)

    shape = workload.shape
    before = shape.before if workload.mode != "append" else f"SELECT * FROM hand.{workload.table} WHERE false"
    return Rival(f"psql {name}", f"hand.{workload.table}", before, shape.current, shape.compared, run, workload.rivals[name])


def product_rival(bench: Bench, workload: Workload, path: str) -> Rival:
    """``pipeline.sync`` in this process, on open connections."""
    import tables

    from ematix_flow import _core, pipeline
    from ematix_flow.source import Source

    target = tables.TABLES[workload.table]
    connection = _core.connect(bench.dsn)  # after work_mem was set: sessions have what it was when they began
    source = _core.connect(bench.source_dsn) if path == "relay" else connection

    def load(query: str) -> Took:
        forget_peak_memory()
        pipeline.sync(
            target=target,
            source=Source(connection=source, query=query),
            target_connection=connection,
            mode=workload.mode,
            pipeline_name=f"bench_{workload.name}",
            force_path="cross_db" if path == "relay" else "same_db",
        )
        return Took(peak_memory())

    load(f"{workload.query} WHERE false")  # makes the table, with the indexes and checks that the mode has
    shape = workload.shape
    before = shape.before if workload.mode != "append" else f"SELECT * FROM product.{workload.table} WHERE false"
    return Rival(PRODUCT, f"product.{workload.table}", before, shape.current, shape.compared, lambda: load(workload.query))


def forget_peak_memory() -> None:
    """Lets the peak of this process begin anew; where the system cannot it is that of the whole run."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(pid: int | str = "self") -> int:
    """KiB; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return 0


def make_hand_table(bench: Bench, workload: Workload, sides: Sequence[Rival]) -> None:
    """The table of the hand-written statements: like that of the package where it takes part."""
    if any(side.name == PRODUCT for side in sides):
        bench.sql(f"CREATE TABLE hand.{workload.table} (LIKE product.{workload.table} INCLUDING ALL)")
        return
    bench.sql(f"CREATE TABLE hand.{workload.table} ({workload.shape.columns})")
    for index in workload.shape.indexes:
        bench.sql(index.format(table=f"hand.{workload.table}"))
