"""``Connection.history`` and ``doctor`` on a standby, which sees no locks of the runs that go on elsewhere."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import Source, _core, ematix, pipeline, pk
from ematix_flow.types import Integer, Text
from tests.fix_db import Cluster, Server

if TYPE_CHECKING:
    from pathlib import Path

RUN = "11111111-0000-4000-8000-000000000000"


def becomes_standby(server: Server) -> None:
    """Restart the server in recovery: it follows nobody, and lets everybody read."""
    assert server.folder is not None
    assert server.bin is not None
    data: Path = server.folder / "data"
    owner = data.stat()
    signal = data / "standby.signal"
    signal.touch()
    copied = server.folder / "site/package/install/bin"
    program = [
        str((copied if copied.exists() else server.bin) / "pg_ctl"),
        "restart",
        "-s",
        "-w",
        "-D",
        str(data),
        "-l",
        str(data / "server.log"),
    ]
    if os.geteuid() == 0:
        os.chown(signal, owner.st_uid, owner.st_gid)
        program = ["setpriv", "--reuid", str(owner.st_uid), "--regid", str(owner.st_gid), "--clear-groups", *program]
    subprocess.run(program, check=True, cwd="/")


def test_a_standby_takes_no_run_for_lost(server: Server) -> None:
    if server.bin is None:
        pytest.skip("the programs of the given server are not known")

    @ematix.table(schema="h")
    class Seen:
        id: Annotated[Integer, pk()]
        name: Text

    with Cluster(server.bin) as own:
        with _core.connect(own.dsn("postgres")) as conn:
            source = Source(connection=conn, query="SELECT 1 AS id, 'a' AS name")
            pipeline.sync(target=Seen, source=source, target_connection=conn, mode="scd2")
            conn.execute(
                f"UPDATE ematix_flow.run_history SET run_id = '{RUN}', status = 'running', started_at = now() - interval '1 hour', finished_at = NULL"
            )
            conn.execute(f"UPDATE h.seen SET _batch_id = '{RUN}'")
        becomes_standby(own)
        with _core.connect(own.dsn("postgres")) as conn:
            runs: Any = conn.history("h.seen")
            assert [run["status"] for run in runs] == ["running"]
            assert runs.notes == ["This is a standby, which cannot tell whether the runs that are still running are alive."]
            assert [version["run_id"] for version in conn.history("h.seen", 1)] == [RUN]
            assert conn.doctor("h.seen").healthy
