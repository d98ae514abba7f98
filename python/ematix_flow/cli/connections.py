"""``flow connections``."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from ematix_flow.cli._command import DONE, WRONG_REQUEST, Command, CommandError, Group, maybe_dsn
from ematix_flow.cli._result import with_hint

if TYPE_CHECKING:
    import argparse


_FORMS = re.compile(r"^postgres(ql)?://|^embedded:|\$\{\w+\}")


def _list(args: argparse.Namespace) -> int:
    from ematix_flow import config

    found = config.list_connections()
    if not found:
        print("no connections are configured; set one with: flow connections set default=-")
    width = max(map(len, found), default=0)
    for name, redacted in found.items():
        print(f"{name:<{width}}  {redacted}")
    return DONE


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="the connection; without it, all of them")


def _check(args: argparse.Namespace) -> int:
    from ematix_flow import config
    from ematix_flow.cli._main import show_error

    names = [args.name] if args.name is not None else list(config.list_connections())
    if not names:
        raise CommandError("no connections are configured", exit_code=WRONG_REQUEST, hint="Set one with: flow connections set default=-")
    status = DONE
    for name in names:
        reached, about = config.check_connection(name)
        if reached:
            print(f"{name}: ok ({about})")
            continue
        reason, hint = with_hint(about)
        unknown = reason.startswith(f'There is no connection "{name}"')
        show_error(reason if unknown or maybe_dsn(name) else f"{name}: unreachable — {reason}", hint)
        status = WRONG_REQUEST
    return status


def _add_set_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("assignment", metavar="NAME=DSN", help="the name and its DSN; NAME=- reads the DSN from standard input")


def _set(args: argparse.Namespace) -> int:
    from ematix_flow import config

    name, equals, dsn = args.assignment.partition("=")
    name = name.strip()
    if not equals:
        # The text may be a DSN with a password in it, so it is not repeated.
        raise CommandError(
            "the argument has no '='", exit_code=WRONG_REQUEST, hint="The form is NAME=DSN, or NAME=- to read the DSN from standard input."
        )
    if dsn == "-":
        dsn = _read_dsn(name)
    if not name or not dsn.strip():
        what = "name" if not name else "DSN"
        raise CommandError(
            f"the {what} is empty", exit_code=WRONG_REQUEST, hint="The form is NAME=DSN, or NAME=- to read the DSN from standard input."
        )
    print(f"{name}: written to {config.set_connection(name, dsn.strip())}")
    if not _FORMS.search(dsn.strip()):
        # Stored all the same: it is checked where it is used. It is not repeated, since it may hold a password.
        print(
            f"warning: {name} cannot be used to connect: a DSN is written postgresql://USER@HOST/DATABASE, or embedded://NAME",
            file=sys.stderr,
        )
    return DONE


def _read_dsn(name: str) -> str:
    """One line, which does not show on a terminal: it may hold a password."""
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"DSN of {name}: ")
    return sys.stdin.readline()


COMMAND = Group(
    name="connections",
    help="list, check and set named connections",
    commands=(
        Command(
            name="list",
            help="list the connections that can be resolved, without passwords",
            example="flow connections list",
            run=_list,
        ),
        Command(
            name="check",
            help="connect, and say whether it worked",
            example="flow connections check default",
            add_arguments=_add_check_arguments,
            run=_check,
        ),
        Command(
            name="set",
            help="write a connection into the user's own file",
            example="flow connections set warehouse=postgresql://loader@db.example.com/dwh\nflow connections set warehouse=- < dsn.txt",
            add_arguments=_add_set_arguments,
            run=_set,
        ),
    ),
)
