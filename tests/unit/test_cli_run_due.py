"""``flow run-due`` and how ``flow list`` marks schedules."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from ematix_flow import pipeline
from ematix_flow.cli import main

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import datetime, decimal
from ematix_flow import pipeline

def declare(name, schedule, fn):
    pipeline.register(name=name, schedule=schedule)(fn)

def fails():
    raise RuntimeError("the source is gone")

def prints():
    print("a word")
    return {"rows": decimal.Decimal("1.50"), ("a", 1): datetime.date(2026, 1, 5)}

declare("zoned", "CRON_TZ=Europe/Berlin 0 4 * * *", prints)
declare("fails", "0 3 * * *", fails)
declare("wrong", "0 3 * * 8", prints)
declare("number", "* * * * *", lambda: 7)
declare("missing", "0 3 * * *", lambda: {}["key"])
declare("leaves", "0 3 * * *", lambda: exit(1))
declare("busy", "0 3 * * *", lambda: {"status": "skipped"})
declare("later", "0 4 * * *", prints)
declare("by_hand", None, prints)

def hinted():
    raise __import__("ematix_flow").DuplicateKeys("3 rows share a key:\\n  1, 2, 3\\nNothing was written.", hint="Fix the query.")

declare("hinted", "0 5 * * *", hinted)
declare("several", "0 5 * * *", lambda: {"results": {"w.t": {"status": "success"}}, "errors": {"w.u": "It is gone.\\nFetch it.", "w.v": "No."}})
"""
PROBLEM = 'The schedule "0 3 * * 8" is not a cron expression: at character 9, day of week: 8 is not from 0 to 7.'


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "due_module.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "due_module", raising=False)
    return "due_module"


def flow(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    return status, *capsys.readouterr()


def test_what_is_due_runs_in_order_and_failures_stop_nothing(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = flow(capsys, "run-due", "--module", module, "--now", "2026-01-05T03:00:20Z")
    assert status == 1
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "ran": [
            {"rows": "1.50", "('a', 1)": "2026-01-05", "_pipeline": "zoned"},
            {"result": 7, "_pipeline": "number"},
            {"status": "skipped", "_pipeline": "busy"},
        ],
        "failed": [
            {"pipeline": "fails", "error": "the source is gone"},
            {"pipeline": "wrong", "error": PROBLEM},
            {"pipeline": "missing", "error": "KeyError: 'key'"},
            {"pipeline": "leaves", "error": "SystemExit: 1"},
        ],
    }
    assert err.splitlines() == [
        "firing: zoned",
        "a word",
        "firing: fails",
        "failed: fails: the source is gone",
        f"failed: wrong: {PROBLEM}",
        "firing: number",
        "firing: missing",
        "failed: missing: KeyError: 'key'",
        "firing: leaves",
        "failed: leaves: SystemExit: 1",
        "firing: busy",
    ]


def test_each_failure_is_told_once_with_its_hint(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--module", module]) == 0
    capsys.readouterr()
    del pipeline._REGISTRY["wrong"], pipeline._REGISTRY["number"]
    status, out, err = flow(capsys, "run-due", "--module", module, "--now", "2026-01-05T05:00:00Z")
    results = {"results": {"w.t": {"status": "success"}}, "errors": {"w.u": "It is gone.\nFetch it.", "w.v": "No."}}
    assert (status, json.loads(out)) == (
        1,
        {
            "ran": [{**results, "_pipeline": "several"}],
            "failed": [
                {"pipeline": "hinted", "error": "3 rows share a key:\n  1, 2, 3\nNothing was written.\nFix the query."},
                {"pipeline": "several", "target": "w.u", "error": "It is gone.\nFetch it."},
                {"pipeline": "several", "target": "w.v", "error": "No."},
            ],
        },
    )
    assert err == (
        "firing: hinted\nfailed: hinted: 3 rows share a key:\n  1, 2, 3\nNothing was written.\nhint: Fix the query.\n"
        "firing: several\nfailed: several: w.u: It is gone.\nhint: Fetch it.\nfailed: several: w.v: No.\n"
    )


def test_nothing_due(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--module", module]) == 0
    del pipeline._REGISTRY["wrong"]
    capsys.readouterr()
    assert flow(capsys, "run-due", "--module", module, "--now", "2026-01-05T03:00:20", "--interval", "20") == (
        0,
        '{"ran": [], "failed": []}\n',
        "",
    )


def test_the_present_is_the_default(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever time it is, ``* * * * *`` fires in the last minute."""
    assert '{"result": 7, "_pipeline": "number"}' in flow(capsys, "run-due", "--module", module)[1]


@pytest.mark.parametrize("now", ["2026-01-05T03:00:00", "2026-01-05T04:00:00+01:00", "20260105T030000Z", "2026-01-05 03:00"])
def test_spellings_of_now(module: str, capsys: pytest.CaptureFixture[str], now: str) -> None:
    assert "firing: busy\n" in flow(capsys, "run-due", "--module", module, "--now", now)[2]


def test_unreadable_now(capsys: pytest.CaptureFixture[str]) -> None:
    assert flow(capsys, "run-due", "--module", "x", "--now", "noon") == (
        2,
        "",
        "error: --now: 'noon' is not a time in ISO 8601\nhint: For example: 2026-01-05T03:00:00Z. Without an offset it is UTC.\n",
    )


@pytest.mark.parametrize("interval", ["-1", "1.5", "", "x", "1_0"])
def test_an_interval_is_whole_seconds(interval: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["run-due", "--module", "x", f"--interval={interval}"])
    assert left.value.code == 2
    assert "is not a whole number of seconds" in capsys.readouterr().err


def test_a_module_that_cannot_be_imported(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = flow(capsys, "run-due", "--module", "nowhere_to_be_found")
    assert (status, out) == (2, "")
    assert err.startswith("error: cannot import the module 'nowhere_to_be_found'")


def test_claims_in_an_unknown_connection_run_nothing(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = flow(capsys, "run-due", "--module", module, "--claim", "nope", "--now", "2026-01-05T03:00:00Z")
    assert (status, out) == (2, "")
    assert err.startswith("error: Nothing was run. --claim nope: There is no connection")
    assert "firing" not in err


def test_list_marks_a_bad_schedule(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = flow(capsys, "list", "--module", module)
    assert (status, err) == (0, f"warning: wrong: {PROBLEM}\n")
    assert [line for line in out.splitlines() if "bad" in line] == ["wrong    pipeline  0 3 * * 8  (bad schedule)"]
    assert "by_hand  pipeline  (unscheduled)\n" in out
    status, out, err = flow(capsys, "list", "--module", module, "--format", "json")
    assert (status, err) == (0, f"warning: wrong: {PROBLEM}\n")
    assert {"name": "wrong", "kind": "pipeline", "schedule": "0 3 * * 8"} in json.loads(out)
