"""What a pipeline returned, as JSON and as text."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def jsonable(value: object) -> object:
    """The value with keys that JSON can have; other values become text when they are written."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    return [jsonable(item) for item in value] if isinstance(value, (list, tuple)) else value


def add_format_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--format`` of a command that is read by people and by programs."""
    parser.add_argument("--format", choices=["text", "json"], help="text (default on a terminal) or json (default when piped)")


def as_text(args: argparse.Namespace) -> bool:
    """Whether a person reads."""
    return sys.stdout.isatty() if args.format is None else bool(args.format == "text")


def loads(result: object) -> dict[str, Mapping[str, Any]]:
    """The result of each load by ``schema.table``; that of a pipeline with one target stands under ``""``."""
    if not isinstance(result, dict):
        return {}
    if "status" in result:
        return {"": result}
    found = result.get("results", {}) if "errors" in result else result
    if not isinstance(found, dict):
        return {}
    return {str(name): load for name, load in found.items() if isinstance(load, dict) and "status" in load}


def errors(result: object) -> dict[str, str]:
    """The message of each target that failed under ``continue_on_failure``."""
    found = result.get("errors") if isinstance(result, dict) and "results" in result else None
    return {str(name): str(message) for name, message in found.items()} if isinstance(found, dict) else {}


def text_of(result: object) -> str:
    """A line for each load, in as many as it needs on a terminal; what is no result of a load is JSON."""
    from ematix_flow.result import Result

    lines = [f"{name}: {Result(load)}" if name else str(Result(load)) for name, load in loads(result).items()]
    if sys.stdout.isatty():
        import shutil
        import textwrap

        width = shutil.get_terminal_size().columns
        lines = [textwrap.fill(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) for line in lines]
    return "\n".join(lines) if lines or errors(result) else json.dumps(jsonable(result), default=str)


def with_hint(text: str) -> tuple[str, str]:
    """The text of an error as message and hint: what to do about it is its last line, lists in it are indented."""
    message, _, hint = text.rpartition("\n")
    return (message, hint) if message and not hint.startswith(" ") else (text, "")
