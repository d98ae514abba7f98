"""``flow run-due --claim``: ticks that are taken once, however many ask."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MODULE = """
from ematix_flow import config, pipeline

def fired(name, answer):
    @pipeline.register(name=name, schedule="*/10 * * * *")
    def run():
        config.connect("dwh").execute(f"INSERT INTO public.fired VALUES ('{name}')")
        return 1 / answer

fired("one", 1)
fired("two", 0)
"""


@pytest.fixture
def start(tmp_path: Path, dsn: str, psql: Any) -> Callable[..., subprocess.Popen[str]]:
    (tmp_path / "claims_module.py").write_text(MODULE)
    psql("CREATE TABLE public.fired (name text)")

    def run_due(now: str, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "ematix_flow.cli", "run-due", "--module", "claims_module", "--now", now, *words]
        environment = {**os.environ, "EMATIX_FLOW_DSN_DWH": dsn}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run_due


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate()
    return process.returncode, out, err


def times(psql: Any) -> dict[str, int]:
    return dict(psql("SELECT name, count(*) FROM public.fired GROUP BY name"))


def test_of_hosts_that_call_at_once_one_fires_and_a_failure_keeps_its_tick(start: Any, psql: Any) -> None:
    processes = [start(f"2026-01-05T03:00:{second:02}Z", "--claim", "dwh") for second in (0, 5, 30, 59)]
    answers = [finish(process) for process in processes]
    assert times(psql) == {"one": 1, "two": 1}
    documents = [json.loads(out) for _, out, _ in answers]
    assert sum(len(document["ran"]) for document in documents) == 1
    assert [entry for document in documents for entry in document["failed"]] == [{"pipeline": "two", "error": "division by zero"}]
    assert sorted(status for status, _, _ in answers) == [0, 0, 0, 1]
    assert psql("SELECT pipeline_name, tick = '2026-01-05 03:00Z', pid > 0 FROM ematix_flow.ticks ORDER BY 1") == [
        ("one", True, True),
        ("two", True, True),
    ]


def test_missed_ticks_collapse_into_one_and_are_told(start: Any, psql: Any) -> None:
    assert finish(start("2026-01-05T03:00:00Z", "--claim", "dwh"))[0] == 1
    err = finish(start("2026-01-05T07:05:00Z", "--claim", "dwh", "--interval", "86400"))[2]
    assert "missed: one: one run stands for all ticks since the last one\nfiring: one\n" in err
    assert times(psql) == {"one": 2, "two": 2}
    assert "missed" not in finish(start("2026-01-05T07:11:00Z", "--claim", "dwh", "--interval", "86400"))[2]
    assert times(psql) == {"one": 3, "two": 3}
    assert finish(start("2026-01-05T07:12:00Z", "--claim", "dwh", "--interval", "86400")) == (0, '{"ran": [], "failed": []}\n', "")


def test_without_claims_nothing_is_remembered(start: Any, psql: Any) -> None:
    for second in (0, 59):
        assert finish(start(f"2026-01-05T03:00:{second:02}Z"))[0] == 1
    assert times(psql) == {"one": 2, "two": 2}
    assert psql("SELECT to_regclass('ematix_flow.ticks')") == [(None,)]
