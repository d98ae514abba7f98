"""``flow preview``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ematix_flow.cli import _preview
from ematix_flow.cli._command import Command

if TYPE_CHECKING:
    import argparse


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    _preview.add_arguments(parser)
    _preview.add_text_arguments(parser)
    parser.add_argument(
        "--live", action="store_true", help="ask the databases too: estimated rows, drift, watermark, who is in the way of the locks"
    )


def _run(args: argparse.Namespace) -> int:
    from ematix_flow import pipeline

    _preview.show(_preview.asked(args, lambda name: pipeline.preview(name, live=args.live)), args)
    return 0


COMMAND = Command(
    name="preview",
    help="show the statements of a pipeline, why they are there and what they lock, without running them",
    example="flow preview --module pipelines customers\nflow preview --module pipelines customers --live",
    add_arguments=_add_arguments,
    run=_run,
)
