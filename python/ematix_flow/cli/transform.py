"""``flow transform``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ematix_flow.cli._command import DONE, WRONG_REQUEST, Command, CommandError, Group
from ematix_flow.cli._module import add_module_argument, import_module
from ematix_flow.cli._result import jsonable

if TYPE_CHECKING:
    import argparse


def _add_list_arguments(parser: argparse.ArgumentParser) -> None:
    add_module_argument(parser)
    parser.add_argument("--format", choices=["text", "json"], default="text", help="text (default): one line each; json: a list of objects")


def _list(args: argparse.Namespace) -> int:
    import_module(args.module)
    from ematix_flow import pipeline

    entries = pipeline.list_transforms()
    if args.format == "json":
        print(json.dumps([{"name": entry.name, "kind": entry.kind, "schedule": entry.schedule} for entry in entries]))
        return DONE
    for entry in entries:
        print(f"{entry.name}\t{'(unscheduled)' if entry.schedule is None else entry.schedule}")
    return DONE


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    add_module_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the name of the transform")


def _run(args: argparse.Namespace) -> int:
    import_module(args.module)
    from ematix_flow import pipeline

    names = [entry.name for entry in pipeline.list_transforms()]
    if args.name not in names:
        hint = f"{args.module} declares {', '.join(names)}." if names else f"{args.module} declares no transform."
        raise CommandError(f"no transform named {args.name!r}", exit_code=WRONG_REQUEST, hint=hint)
    print(json.dumps(jsonable(pipeline.run_transform(args.name)), default=str))
    return DONE


COMMAND = Group(
    name="transform",
    help="list the transforms of a module, and run one",
    commands=(
        Command(
            name="list",
            help="list the transforms of a module with their schedules",
            example="flow transform list --module pipelines",
            add_arguments=_add_list_arguments,
            run=_list,
        ),
        Command(
            name="run",
            help="run one transform now, whatever its schedule",
            example="flow transform run --module pipelines refresh_totals",
            add_arguments=_add_run_arguments,
            run=_run,
        ),
    ),
)
