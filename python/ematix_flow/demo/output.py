"""What ``flow demo`` prints: tables that grow on a terminal, plain aligned lines elsewhere. No line is wider than 80 columns."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

RUNS = (("release", 10), ("table", 7), ("inserted", 9), ("updated", 9), ("closed", 9), ("unchanged", 10), ("time", 8))
VERSIONS = (("valid_from", 10), ("valid_to", 10), ("name", 22), ("city", 14), ("elevation", 11))
VALIDITY = ("valid_from", "valid_to")


class Runs(Protocol):
    """The table of runs while it grows."""

    def doing(self, what: str) -> None: ...

    def add(self, release: str, table: str, *values: float | None) -> None: ...


class Output(Protocol):
    """Where the demo prints to."""

    def say(self, text: str = "") -> None: ...

    def command(self, text: str) -> None: ...

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]: ...

    @contextmanager
    def runs(self, total: int) -> Iterator[Runs]: ...

    def versions(self, rows: Sequence[Mapping[str, Any]]) -> None: ...


def output() -> Output:
    """The output for what standard output is."""
    if sys.stdout.isatty():
        from rich.console import Console

        console = Console(highlight=False)
        if console.is_terminal and not console.is_dumb_terminal:
            return Terminal(console)
    return Plain()


def cells(values: Sequence[float | None]) -> list[str]:
    """Counts with separators, a dash for what a load does not count, and the seconds at the end."""
    *counts, seconds = values
    return ["-" if count is None else f"{count:,.0f}" for count in counts] + [f"{seconds:.2f} s"]


def marked(rows: Sequence[Mapping[str, Any]]) -> list[list[tuple[str, bool]]]:
    """The values of each version in the order of ``VERSIONS``, and whether each differs from the version before.

    >>> [cell for cell in marked([{"city": "A"}, {"city": "B"}])[1] if cell[1]]
    [('B', True)]
    """
    found = []
    before: Mapping[str, Any] = rows[0] if rows else {}
    for row in rows:
        found.append([(str(row.get(name, "")), name not in VALIDITY and row.get(name) != before.get(name)) for name, _ in VERSIONS])
        before = row
    return found


class Plain:
    """Lines of text, each as soon as it is known."""

    def say(self, text: str = "") -> None:
        print(text, flush=True)

    def command(self, text: str) -> None:
        print(f"  {text}", flush=True)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        yield

    @contextmanager
    def runs(self, total: int) -> Iterator[Runs]:
        self.say()
        self._line([name for name, _ in RUNS])
        yield self
        self.say()

    def doing(self, what: str) -> None:
        """Nothing: the line comes when the run is done."""

    def add(self, release: str, table: str, *values: float | None) -> None:
        self._line([release, table, *cells(values)])

    def _line(self, values: Sequence[str]) -> None:
        text = 2  # columns; the others are numbers
        line = (
            value.ljust(width) if i < text else value.rjust(width) for i, (value, (_, width)) in enumerate(zip(values, RUNS, strict=True))
        )
        self.say("  ".join(line).rstrip())

    def versions(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.say()
        self.say("  ".join(("  " if i > 1 else "") + name.ljust(width) for i, (name, width) in enumerate(VERSIONS)).rstrip())
        for row in marked(rows):
            line = (
                ("" if i < 2 else "* " if changed else "  ") + text.ljust(width)
                for i, ((text, changed), (_, width)) in enumerate(zip(row, VERSIONS, strict=True))
            )
            self.say("  ".join(line).rstrip())
        self.say()


class Terminal:
    """The same with rich, on a terminal: the table grows above a bar. Its tables have an empty line before and after them."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, text: str = "") -> None:
        self.console.print(text, markup=False)

    def command(self, text: str) -> None:
        self.console.print(f"  {text}", style="cyan", markup=False, soft_wrap=True)

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        with self.console.status(what):
            yield

    @contextmanager
    def runs(self, total: int) -> Iterator[Runs]:
        from rich.live import Live

        table = _rich_table(RUNS, right=2)
        with Live(table, console=self.console, refresh_per_second=10) as live:
            yield _Growing(live, table, total)
            live.update(table)

    def versions(self, rows: Sequence[Mapping[str, Any]]) -> None:
        from rich.text import Text

        table = _rich_table(VERSIONS, right=len(VERSIONS))
        for row in marked(rows):
            table.add_row(*(Text(f"* {text}", style="bold yellow") if changed else Text(text) for text, changed in row))
        self.console.print(table)


class _Growing:
    """The runs of a ``Terminal``."""

    def __init__(self, live: Any, table: Any, total: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        self.live, self.table = live, table
        self.progress = Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.task = self.progress.add_task("", total=total)

    def doing(self, what: str) -> None:
        from rich.console import Group

        self.progress.update(self.task, description=what)
        self.live.update(Group(self.table, self.progress))

    def add(self, release: str, table: str, *values: float | None) -> None:
        self.table.add_row(release, table, *cells(values))
        self.progress.advance(self.task)


def _rich_table(columns: Sequence[tuple[str, int]], right: int) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for i, (name, _) in enumerate(columns):
        table.add_column(name, justify="left" if i < right else "right", no_wrap=i != 2)
    return table
