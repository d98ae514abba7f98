"""The entry of ``flow``: finds the commands, reads the command line, turns every outcome into an exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import ematix_flow
from ematix_flow.cli._command import BROKEN_PIPE, FAILED, INTERRUPTED, Command, CommandError, Group
from ematix_flow.errors import EmatixError

if TYPE_CHECKING:
    from collections.abc import Sequence

_STATUSES = """\
exit status:
  0 done, 1 failed, 2 wrong request, 3 skipped because the target is busy,
  4 flow doctor found something, 5 flow dry-run --detailed-exitcode has changes;
  docs/cli.md has them all"""


def commands() -> list[Command | Group]:
    """All commands, sorted by name: one per public module of this package."""
    found: list[Command | Group] = []
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        if not module.name.startswith("_"):
            found.append(importlib.import_module(f"ematix_flow.cli.{module.name}").COMMAND)
    return sorted(found, key=lambda command: command.name)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="flow",
        description="Load, historise and read data in PostgreSQL.",
        epilog=_examples("flow init my-project\nflow run --module pipelines customers") + f"\n\n{_STATUSES}",
        formatter_class=_Formatter,
    )
    top.add_argument("--version", action="version", version=f"ematix-flow {ematix_flow.__version__}")
    below = top.add_subparsers(metavar="COMMAND", required=True)
    for command in commands():
        if isinstance(command, Command):
            _add(below, command)
            continue
        group = below.add_parser(
            command.name,
            help=command.help,
            description=_sentence(command.help),
            epilog=_examples("\n".join(member.example for member in command.commands)),
            formatter_class=_Formatter,
        )
        members = group.add_subparsers(metavar="COMMAND", required=True)
        for member in command.commands:
            _add(members, member)
    return top


def _add(parsers: argparse._SubParsersAction[argparse.ArgumentParser], command: Command) -> None:
    own = parsers.add_parser(
        command.name,
        help=command.help,
        description=_sentence(command.help),
        epilog=_examples(command.example),
        formatter_class=_Formatter,
    )
    command.add_arguments(own)
    own.set_defaults(_run=command.run)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wraps descriptions; examples keep their lines."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        self._action_max_length = 15  # argparse does not count how far commands are indented, and so breaks the lines of the longest ones

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("example"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _examples(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join([f"example{'s' if len(lines) > 1 else ''}:", *(f"  {line}" for line in lines)])


def main(argv: Sequence[str] | None = None) -> int:
    """See ``ematix_flow.cli.main``."""
    args = parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        status: int = args._run(args)
        sys.stdout.flush()
        return status
    except CommandError as error:
        show_error(str(error), error.hint)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python would report the same pipe again when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:  # every failure ends in a message, none in a traceback
        show_exception(error)
        return FAILED


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def show_error(message: str, hint: str = "") -> None:
    """Print ``error: message`` on stderr, and the hint on a line of its own."""
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


def show_exception(error: Exception) -> None:
    """Print an exception as ``show_error`` does. One that comes from the user's code is given with its place there."""
    if isinstance(error, EmatixError):
        show_error(str(error).removesuffix(f"\n{error.hint}"), error.hint)
    elif isinstance(error, (ValueError, NotImplementedError, RuntimeError)) and str(error):
        show_error(str(error), _place(error))
    else:
        show_error(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, _place(error))


def _place(error: Exception) -> str:
    """Where it was raised, or nothing where that was in this package: then the message says what is wrong."""
    own = str(Path(ematix_flow.__file__).parent)
    place, step = "", error.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        ours = code.co_filename.startswith(own)
        place = "" if ours else f"raised in {code.co_filename}, line {step.tb_lineno}, in {code.co_name}"
        step = step.tb_next
    return place
