"""``flow run``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ematix_flow.cli._command import DONE, SKIPPED, WRONG_REQUEST, Command, CommandError
from ematix_flow.cli._module import add_module_argument, import_module
from ematix_flow.cli._result import jsonable

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_module_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the name of the pipeline")


def _run(args: argparse.Namespace) -> int:
    import_module(args.module)
    from ematix_flow import pipeline

    try:
        entry = pipeline.get_pipeline(args.name)
    except KeyError:
        raise CommandError(f"no pipeline named {args.name!r}", exit_code=WRONG_REQUEST, hint=_known(args.module)) from None
    result = entry.fn()
    print(json.dumps(jsonable(result), default=str))
    return SKIPPED if isinstance(result, dict) and result.get("status") == "skipped" else DONE


def _known(module: str) -> str:
    from ematix_flow import pipeline

    names = sorted(entry.name for entry in pipeline.list_pipelines())
    return f"{module} declares {', '.join(names)}." if names else f"{module} declares no pipeline."


COMMAND = Command(
    name="run",
    help="run one pipeline now, whatever its schedule",
    example="flow run --module pipelines customers",
    add_arguments=_add_arguments,
    run=_run,
)
