"""``flow run``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ematix_flow.cli._command import DONE, FAILED, SKIPPED, WRONG_REQUEST, Command, CommandError
from ematix_flow.cli._module import add_module_argument, import_module
from ematix_flow.cli._result import add_format_argument, as_text, errors, jsonable, loads, text_of, with_hint

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_module_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the name of the pipeline")
    parser.add_argument(
        "--on-busy",
        choices=["wait", "skip", "fail"],
        help="while another run loads the same table: wait for it, skip this run, or fail (default: what the pipeline declares, else wait)",
    )
    parser.add_argument(
        "--progress",
        choices=["auto", "rich", "log", "none"],
        help="on stderr: a live line (rich), a line every ten seconds (log), or what fits the output (auto; default where the pipeline declares "
        "nothing)",
    )
    add_format_argument(parser)


def _run(args: argparse.Namespace) -> int:
    import_module(args.module)
    from ematix_flow import pipeline
    from ematix_flow._progress import Told, told
    from ematix_flow.cli._main import show_error

    try:
        entry = pipeline.get_pipeline(args.name)
    except KeyError:
        raise CommandError(f"no pipeline named {args.name!r}", exit_code=WRONG_REQUEST, hint=_known(args.module)) from None
    with told(Told(progress=args.progress, on_busy=args.on_busy, otherwise="auto")):
        result = entry.fn()
    if text := text_of(result) if as_text(args) else json.dumps(jsonable(result), default=str):
        print(text, flush=True)  # before the errors, where both go to one place
    failed = errors(result)
    for target, message in failed.items():
        what, hint = with_hint(message)
        show_error(f"{target}: {what}", hint)
    if failed:
        return FAILED
    return SKIPPED if any(load["status"] == "skipped" for load in loads(result).values()) else DONE


def _known(module: str) -> str:
    from ematix_flow import pipeline

    names = sorted(entry.name for entry in pipeline.list_pipelines())
    return f"{module} declares {', '.join(names)}." if names else f"{module} declares no pipeline."


COMMAND = Command(
    name="run",
    help="run one pipeline now, whatever its schedule",
    example="flow run --module pipelines customers\nflow run --module pipelines customers --on-busy skip --format json",
    add_arguments=_add_arguments,
    run=_run,
)
