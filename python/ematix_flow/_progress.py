"""What is said while a load runs: a live line, lines at intervals, and the records of the logger ``ematix_flow``.

``run_load`` is how a load gets into the engine. What ``flow run`` was told on the command line (``told``) holds for every load of the process.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console
    from rich.live import Live

    Clock = Callable[[], float]

PROGRESS = ("auto", "rich", "log", "none")

_FIRST = 0.5
"""Seconds until the live line appears: a short load does not flicker."""

_REFRESH = 0.1
"""Seconds between two states of the live line."""

_INTERVAL = 10
"""Seconds between two lines where there is no terminal."""


def checked_progress(value: object) -> str:
    """``progress=`` as it was given.

    Raises:
        ValueError: it is none of the four words.
    """
    if isinstance(value, str) and value in PROGRESS:
        return value
    raise ValueError(f"progress is 'auto', 'rich', 'log' or 'none', not {value!r}.")


# --- what the command line says


@dataclass(frozen=True)
class Told:
    """Options of ``flow run``, before those of the declarations."""

    progress: str | None = None
    on_busy: str | None = None
    otherwise: str = "none"  # the progress where neither says anything

    def progress_of(self, declared: str) -> str:
        return self.progress or (declared if declared != "none" else self.otherwise)


_told = Told()


@contextmanager
def told(options: Told) -> Iterator[None]:
    """Have the options hold for every load, in all threads, until the end of the block."""
    global _told
    before, _told = _told, options
    try:
        yield
    finally:
        _told = before


# --- a load


def run_load(args: Mapping[str, Any], progress: str = "none") -> Any:
    """The engine's answer to ``sync``; meanwhile and afterwards it is told how far the load is."""
    from ematix_flow.connection import call

    message = dict(args) if _told.on_busy is None else {**args, "on_busy": _told.on_busy}
    follower = follow(_told.progress_of(progress))
    try:
        answer = call("sync", message, progress=follower)
    except BaseException as error:
        follower.end(getattr(error, "kind", None) or type(error).__name__)
        raise
    follower.end(answer["status"])
    return answer


def follow(progress: str, *, clock: Clock = time.monotonic, console: Console | None = None) -> Follower:
    """What shows a load as it was asked for; the arguments behind it are for tests."""
    state = State(clock)
    return Follower(state, _display(progress, state, console), Records(_logger()))


def _display(progress: str, state: State, console: Console | None) -> Display:
    if progress == "none":
        return Display()
    if progress != "log":
        if display := _notebook():
            return NotebookLine(state, display)
        if progress == "rich" or console is not None or sys.stderr.isatty():
            from rich.console import Console

            console = console or Console(stderr=True)
            if console.is_terminal and not console.is_dumb_terminal and _terminal.acquire(blocking=False):
                return TerminalLine(state, console)
    return LogLines(state)


@dataclass
class State:
    """How far a load is, by the news that have come."""

    clock: Clock
    target: str = ""
    phase: str = ""
    rows: int = 0
    bytes: int = 0
    phase_began: float = 0
    moved: int = 0  # rows, in this phase
    transaction_began: float | None = None
    outcome: str = ""

    def hear(self, news: Mapping[str, Any]) -> None:
        at = self.clock()
        if news["phase"] != self.phase:
            self.phase, self.phase_began = news["phase"], at
        self.target = news["target"]
        self.rows, self.bytes, self.moved = news["rows"], news["bytes"], news.get("moved", 0)
        age = news.get("transaction_seconds")
        self.transaction_began = None if age is None else at - age

    def line(self, width: int | None = None) -> str:
        """Target, phase, rows and their rate, bytes, age of the transaction; in a width the target is cut first.

        >>> state = State(lambda: 20.0, target="warehouse.customers", phase="stage", rows=1234567, bytes=45_600_000, phase_began=7.5)
        >>> state.moved, state.transaction_began = 1234567, 5.0
        >>> state.line()
        'warehouse.customers: stage, 1,234,567 rows (98,765/s), 45.6 MB, transaction 15 s'
        >>> state.line(60)
        '…omers: stage, 1,234,567 rows (98,765/s), 45.6 MB, transact…'
        """
        at = self.clock()
        seconds = at - self.phase_began
        if not self.phase:
            return f"{self.target}: {self.outcome or 'begin'}"
        parts = [self.phase]
        if self.rows:
            parts.append(f"{self.rows:,} rows" + (f" ({self.moved / seconds:,.0f}/s)" if self.moved and seconds > 0 else ""))
        if self.bytes:
            parts.append(amount(self.bytes))
        if not self.moved:
            parts.append(duration(seconds))
        if self.transaction_began is not None:
            parts.append(f"transaction {duration(at - self.transaction_began)}")
        return fitted(self.target, f": {', '.join(parts)}", width)


def fitted(name: str, text: str, width: int | None) -> str:
    """Both together; where that is too wide the beginning of the name goes, down to five letters, and then the end of the text."""
    if width is None or len(name) + len(text) <= width:
        return name + text
    keep = max(width - len(text) - 1, 5)
    line = (name if len(name) <= keep + 1 else f"…{name[-keep:]}") + text
    return line if len(line) <= width else f"{line[: width - 1]}…"


def amount(size: int) -> str:
    """Bytes for people.

    >>> [amount(size) for size in (999, 1000, 45_600_000, 3_210_000_000)]
    ['999 bytes', '1.0 kB', '45.6 MB', '3.2 GB']
    """
    if size < 1000:
        return f"{size} bytes"
    step = 1
    while step < 4 and size / 1000**step >= 999.95:
        step += 1
    return f"{size / 1000**step:.1f} {('kB', 'MB', 'GB', 'TB')[step - 1]}"


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> [duration(seconds) for seconds in (0.4, 59.9, 60, 3725)]
    ['0 s', '59 s', '1 min 00 s', '1 h 02 min']
    """
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60:02} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60:02} min"


class Follower:
    """Hears the news of one load, and passes them on."""

    def __init__(self, state: State, display: Display, records: Records) -> None:
        self._state, self._display, self._records = state, display, records

    def __call__(self, news: Mapping[str, Any] | None) -> None:
        if news is not None:
            self._state.hear(news)
            self._records.hear(news)
        self._display.show()

    def end(self, outcome: str) -> None:
        self._state.outcome, self._state.phase = outcome, ""
        self._display.end()
        self._records.end(outcome)


# --- where it is shown


class Display:
    """Nowhere."""

    def show(self) -> None:
        """After each slice of waiting."""

    def end(self) -> None:
        """When the load has ended."""


_terminal = threading.Lock()
"""Held by the one live line; loads that run beside it say their lines at intervals."""


class TerminalLine(Display):
    """One line on stderr, through rich; it goes away with the load."""

    def __init__(self, state: State, console: Console) -> None:
        self._state, self._console = state, console
        self._next = state.clock() + _FIRST
        self._live: Live | None = None

    def show(self) -> None:
        from rich.live import Live
        from rich.text import Text

        at = self._state.clock()
        if at < self._next:
            return
        self._next = at + _REFRESH
        if self._live is None:
            # What the process prints meanwhile stays as it is, and nothing runs beside the call.
            self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
        self._live.update(Text(self._state.line(self._console.width), no_wrap=True), refresh=True)

    def end(self) -> None:
        try:
            if self._live is not None:
                self._live.stop()
        finally:
            _terminal.release()


class NotebookLine(Display):
    """One line below the cell of a notebook, which stays with the outcome."""

    def __init__(self, state: State, display: Callable[..., Any]) -> None:
        self._state, self._display = state, display
        self._next = state.clock() + _FIRST
        self._handle: Any = None

    def show(self) -> None:
        at = self._state.clock()
        if at >= self._next:
            self._next = at + _REFRESH
            self._say()

    def end(self) -> None:
        if self._handle is not None:
            self._say()

    def _say(self) -> None:
        data = {"text/plain": self._state.line()}
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def _notebook() -> Callable[..., Any] | None:
    """The function that displays something below the cell, in a notebook."""
    ipython = sys.modules.get("IPython")  # nobody else has imported it
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:
        return None
    import importlib

    display: Callable[..., Any] = importlib.import_module("IPython.display").display
    return display


class LogLines(Display):
    """A line every ten seconds: to the logger where somebody listens to it, else to stderr."""

    def __init__(self, state: State, stream: TextIO | None = None) -> None:
        self._state, self._stream = state, stream
        self._next = state.clock() + _INTERVAL

    def show(self) -> None:
        at = self._state.clock()
        if at < self._next:
            return
        self._next = at + _INTERVAL
        line = self._state.line()
        logger = _logger()
        if _listened_to(logger):
            logger.info("%s", line)
        else:
            print(line, file=self._stream or sys.stderr, flush=True)


# --- the logger


def _logger() -> logging.Logger:
    import logging

    logger = logging.getLogger("ematix_flow")
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())
    return logger


def _listened_to(logger: logging.Logger) -> bool:
    import logging

    at: logging.Logger | None = logger if logger.isEnabledFor(logging.INFO) else None
    while at is not None:
        if any(not isinstance(handler, logging.NullHandler) for handler in at.handlers):
            return True
        at = at.parent if at.propagate else None
    return False


@dataclass
class Records:
    """One record of level DEBUG for each phase that has ended, and one of level INFO for the load; each has ``run_id``, ``pipeline``, ``target``
    and ``seconds``, that of a phase also ``phase``, ``rows`` and ``bytes``."""

    logger: logging.Logger
    _about: dict[str, str] = field(default_factory=dict)
    _said: int = 0
    _seconds: float = 0

    def hear(self, news: Mapping[str, Any]) -> None:
        self._about = {name: news.get(name, "") for name in ("run_id", "pipeline", "target")}
        for phase in news.get("phases", ())[self._said :]:
            self._said += 1
            self._seconds += phase["seconds"]
            extra = {**self._about, "rows": 0, "bytes": 0, **phase}
            self.logger.debug(
                "%s: %s took %.3f s (run %s)", extra["pipeline"], extra["phase"], extra["seconds"], extra["run_id"], extra=extra
            )

    def end(self, outcome: str) -> None:
        if self._about:
            extra = {**self._about, "seconds": self._seconds, "outcome": outcome}
            self.logger.info("%s: %s after %.3f s (run %s)", extra["pipeline"], outcome, self._seconds, extra["run_id"], extra=extra)
