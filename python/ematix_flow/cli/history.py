"""``flow history``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ematix_flow.cli._command import DONE, WRONG_REQUEST, Command, CommandError
from ematix_flow.cli._connection import add_columns_argument, add_connection_argument, connected, print_notes

if TYPE_CHECKING:
    import argparse

_LIMIT = 20


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="a pipeline, or schema.table; without it, the runs of all")
    parser.add_argument(
        "--key",
        metavar="VALUE",
        action="append",
        help="show every version of one key of the table NAME: its value, or COLUMN=VALUE; once for each column of the key",
    )
    add_columns_argument(parser)
    add_connection_argument(parser)
    parser.add_argument("--limit", metavar="N", type=_count, help=f"how many, the newest; by default {_LIMIT} runs, and every version")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="text (default) or json")


def _count(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


_count.__name__ = "whole number from 1 on"  # argparse names the type by it


def _run(args: argparse.Namespace) -> int:
    if args.key is None:
        return _runs(args)
    if args.name is None:
        raise CommandError("--key needs a table", exit_code=WRONG_REQUEST, hint="For example: flow history warehouse.customers --key 42")
    from ematix_flow.history import jsonable

    with connected(args.connection) as connection:
        found = connection.history(args.name, key=_key(args.key), limit=args.limit, scd2_columns=args.scd2_columns)
    if args.format == "json":
        print(json.dumps(jsonable({"table": found.table, "key": found.key, "versions": found.to_dicts()})))
    else:
        print(found)
    print_notes(found.notes)
    return DONE


def _runs(args: argparse.Namespace) -> int:
    from ematix_flow.history import jsonable

    with connected(args.connection) as connection:
        found = connection.history(args.name, limit=args.limit or _LIMIT)
    if args.format == "json":
        print(json.dumps(jsonable(found.to_dicts())))
    elif len(found):
        print(found)
    notes = found.notes
    if not len(found) and not notes:
        notes = ["No run is recorded" + (f" of {args.name}." if args.name else ".")]
    print_notes(notes)
    return DONE


def _key(words: list[str]) -> Any:
    """One value, several in the order of the key, or a dict where columns are named."""
    named = ["=" in word for word in words]
    if not any(named):
        return tuple(words)
    if not all(named):
        raise CommandError(
            "--key is given with and without a column", exit_code=WRONG_REQUEST, hint="Name the column in each: --key COLUMN=VALUE."
        )
    pairs = [(word.partition("=")[0], word.partition("=")[2]) for word in words]
    if len({name for name, _ in pairs}) < len(pairs):
        raise CommandError("--key names a column twice", exit_code=WRONG_REQUEST)
    return dict(pairs)


COMMAND = Command(
    name="history",
    help="show the runs of a pipeline or table, or every version of a key",
    example="flow history warehouse.customers\n"
    "flow history warehouse.customers --key 42\n"
    "flow history sales.lines --key order_id=7 --key line=1",
    add_arguments=_add_arguments,
    run=_run,
)
