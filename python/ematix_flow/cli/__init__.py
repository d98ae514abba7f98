"""The ``flow`` command: ``main(argv=None) -> int``, one file per command.

Every module of this package whose name does not begin with ``_`` is a command and is found by itself; there is no list to extend. It has
one name, ``COMMAND``, which is a ``Command`` or, for nested commands (``flow embedded status``), a ``Group`` of them::

    from __future__ import annotations

    import argparse

    from ematix_flow.cli._command import Command, Group


    def _add_status_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", nargs="?", default="default", help="name of the server")


    def _status(args: argparse.Namespace) -> int:
        from ematix_flow import embedded  # what a command needs is imported when it runs: --help stays fast

        print(embedded.status(args.name))
        return 0


    COMMAND = Group(
        name="embedded",
        help="look after the private servers of embedded:// connections",
        commands=(
            Command(
                name="status",
                help="show whether a private server runs",
                example="flow embedded status default",
                add_arguments=_add_status_arguments,
                run=_status,
            ),
        ),
    )

What a command keeps to:

- ``help`` is one line, lower case, without a full stop; ``example`` is one or more lines that can be typed as they stand. ``flow --help``
  and the page of the command show them.
- Results go to stdout with ``print``. Everything else goes to stderr.
- ``run`` returns an exit status of ``_command``: ``DONE``, ``FAILED``, ``WRONG_REQUEST`` (unknown name, unreachable, malformed) or one of
  those that a single command has. docs/cli.md has the table.
- To fail with a message, raise ``CommandError(message, exit_code=WRONG_REQUEST, hint="...")``. It is printed as ``error: message`` and, on the next
  line, ``hint: ...``. An ``EmatixError`` that reaches ``main`` is printed in the same way with its own hint, exit status 1. No traceback
  is shown.
- ``KeyboardInterrupt`` is left alone: ``main`` prints one line and returns 130.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one ``flow`` command and return its exit status.

    Args:
        argv: the words after ``flow``; ``None`` means those of this process.

    Raises:
        SystemExit: wrong usage (status 2) and ``--help`` (status 0), as argparse does.
    """
    # The work stands in _main: a command module called list.py becomes the attribute ``list`` of this package once it is imported.
    from ematix_flow.cli._main import main as run_command_line

    return run_command_line(argv)
