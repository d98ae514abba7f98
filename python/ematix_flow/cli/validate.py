"""``flow validate``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from ematix_flow.cli import _preview
from ematix_flow.cli._command import Command

if TYPE_CHECKING:
    import argparse


def _run(args: argparse.Namespace) -> int:
    from ematix_flow import pipeline

    result = _preview.asked(args, pipeline.validate)
    if args.format == "json":
        print(json.dumps(result.to_dict(), indent=2, ensure_ascii=False))
    else:
        for note in result.notes:
            print(f"note: {_indented(note)}", file=sys.stderr)
        if result.ok:
            print(f"{result.pipeline_name}: ok")
        else:
            print(f"{result.pipeline_name}: failed", file=sys.stderr)
            for error in result.errors:
                print(f"  - {_indented(error)}", file=sys.stderr)
    return 0 if result.ok else 1


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")


COMMAND = Command(
    name="validate",
    help="have the server parse and plan the queries of a pipeline, without running them",
    example="flow validate --module pipelines customers",
    add_arguments=_preview.add_arguments,
    run=_run,
)
