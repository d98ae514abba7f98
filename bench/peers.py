"""Other packages that load tables, each in a process of its own: dlt and dbt, from the venv of ``make bench-peers``.

They do less than the hand-written side: dlt replaces every row of a known key and looks for no difference, and commits more than once; dbt
looks for repeated keys in neither. Compared are the rows of now. A load is a whole command: imports, reading of the project, own state. The
command says how long the call itself took, so that both can be seen.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from rivals import Rival, Took, finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server import Bench
    from workloads import Workload

LOADS = Path(__file__).resolve().parent / "peer_loads"
VENV = Path(__file__).resolve().parent.parent / ".cache" / "bench-peers"
CURRENT = {"dlt": {"merge": "true", "scd2": "_dlt_valid_to IS NULL"}, "dbt": {"merge": "true", "scd2": "dbt_valid_to IS NULL"}}


@contextlib.contextmanager
def rivals(bench: Bench, workload: Workload, path: str, wanted: list[str]) -> Iterator[list[Rival]]:
    """Those of the packages that can do the workload; the rows of before are loaded by themselves."""
    chosen = [name for name in ("dlt", "dbt") if name in wanted and workload.mode in CURRENT[name] and (name, path) != ("dbt", "relay")]
    if chosen and not (VENV / "bin" / "python").exists():
        print(f"({' and '.join(chosen)}: not installed, so left out; `make bench-peers` installs them)")
        chosen = []
    with tempfile.TemporaryDirectory(prefix="bench-peers-") as folder:
        yield [rival(bench, workload, path, name, folder) for name in chosen]


def rival(bench: Bench, workload: Workload, path: str, name: str, folder: str) -> Rival:
    load = {"dlt": dlt, "dbt": dbt}[name](bench, workload, path, folder)
    load("bench.base")
    kept, table = f"bench.before_{name}", f"{name}.{workload.table}"
    bench.sql(f"DROP TABLE IF EXISTS {kept}")
    bench.sql(f"CREATE TABLE {kept} AS TABLE {table}")
    return Rival(f"{name} {workload.mode}", table, f"TABLE {kept}", CURRENT[name][workload.mode], "", lambda: load(workload.source))


def dlt(bench: Bench, workload: Workload, path: str, folder: str) -> Callable[[str], Took]:
    source = bench.source_dsn if path == "relay" else bench.dsn

    def load(table: str) -> Took:
        settings = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR", "BENCH_SOURCE_DSN": source, "BENCH_DSN": bench.dsn}
        return command("dlt_load.py", (table, workload.table, workload.mode, folder), settings)

    return load


def dbt(bench: Bench, workload: Workload, path: str, folder: str) -> Callable[[str], Took]:
    parts = urlsplit(bench.dsn)
    server = {
        "PGHOST": parts.hostname or "localhost",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }

    def load(table: str) -> Took:
        return command(
            "dbt_load.py", (workload.table,), server | {"BENCH_SOURCE": table, "DBT_TARGET_PATH": folder, "DBT_LOG_PATH": folder}
        )

    return load


def command(script: str, arguments: tuple[str, ...], environment: dict[str, str]) -> Took:
    """Runs a file of peer_loads/; its last line says how long its call took."""
    with tempfile.TemporaryFile("w+") as output:  # no pipe: nobody reads while the process runs
        rss = finish(subprocess.Popen((VENV / "bin" / "python", LOADS / script, *arguments), env=os.environ | environment, stdout=output))
        output.seek(0)
        return Took(rss, float(output.read().splitlines()[-1]))
