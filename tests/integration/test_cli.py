"""The ``flow`` command against a server, in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def flow(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str, typed: str = "", cwd: Path = tmp_path) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "ematix_flow.cli", *words], input=typed, capture_output=True, text=True, cwd=cwd, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_new_project_runs_at_once(flow: Any, dsn: str, psql: Any, tmp_path: Path) -> None:
    assert flow("init", "my-project", "--dsn", dsn)[0] == 0
    project = tmp_path / "my-project"
    status, out, err = flow("connections", "check", "default", cwd=project)
    assert (status, err) == (0, "")
    assert out.startswith("default: ok (postgresql://")
    status, out, err = flow("run", "--module", "pipelines", "customers", cwd=project)
    assert (status, err) == (0, "")
    assert json.loads(out)["rows_inserted"] == 3
    assert json.loads(flow("run", "--module", "pipelines", "customers", cwd=project)[1])["rows_unchanged"] == 3
    assert psql("SELECT name, balance FROM warehouse.customers ORDER BY customer_id") == [
        ("Ada", Decimal("120.50")),
        ("Edgar", Decimal("80.00")),
        ("Grace", Decimal("4012.99")),
    ]


def test_connections_are_set_listed_and_checked(flow: Any, home: Path, server: Any, dsn: str) -> None:
    path = home / ".ematix-flow" / "connections.toml"
    assert flow("connections", "set", "my warehouse=-", typed=dsn + "\n") == (0, f"my warehouse: written to {path}\n", "")
    assert flow("connections", "set", "gone=postgresql://u:canary-word@127.0.0.1:1/d")[0] == 0
    assert path.stat().st_mode & 0o777 == 0o600
    status, out, err = flow("connections", "list")
    assert (status, err) == (0, "")
    assert [line.split("  ")[0] for line in out.splitlines()] == ["gone", "my warehouse"]
    status, out, err = flow("connections", "check")
    assert status == 2
    assert out.startswith("my warehouse: ok (")
    assert err.startswith("error: gone: unreachable — ")
    assert "127.0.0.1" in err
    assert flow("connections", "check", "nope")[0] == 2
    for secret in filter(None, ("canary-word", server.password)):
        assert secret not in out + err


@pytest.mark.parametrize("words", [("list",), ("check",)])
def test_an_entry_that_cannot_be_used_is_told(flow: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    path = tmp_path / ".ematix-flow.toml"
    path.write_text(
        '[connections]\ndefault = "postgresql://u:canary-word@h/d"\n[connections.dwh]\nurl = "postgresql://u:canary-word@h/d"\n'
    )
    path.chmod(0o600)
    status, out, err = flow("connections", *words)
    first, second, *_ = err.splitlines()
    assert status == (0 if words == ("list",) else 2)
    assert first.startswith(f"warning: In the connection file {path}, `connections.default` is not a table. An entry is written as")
    assert second.startswith(f"warning: In the connection file {path}, [connections.dwh] has no dsn. ")
    assert "canary-word" not in out + err
    assert "[connections.dwh] has no dsn" in flow("connections", "check", "dwh")[2]


def test_a_failed_load_is_one_message(flow: Any, dsn: str, tmp_path: Path) -> None:
    flow("init", "--dsn", dsn)
    module = tmp_path / "pipelines.py"
    module.write_text(module.read_text().replace("(2, 'Edgar', ", "(1, 'Edgar', "))
    status, out, err = flow("run", "--module", "pipelines", "customers")
    assert (status, out) == (1, "")
    message, hint = err.splitlines()
    assert message == "error: The source of warehouse.customers has a key (customer_id) more than once: 1 (2 rows). Nothing was written."
    assert hint.startswith("hint: ")
    assert "Edgar" not in err


SLEEPS = """
from ematix_flow import config, pipeline

@pipeline.register(name="sleeps", schedule=None)
def sleeps():
    with config.connect() as conn:
        print("connected", flush=True)
        conn.execute("SELECT pg_sleep(60)")
"""


def test_ctrl_c_stops_the_statement(dsn: str, psql: Any, tmp_path: Path) -> None:
    (tmp_path / "sleeping.py").write_text(SLEEPS)
    with subprocess.Popen(
        [sys.executable, "-m", "ematix_flow.cli", "run", "--module", "sleeping", "sleeps"],
        cwd=tmp_path,
        env={**os.environ, "EMATIX_FLOW_DSN": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "connected\n"
        running = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()"
        )
        while not psql.value(running):
            assert started.poll() is None
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=10)
    assert (started.returncode, out, err) == (130, "", "interrupted\n")
    assert psql.value(running) == 0
