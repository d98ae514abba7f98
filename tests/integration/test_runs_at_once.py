"""Two ``flow run`` of one pipeline at the same moment: the state is that of one after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
from typing import Annotated
from ematix_flow import ematix, pk
from ematix_flow.types import BigInt, Text

@ematix.table(schema="warehouse")
class Customers:
    id: Annotated[BigInt, pk()]
    name: Text

@ematix.pipeline(target=Customers, mode="{mode}", schedule=None)
def customers(conn):
    return "SELECT id, name FROM public.source"
"""

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"


@pytest.mark.parametrize(("mode", "versions"), [("merge", 2), ("scd2", 3)])
def test_two_runs_at_once(mode: str, versions: int, dsn: str, psql: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pipelines.py").write_text(MODULE.format(mode=mode))
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    command = [sys.executable, "-m", "ematix_flow.cli", "run", "--module", "pipelines", "customers"]
    with psycopg.connect(dsn) as gate, psycopg.connect(dsn, autocommit=True) as watcher:
        gate.execute("CREATE TABLE public.source (id bigint, name text)")
        gate.execute("INSERT INTO public.source VALUES (1, 'Ada'), (2, 'Grace')")
        gate.commit()
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        # One run gets as far as the source, which is locked; the other waits for the target.
        gate.execute("UPDATE public.source SET name = 'Edsger' WHERE id = 2")
        gate.execute("LOCK TABLE public.source IN ACCESS EXCLUSIVE MODE")
        runs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        while watcher.execute(WAITING).fetchone() != (2,):
            assert [run.poll() for run in runs] == [None, None]
        gate.commit()
        outputs = [run.communicate() for run in runs]
    assert [(run.returncode, error) for run, (_, error) in zip(runs, outputs, strict=True)] == [(0, ""), (0, "")]
    changed = sorted(result["rows_inserted"] + result.get("rows_updated", 0) for result in (json.loads(out) for out, _ in outputs))
    assert changed == [0, 1]
    current = " WHERE is_current" if mode == "scd2" else ""
    assert psql(f"SELECT id, name FROM warehouse.customers{current} ORDER BY id") == [(1, "Ada"), (2, "Edsger")]
    assert psql("SELECT count(*) FROM warehouse.customers") == [(versions,)]
    assert psql("SELECT status, count(*) FROM ematix_flow.run_history GROUP BY 1") == [("success", 3)]
