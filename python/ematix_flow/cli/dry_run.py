"""``flow dry-run``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ematix_flow.cli import _preview
from ematix_flow.cli._command import CHANGES, FAILED, Command

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    _preview.add_arguments(parser)
    _preview.add_text_arguments(parser)
    parser.add_argument(
        "--detailed-exitcode", action="store_true", help=f"exit status {CHANGES} where a run would change rows or a table, else 0"
    )


def _run(args: argparse.Namespace) -> int:
    from ematix_flow import pipeline

    result = _preview.asked(args, pipeline.dry_run)
    _preview.show(result, args)
    failed = [target.schema_qualified_name for target in result.targets if target.dry_run_error is not None]
    if failed:
        sys.stdout.flush()
        print(f"error: the dry run of {args.name!r} failed for {', '.join(failed)}", file=sys.stderr)
        return FAILED
    return CHANGES if args.detailed_exitcode and any(target.dry_run_changes for target in result.targets) else 0


COMMAND = Command(
    name="dry-run",
    help="run the load of a pipeline and roll it back: what it would change, and nothing stays",
    example="flow dry-run --module pipelines customers\nflow dry-run --module pipelines customers --detailed-exitcode",
    add_arguments=_add_arguments,
    run=_run,
)
