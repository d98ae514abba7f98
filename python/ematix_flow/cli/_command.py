"""What a command of ``flow`` is. The protocol is described in the docstring of ``ematix_flow.cli``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


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


class CommandError(Exception):
    """Ends a command with ``error: message`` on stderr, and with ``hint: ...`` on the next line when there is one."""

    def __init__(self, message: str, *, exit_code: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.hint = hint
