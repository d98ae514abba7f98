"""``flow embedded``: look after the private servers of ``embedded://`` connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ematix_flow.cli._command import Command, Group

if TYPE_CHECKING:
    import argparse


def _add_status_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="the name in embedded://NAME (default: all that have data)")


def _add_stop_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", default="default", help="the name in embedded://NAME (default: default)")


def _status(args: argparse.Namespace) -> int:
    from ematix_flow import embedded

    servers = embedded.status(args.name)
    if not servers:
        print("no embedded servers: the first connection to embedded://NAME makes one")
        return 0
    width = max(len(server.name) for server in servers)
    for server in servers:
        version = f"PostgreSQL {server.version}" if server.version else "no data yet"
        state = "running" if server.running else "stopped"
        print(f"{server.name:{width}}  {state}  {version}  {server.dsn or server.folder}")
    return 0


def _stop(args: argparse.Namespace) -> int:
    from ematix_flow import embedded

    stopped = embedded.stop(args.name)
    print(f"{args.name}: {'stopped' if stopped else 'was not running'}")
    return 0


COMMAND = Group(
    name="embedded",
    help="look after the private servers of embedded:// connections",
    commands=(
        Command(
            name="status",
            help="show which private servers there are, and where",
            example="flow embedded status\nflow embedded status default",
            add_arguments=_add_status_arguments,
            run=_status,
        ),
        Command(
            name="stop",
            help="stop a private server; its data stays",
            example="flow embedded stop default",
            add_arguments=_add_stop_arguments,
            run=_stop,
        ),
    ),
)
