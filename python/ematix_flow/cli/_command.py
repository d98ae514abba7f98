"""What a command of ``flow`` is. The protocol is described in the docstring of ``ematix_flow.cli``."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


# The exit statuses, all of them; docs/cli.md has them as a table.
DONE = 0
FAILED = 1  # the work began and failed
WRONG_REQUEST = 2  # an unknown name, an unreachable database, a broken module, wrong usage
SKIPPED = 3  # the target was busy, and the run was to skip then
FOUND = 4  # flow doctor found something
CHANGES = 5  # flow dry-run --detailed-exitcode: the load would change something
INTERRUPTED = 130  # 128 + SIGINT, as a shell counts
BROKEN_PIPE = 141  # 128 + SIGPIPE: the reader of our output went away, as in ``flow list | head -1``


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """A command without arguments of its own."""


@dataclass(frozen=True)
class Command:
    """One command: ``flow NAME``, or ``flow GROUP NAME`` inside a ``Group``."""

    name: str
    help: str
    example: str
    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments


@dataclass(frozen=True)
class Group:
    """Commands under one word: ``flow connections list``, ``flow connections set``."""

    name: str
    help: str
    commands: tuple[Command, ...]


def program(folder: Path) -> str:
    """What to type in that folder for ``flow``: the word where the shell finds this program by it, else its path."""
    own = Path(sys.executable).with_name("flow")  # not resolved: the interpreter of a venv is a link
    found = shutil.which("flow")
    if found is not None and (not own.exists() or Path(found).samefile(own)):
        return "flow"
    if not own.exists():
        return f"{shlex.quote(sys.executable)} -m ematix_flow.cli"
    return shlex.quote(str(own.relative_to(folder) if own.is_relative_to(folder) else own))


def maybe_dsn(name: str) -> bool:
    """Whether a name of a connection may be a DSN that was typed in its place, with a password: it is not repeated then. The error that says so
    has it without."""
    return not {*":/@="}.isdisjoint(name)


class CommandError(Exception):
    """Ends a command with ``error: message`` on stderr, and with ``hint: ...`` on the next line when there is one."""

    def __init__(self, message: str, *, exit_code: int = FAILED, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.hint = hint
