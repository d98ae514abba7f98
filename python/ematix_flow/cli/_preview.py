"""What ``flow preview``, ``flow dry-run`` and ``flow validate`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ematix_flow.cli._command import WRONG_REQUEST, CommandError
from ematix_flow.cli._module import add_module_argument, import_module

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from ematix_flow.preview import PreviewResult


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """NAME, ``--module`` and ``--format``."""
    add_module_argument(parser)
    parser.add_argument("name", metavar="NAME", help="the name of the pipeline")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="text (default) or one JSON document")


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """``--verbose`` and ``--no-color``."""
    parser.add_argument("--verbose", "-v", action="store_true", help="show every target in full")
    parser.add_argument("--no-color", action="store_true", help="no colours, on a terminal too (as the variable NO_COLOR)")


def asked(args: argparse.Namespace, ask: Callable[[str], Any]) -> Any:
    """What ``ask`` says of the pipeline of that name.

    Raises:
        CommandError: there is none of that name, or it says nothing about its load (exit status 2).
    """
    import_module(args.module)
    from ematix_flow import pipeline

    try:
        entry = pipeline.get_pipeline(args.name)
    except KeyError:
        names = sorted(entry.name for entry in pipeline.list_pipelines())
        hint = f"{args.module} declares {', '.join(names)}." if names else f"{args.module} declares no pipeline."
        raise CommandError(f"no pipeline named {args.name!r}", exit_code=WRONG_REQUEST, hint=hint) from None
    try:
        return ask(entry.name)
    except TypeError as error:
        raise CommandError(str(error), exit_code=WRONG_REQUEST) from None


def show(result: PreviewResult, args: argparse.Namespace) -> None:
    """Print it in the format that was asked for."""
    if args.format == "json":
        print(result.to_json())
        return
    from ematix_flow.preview import render_text

    print(render_text(result, verbose=args.verbose, use_color=not args.no_color))
