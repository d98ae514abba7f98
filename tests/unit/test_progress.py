"""What is said while a load runs, told by hand: the clock is the test's own."""

from __future__ import annotations

import io
import logging
import sys
import types
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from rich.console import Console

from ematix_flow import _progress, ematix, pipeline, pk
from ematix_flow._progress import Told, follow, told
from ematix_flow.source import Source
from ematix_flow.types import BigInt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine

WORDS = r"^progress is 'auto', 'rich', 'log' or 'none', not 'loud'\.$"


@ematix.table(schema="w")
class Numbers:
    id: Annotated[BigInt, pk()]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def news(phase: str, rows: int = 0, bytes: int = 0, *, moved: int = 0, age: float | None = None, phases: Any = ()) -> dict[str, Any]:
    said = {"run_id": "r-1", "target": "w.numbers", "pipeline": "numbers", "phase": phase, "rows": rows, "bytes": bytes}
    if moved:
        said["moved"] = moved
    if age is not None:
        said["transaction_seconds"] = age
    if phases:
        said["phases"] = [{"phase": name, "seconds": seconds} for name, seconds in phases]
    return said


@pytest.fixture
def clock() -> Clock:
    return Clock()


def terminal(width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, legacy_windows=False, color_system=None, _environ={})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def shown(console: Console) -> list[str]:
    """The states of the live line, without what moves the cursor."""
    import re

    return [line for line in re.split(r"\x1b\[[0-9?;]*[A-Za-z]|\r|\n", written(console)) if line.strip()]


def test_a_live_line_while_rows_come(clock: Clock) -> None:
    console = terminal()
    follower = follow("auto", clock=clock, console=console)
    follower(news("lock"))
    assert written(console) == ""  # a short load does not flicker
    clock.now += 1
    follower(news("stage", age=1.0))
    clock.now += 0.05
    follower(news("stage", 500, 4_000, moved=500, age=1.05))  # sooner than the line is drawn
    clock.now += 1.95
    follower(news("stage", 20_000, 1_500_000, moved=20_000, age=3.0))
    clock.now += 60
    follower(None)
    clock.now += 1
    follower(news("find changes", 20_000, 1_500_000, age=64.0))
    assert shown(console) == [
        "w.numbers: stage, 0 s, transaction 1 s",
        "w.numbers: stage, 20,000 rows (10,000/s), 1.5 MB, transaction 3 s",
        "w.numbers: stage, 20,000 rows (323/s), 1.5 MB, transaction 1 min 03 s",
        "w.numbers: find changes, 20,000 rows, 1.5 MB, 0 s, transaction 1 min 04 s",
    ]
    before = written(console)
    follower.end("success")
    rest = written(console)[len(before) :]
    assert "\x1b[2K" in rest or "\x1b[1A" in rest  # the line goes away
    assert rest.endswith("\x1b[?25h") or "\x1b[?25h" in rest  # and the cursor is back


def test_the_live_line_is_never_wider_than_the_terminal(clock: Clock) -> None:
    console = terminal(40)
    follower = follow("rich", clock=clock, console=console)
    clock.now += 1
    follower(news("stage", 20_000, 1_500_000, moved=20_000, age=3.0))
    follower.end("success")
    assert max(map(len, shown(console))) <= 40


def test_a_second_load_at_the_same_time_has_lines_instead(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = follow("rich", clock=clock, console=terminal()), follow("rich", clock=clock, console=terminal())
    clock.now += 10
    second(news("stage", age=9.0))
    second.end("success")
    first.end("success")
    assert capsys.readouterr() == ("", "w.numbers: stage, 0 s, transaction 9 s\n")
    assert _progress._terminal.acquire(blocking=False)
    _progress._terminal.release()


@pytest.mark.parametrize("progress", ["auto", "rich", "log"])
def test_without_a_terminal_there_is_a_line_every_ten_seconds(clock: Clock, capsys: pytest.CaptureFixture[str], progress: str) -> None:
    follower = follow(progress, clock=clock)
    follower(news("lock"))
    for _ in range(25):
        clock.now += 1
        follower(news("stage", 1_000, 8_000, moved=1_000, age=0.5))
    follower.end("success")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "w.numbers: stage, 1,000 rows (111/s), 8.0 kB, transaction 0 s\nw.numbers: stage, 1,000 rows (53/s), 8.0 kB, transaction 0 s\n"
    )


def test_the_lines_go_to_the_logger_where_somebody_listens(
    clock: Clock, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ematix_flow")
    follower = follow("log", clock=clock)
    clock.now += 10
    follower(news("stage"))
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["w.numbers: stage, 0 s"]


def test_a_terminal_that_cannot_move_its_cursor_gets_lines(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    dumb = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    follower = follow("auto", clock=clock, console=dumb)
    clock.now += 10
    follower(news("stage"))
    follower.end("success")
    assert (written(dumb), capsys.readouterr().err) == ("", "w.numbers: stage, 0 s\n")


def test_none_says_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    follower = follow("none", clock=clock)
    clock.now += 1000
    follower(news("stage", 1_000_000, age=999.0))
    follower.end("success")
    assert capsys.readouterr() == ("", "")


def test_a_notebook_has_one_line_that_stays_with_the_outcome(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """IPython itself is not among the test's packages; what is used of it is its documented ``display``."""
    seen: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], *, raw: bool) -> None:
            seen.append(f"update {data['text/plain']}")

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        seen.append(f"new {data['text/plain']}")
        return Handle()

    module: Any = types.ModuleType("IPython")
    module.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    module.display = types.ModuleType("IPython.display")
    module.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", module.display)
    follower = follow("auto", clock=clock)
    clock.now += 1
    follower(news("stage", age=1.0))
    clock.now += 1
    follower(None)
    follower.end("success")
    assert seen == [
        "new w.numbers: stage, 0 s, transaction 1 s",
        "update w.numbers: stage, 1 s, transaction 2 s",
        "update w.numbers: success",
    ]
    assert capsys.readouterr() == ("", "")


def test_records_of_the_logger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "ematix_flow")
    follower = follow("none")
    follower(news("begin"))
    follower(news("stage", phases=[("begin", 0.5), ("lock", 0.25)]))
    follower(news("", phases=[("begin", 0.5), ("lock", 0.25), ("stage", 1.0)]))
    follower.end("success")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", "numbers: begin took 0.500 s (run r-1)"),
        ("DEBUG", "numbers: lock took 0.250 s (run r-1)"),
        ("DEBUG", "numbers: stage took 1.000 s (run r-1)"),
        ("INFO", "numbers: success after 1.750 s (run r-1)"),
    ]
    assert {(record.name, record.run_id, record.target) for record in caplog.records} == {("ematix_flow", "r-1", "w.numbers")}  # type: ignore[attr-defined]
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("ematix_flow").handlers)


# --- who asks for it


@pytest.fixture
def loads(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each load was asked to show."""
    engine.answers["sync"] = {"status": "success", "path": "same_db", "run_id": "r-1"}
    asked: list[str] = []
    follow = _progress.follow
    monkeypatch.setattr(_progress, "follow", lambda progress: asked.append(progress) or follow("none"))
    return asked


@pytest.mark.parametrize(
    ("declared", "options", "shown"),
    [
        ("none", Told(), "none"),
        ("log", Told(), "log"),
        ("none", Told(otherwise="auto"), "auto"),
        ("log", Told(otherwise="auto"), "log"),
        ("log", Told(progress="none", otherwise="auto"), "none"),
    ],
)
def test_the_command_line_wins(connect: Callable[[], Any], loads: list[str], declared: str, options: Told, shown: str) -> None:
    conn = connect()
    with told(options):
        pipeline.sync(target=Numbers, source=Source(conn, "SELECT 1 AS id"), target_connection=conn, progress=declared)
    assert loads == [shown]
    pipeline.sync(target=Numbers, source=Source(conn, "SELECT 1 AS id"), target_connection=conn)
    assert loads == [shown, "none"]


def test_on_busy_of_the_command_line_wins(connect: Callable[[], Any], engine: Engine, loads: list[str]) -> None:
    conn = connect()
    with told(Told(on_busy="skip")):
        pipeline.sync(target=Numbers, source=Source(conn, "SELECT 1 AS id"), target_connection=conn, on_busy="fail")
    pipeline.sync(target=Numbers, source=Source(conn, "SELECT 1 AS id"), target_connection=conn, on_busy="fail")
    assert [args["on_busy"] for args in engine.asked("sync")] == ["skip", "fail"]


def test_targets_may_differ(engine: Engine, loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN", "postgresql://loader@db/dwh")
    engine.answers["resolve_connection"] = {"dsn": "postgresql://loader@db/dwh", "warnings": []}

    @ematix.table(schema="w")
    class More:
        id: Annotated[BigInt, pk()]

    @ematix.pipeline(
        targets=[ematix.target(Numbers, mode="append"), ematix.target(More, mode="append", progress="rich")], schedule=None, progress="log"
    )
    def both(conn: Any) -> str:
        return "SELECT 1 AS id"

    both()
    assert loads == ["log", "rich"]


def test_another_word_is_refused_at_once(connect: Callable[[], Any], engine: Engine) -> None:
    with pytest.raises(ValueError, match=WORDS):
        ematix.target(Numbers, mode="append", progress="loud")
    with pytest.raises(ValueError, match=WORDS):
        ematix.pipeline(target=Numbers, mode="append", schedule=None, progress="loud")
    conn = connect()
    with pytest.raises(ValueError, match=WORDS):
        pipeline.sync(target=Numbers, source=Source(conn, "SELECT 1 AS id"), target_connection=conn, progress="loud")
    assert engine.asked("sync") == []


def test_a_load_that_fails_ends_its_line(connect: Callable[[], Any], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    from ematix_flow import DuplicateKeys

    conn, ended = connect(), []
    engine.answers["sync"] = DuplicateKeys("no")
    monkeypatch.setattr(_progress.Follower, "end", lambda self, outcome: ended.append(outcome))
    with pytest.raises(DuplicateKeys):
        pipeline.sync(target=Numbers, source=Source(conn, "SELECT 1 AS id"), target_connection=conn)
    assert ended == ["duplicate_keys"]


def test_rich_is_not_imported_unless_asked(connect: Callable[[], Any], loads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    conn = connect()
    pipeline.sync(target=Numbers, source=Source(conn, "SELECT 1 AS id"), target_connection=conn)
    assert not [name for name in sys.modules if name.partition(".")[0] == "rich"]
