"""``flow list``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ematix_flow.cli._command import Command
from ematix_flow.cli._module import add_module_argument, import_module

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_module_argument(parser)
    parser.add_argument("--format", choices=["text", "json"], default="text", help="text (default): one line each; json: a list of objects")


def _run(args: argparse.Namespace) -> int:
    import_module(args.module)
    from ematix_flow import pipeline
    from ematix_flow.pipeline.schedule import problems

    entries = pipeline.list_entries()
    found = problems([entry.schedule for entry in entries])
    unusable = {entry.name: problem for entry, problem in zip(entries, found, strict=True) if problem}
    for name, problem in unusable.items():
        print(f"warning: {name}: {problem}", file=sys.stderr)
    if args.format == "json":
        print(json.dumps([{"name": entry.name, "kind": entry.kind, "schedule": entry.schedule} for entry in entries]))
        return 0
    rows = [(entry.name, entry.kind, _shown(entry.schedule, bad=entry.name in unusable)) for entry in entries]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(2)]
    for name, kind, schedule in rows:
        print(f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {schedule}")
    return 0


def _shown(schedule: str | None, *, bad: bool) -> str:
    return "(unscheduled)" if schedule is None else f"{schedule}  (bad schedule)" if bad else schedule


COMMAND = Command(
    name="list",
    help="list the pipelines of a module with their schedules",
    example="flow list --module pipelines",
    add_arguments=_add_arguments,
    run=_run,
)
