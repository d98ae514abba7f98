"""The ``flow`` command without a server: what is printed where, and the exit status."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import config
from ematix_flow.cli import _command, main
from ematix_flow.cli._command import Command, Group
from ematix_flow.cli._main import commands

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine

MODULE = """
from ematix_flow import pipeline

@pipeline.register(name="nightly", schedule="0 3 * * *")
def nightly():
    return {"status": "success", "rows_inserted": 2, "at": __import__("datetime").date(2026, 1, 5), ("a", 1): None}

@pipeline.register(name="by_hand", schedule=None)
def by_hand():
    return 7

@pipeline.register(name="fails", schedule=None)
def fails():
    raise ValueError("the source is gone")

@pipeline.register(name="breaks", schedule=None)
def breaks():
    return {}["missing"]

@pipeline.register(name="busy", schedule=None)
def busy():
    return {"status": "skipped"}

@pipeline.register(name="stopped", schedule=None)
def stopped():
    raise KeyboardInterrupt

@pipeline.register(name="hinted", schedule=None)
def hinted():
    from ematix_flow import DuplicateKeys
    raise DuplicateKeys("3 rows share a key. Nothing was written.", hint="Fix the query.")

@pipeline.register(name="wrong", schedule=None)
def wrong():
    return 1 // 0
"""


SEVERAL = """
from ematix_flow import pipeline

LOADED = {"status": "success", "path": "same_db", "run_id": "r-1", "rows_inserted": 1200}
SKIPPED = {"status": "skipped", "run_id": "r-2"}

def declare(name, result):
    pipeline.register(name=name, schedule=None)(lambda: result)

declare("one", LOADED)
declare("skipped", SKIPPED)
declare("two", {"w.a": LOADED, "w.b": LOADED})
declare("one_skipped", {"w.a": LOADED, "w.b": SKIPPED})
declare("one_failed", {"results": {"w.a": LOADED}, "errors": {"w.b": "The table is gone.\\nMake it again.", "w.c": "No."}})
declare("all_failed", {"results": {}, "errors": {"w.b": "No."}})
declare("nothing", None)
declare("other", {"rows": 3, "results": 1})
"""


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = "several_" + re.sub(r"\W", "_", str(tmp_path))
    (tmp_path / f"{name}.py").write_text(SEVERAL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return name


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of pipelines in the current directory; its name is new each time."""
    name = "pipelines_" + re.sub(r"\W", "_", str(tmp_path))
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    return name


@pytest.fixture
def flow(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        return (status, *capsys.readouterr())

    return run


def test_list_is_padded_and_sorted(flow: Any, module: str) -> None:
    assert flow("list", "--module", module) == (
        0,
        (
            "breaks   pipeline  (unscheduled)\n"
            "busy     pipeline  (unscheduled)\n"
            "by_hand  pipeline  (unscheduled)\n"
            "fails    pipeline  (unscheduled)\n"
            "hinted   pipeline  (unscheduled)\n"
            "nightly  pipeline  0 3 * * *\n"
            "stopped  pipeline  (unscheduled)\n"
            "wrong    pipeline  (unscheduled)\n"
        ),
        "",
    )


def test_list_as_json(flow: Any, module: str) -> None:
    status, out, err = flow("list", "--format", "json", "--module", module)
    assert (status, err) == (0, "")
    assert json.loads(out)[5] == {"name": "nightly", "kind": "pipeline", "schedule": "0 3 * * *"}
    assert len(json.loads(out)) == 8


def test_list_of_nothing(flow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty_of_pipelines.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert flow("list", "--module", "empty_of_pipelines") == (0, "", "")
    assert flow("list", "--module", "empty_of_pipelines", "--format", "json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("name", "status", "out", "err"),
    [
        ("nightly", 0, '{"status": "success", "rows_inserted": 2, "at": "2026-01-05", "(\'a\', 1)": null}\n', ""),
        ("by_hand", 0, "7\n", ""),
        ("busy", 3, '{"status": "skipped"}\n', ""),
        ("fails", 1, "", "error: the source is gone\nhint: raised in {path}, line 14, in fails\n"),
        ("breaks", 1, "", "error: KeyError: 'missing'\nhint: raised in {path}, line 18, in breaks\n"),
        ("stopped", 130, "", "interrupted\n"),
        ("hinted", 1, "", "error: 3 rows share a key. Nothing was written.\nhint: Fix the query.\n"),
    ],
)
def test_run(flow: Any, module: str, tmp_path: Path, name: str, status: int, out: str, err: str) -> None:
    assert flow("run", name, "--module", module) == (status, out, err.format(path=tmp_path / f"{module}.py"))


def test_failure_of_the_users_code_is_placed(flow: Any, module: str, tmp_path: Path) -> None:
    assert flow("run", "--module", module, "wrong") == (
        1,
        "",
        f"error: ZeroDivisionError: integer division or modulo by zero\nhint: raised in {tmp_path / module}.py, line 35, in wrong\n",
    )


@pytest.mark.parametrize(
    ("name", "status", "out", "err"),
    [
        ("one", 0, "success: 1,200 inserted (same_db, run r-1)\n", ""),
        ("skipped", 3, "skipped (run r-2)\n", ""),
        ("two", 0, "w.a: success: 1,200 inserted (same_db, run r-1)\nw.b: success: 1,200 inserted (same_db, run r-1)\n", ""),
        ("one_skipped", 3, "w.a: success: 1,200 inserted (same_db, run r-1)\nw.b: skipped (run r-2)\n", ""),
        (
            "one_failed",
            1,
            "w.a: success: 1,200 inserted (same_db, run r-1)\n",
            "error: w.b: The table is gone.\nhint: Make it again.\nerror: w.c: No.\n",
        ),
        ("all_failed", 1, "", "error: w.b: No.\n"),
        ("nothing", 0, "null\n", ""),
        ("other", 0, '{"rows": 3, "results": 1}\n', ""),
    ],
)
def test_results_for_people(flow: Any, several: str, name: str, status: int, out: str, err: str) -> None:
    assert flow("run", "--module", several, name, "--format", "text") == (status, out, err)


def test_results_of_several_targets_for_programs(flow: Any, several: str) -> None:
    status, out, err = flow("run", "--module", several, "one_failed")
    assert (status, err) == (1, "error: w.b: The table is gone.\nhint: Make it again.\nerror: w.c: No.\n")
    assert out.count("\n") == 1
    assert json.loads(out) == {
        "results": {"w.a": {"status": "success", "path": "same_db", "run_id": "r-1", "rows_inserted": 1200}},
        "errors": {"w.b": "The table is gone.\nMake it again.", "w.c": "No."},
    }
    assert flow("run", "--module", several, "one_skipped")[0] == 3


def test_a_terminal_gets_text_and_a_pipe_gets_json(flow: Any, several: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ematix_flow.cli import _result

    assert flow("run", "--module", several, "skipped") == (3, '{"status": "skipped", "run_id": "r-2"}\n', "")
    monkeypatch.setattr(_result, "sys", types.SimpleNamespace(stdout=types.SimpleNamespace(isatty=lambda: True)))
    assert flow("run", "--module", several, "skipped") == (3, "skipped (run r-2)\n", "")
    assert flow("run", "--module", several, "skipped", "--format", "json") == (3, '{"status": "skipped", "run_id": "r-2"}\n', "")


def test_options_of_a_run_hold_for_its_loads(flow: Any, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    path = Path(f"{module}.py")
    path.write_text(
        "from ematix_flow import pipeline, _progress\n@pipeline.register(name='asked', schedule=None)\ndef asked():\n    return repr(_progress._told)\n"
    )
    for options in ((), ("--progress", "none", "--on-busy", "fail")):
        seen.append(flow("run", "--module", module, "asked", *options))
    assert seen == [
        (0, "\"Told(progress=None, on_busy=None, otherwise='auto')\"\n", ""),
        (0, "\"Told(progress='none', on_busy='fail', otherwise='auto')\"\n", ""),
    ]


def test_run_of_an_unknown_name(flow: Any, module: str) -> None:
    assert flow("run", "--module", module, "nope") == (
        2,
        "",
        f"error: no pipeline named 'nope'\nhint: {module} declares breaks, busy, by_hand, fails, hinted, nightly, stopped, wrong.\n",
    )


@pytest.mark.parametrize(
    ("name", "source", "message", "hint"),
    [
        (
            "nowhere_to_be_found",
            None,
            "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
            "There is no nowhere_to_be_found.py or package nowhere_to_be_found in the current directory, nor is it installed.",
        ),
        (
            "./broken_module.py",
            "",
            "TypeError: the 'package' argument is required to perform a relative import for './broken_module.py'",
            "--module takes a dotted name, not a path: --module broken_module",
        ),
        (
            "broken_module",
            "import nothing_of_the_kind",
            "ModuleNotFoundError: No module named 'nothing_of_the_kind'",
            "raised in {path}, line 1",
        ),
        ("broken_module", "\n1 // 0", "ZeroDivisionError: integer division or modulo by zero", "raised in {path}, line 2"),
        (
            "broken_module",
            "def f():\n    1 // 0\nf()",
            "ZeroDivisionError: integer division or modulo by zero",
            "raised in {path}, line 2, in f",
        ),
        (
            "broken_module",
            "from ematix_flow import ematix\n\n@ematix.pipeline(target=1, schedule=None)\ndef f(conn): ...",
            "TypeError: target is a table class (@ematix.table or a subclass of ManagedTable), not an object of type int.",
            "raised in {path}, line 3",
        ),
        ("broken_module", "def", "SyntaxError: invalid syntax ({path}, line 1)", ""),
        ("broken_module", "raise SystemExit(0)", "SystemExit: 0", "raised in {path}, line 1"),
    ],
)
def test_module_that_cannot_be_imported(
    flow: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: str | None, message: str, hint: str
) -> None:
    path = tmp_path / "broken_module.py"
    if source is not None:
        path.write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "broken_module", raising=False)
    expected = f"error: cannot import the module {name!r}: {message.format(path=path)}\n" + (
        f"hint: {hint.format(path=path)}\n" if hint else ""
    )
    assert flow("list", "--module", name) == (2, "", expected)


def test_connections_list(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "list_connections", lambda: {"a": "postgresql://u:***@h/d", "warehouse": "***"})
    assert flow("connections", "list") == (0, "a          postgresql://u:***@h/d\nwarehouse  ***\n", "")


def test_no_connections(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "list_connections", dict)
    assert flow("connections", "list") == (0, "no connections are configured; set one with: flow connections set default=-\n", "")
    assert flow("connections", "check") == (
        2,
        "",
        "error: no connections are configured\nhint: Set one with: flow connections set default=-\n",
    )


def test_connections_check(flow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "list_connections", lambda: {"a": "", "b": ""})
    monkeypatch.setattr(config, "check_connection", lambda name: (name == "a", "postgresql://h/d" if name == "a" else "h:5432 refuses"))
    assert flow("connections", "check") == (2, "a: ok (postgresql://h/d)\n", "error: b: unreachable — h:5432 refuses\n")
    assert flow("connections", "check", "a") == (0, "a: ok (postgresql://h/d)\n", "")


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("h:5432 refuses\nStart it.", "b: unreachable — h:5432 refuses\nhint: Start it.\n"),
        ('There is no connection "b". Searched:\n  1. here\nSet it.', 'There is no connection "b". Searched:\n  1. here\nhint: Set it.\n'),
        ("h refuses:\n  1. here", "b: unreachable — h refuses:\n  1. here\n"),
    ],
)
def test_a_connection_that_fails_its_check_comes_with_a_hint(flow: Any, monkeypatch: pytest.MonkeyPatch, reason: str, shown: str) -> None:
    monkeypatch.setattr(config, "check_connection", lambda name: (False, reason))
    assert flow("connections", "check", "b") == (2, "", f"error: {shown}")


@pytest.mark.parametrize(
    ("dsn", "warned"),
    [
        ("mysql://u:canary@h/d", True),
        ("host=h password=canary", True),
        ("postgres://u:canary@h/d", False),
        ("embedded://dwh", False),
        ("${DWH}", False),
        ("mysql${X}://canary", False),
    ],
)
def test_a_dsn_of_another_kind_is_stored_and_warned_of(flow: Any, engine: Engine, dsn: str, warned: bool) -> None:
    engine.answers["set_connection"] = "file"
    status, out, err = flow("connections", "set", f"dwh={dsn}")
    assert (status, out) == (0, "dwh: written to file\n")
    assert err.startswith("warning: dwh cannot be used to connect: a DSN is written postgresql://") if warned else err == ""
    assert "canary" not in err


@pytest.mark.parametrize(
    ("assignment", "typed", "written"),
    [
        ("dwh=postgresql://u:p=1@h/d?sslmode=require", "", ("dwh", "postgresql://u:p=1@h/d?sslmode=require")),
        ("dwh=-", "postgresql://u:p@h/d\nmore\n", ("dwh", "postgresql://u:p@h/d")),
    ],
)
def test_connections_set(
    flow: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch, assignment: str, typed: str, written: tuple[str, str]
) -> None:
    engine.answers["set_connection"] = "/home/me/.ematix-flow/connections.toml"
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert flow("connections", "set", assignment) == (0, "dwh: written to /home/me/.ematix-flow/connections.toml\n", "")
    assert engine.asked("set_connection") == [{"name": written[0], "dsn": written[1]}]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("postgresql://u:secret@h/d", "the argument has no '='"),
        ("=postgresql://u:secret@h/d", "the name is empty"),
        ("dwh=", "the DSN is empty"),
        ("dwh=-", "the DSN is empty"),
    ],
)
def test_malformed_assignment(flow: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch, assignment: str, message: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert flow("connections", "set", assignment) == (
        2,
        "",
        f"error: {message}\nhint: The form is NAME=DSN, or NAME=- to read the DSN from standard input.\n",
    )
    assert engine.messages == []


@pytest.mark.parametrize("words", [[], ["nope"], ["run"], ["connections"], ["run-due"], ["list", "--module", "x", "--format", "xml"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(words)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: flow")


def pages() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for command in commands():
        found.append((command.name,))
        if isinstance(command, Group):
            found += [(command.name, member.name) for member in command.commands]
    return found


@pytest.mark.parametrize("words", pages(), ids=" ".join)
def test_every_page_of_help_has_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    out, err = capsys.readouterr()
    assert (left.value.code, err) == (0, "")
    text, example, _ = re.split(rf"(\nexamples?:\n  flow {' '.join(words)})", out, maxsplit=1)
    assert example
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in out


def test_commands_keep_to_the_protocol() -> None:
    for command in commands():
        for one in command.commands if isinstance(command, Group) else (command,):
            assert isinstance(one, Command)
            assert one.help
            assert one.help[0].islower() or one.help[0].isdigit()
            assert not one.help.endswith(".")
            assert all(line.startswith("flow ") for line in one.example.splitlines())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert (left.value.code, capsys.readouterr().out) == (0, "ematix-flow 0.1.0\n")


def test_as_a_module(module: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ematix_flow.cli", "run", "--module", module, "fails"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"error: the source is gone\nhint: raised in {tmp_path / module}.py, line 14, in fails\n",
    )


def test_reader_that_goes_away(module: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "ematix_flow.cli", "list", "--module", module], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stderr is not None
        started.stdout.close()
        assert (started.stderr.read(), started.wait()) == ("", 141)


def test_every_exit_status_is_documented() -> None:
    """The table of docs/cli.md has the constants, all of them and with their numbers."""
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    documented = dict(re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", text, re.MULTILINE))
    assert documented == {str(value): name for name, value in vars(_command).items() if name.isupper() and type(value) is int}
