"""``--connection``: the database that a command asks."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ematix_flow.cli._command import WRONG_REQUEST, CommandError
from ematix_flow.errors import EmatixError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from ematix_flow.connection import Connection


def add_connection_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--connection``."""
    parser.add_argument("--connection", metavar="NAME", default="default", help="the connection of the database; by default: default")


def add_columns_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--scd2-columns``."""
    parser.add_argument(
        "--scd2-columns",
        type=_columns,
        metavar="PART=COLUMN,...",
        help="the columns that are valid_from, valid_to and is_current, where the guards of the table do not tell them",
    )


def _columns(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",")]
    if not all(equals and part.strip() in ("valid_from", "valid_to", "is_current") for part, equals, _ in pairs):
        raise ValueError
    return {part.strip(): column.strip() for part, _, column in pairs}


_columns.__name__ = "valid_from=..., valid_to=... or is_current=..."  # argparse names the type by it


@contextmanager
def connected(name: str) -> Iterator[Connection]:
    """An open connection; what is wrong with the request ends the command with exit status 2.

    Raises:
        CommandError: an unknown or unreachable connection; within the block, a request that the engine refuses as such.
    """
    from ematix_flow import config
    from ematix_flow.errors import InvalidIdentifier, InvalidSpec

    try:
        connection = config.connect(name)
    except EmatixError as error:
        raise _refused(error) from error
    with connection:
        try:
            yield connection
        except (InvalidSpec, InvalidIdentifier) as error:
            raise _refused(error) from error


def _refused(error: EmatixError) -> CommandError:
    return CommandError(str(error).removesuffix(f"\n{error.hint}"), exit_code=WRONG_REQUEST, hint=error.hint or "")


def print_notes(notes: Iterable[str]) -> None:
    """Print what there is to know about a result, on stderr."""
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
