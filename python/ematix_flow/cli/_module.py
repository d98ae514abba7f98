"""``--module``: imports the module that declares the pipelines."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING

from ematix_flow.cli._command import WRONG_REQUEST, CommandError

if TYPE_CHECKING:
    import argparse

_OWN = os.path.dirname(os.path.dirname(__file__)) + os.sep


def add_module_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--module``."""
    parser.add_argument("--module", "-m", required=True, metavar="MODULE", help="dotted name of the module that declares the pipelines")


def import_module(name: str) -> None:
    """Import a module for what it registers; the current directory comes first in the search.

    Raises:
        CommandError: it cannot be imported (exit status 2).
    """
    here = os.getcwd()
    if sys.path[:1] != [here]:
        sys.path.insert(0, here)
    try:
        importlib.import_module(name)
    except (Exception, SystemExit) as error:
        hint = ""
        if name.endswith(".py") or "/" in name:
            dotted = name.removesuffix(".py").strip("./").replace("/", ".")
            hint = f"--module takes a dotted name, not a path: --module {dotted}"
        elif isinstance(error, ModuleNotFoundError) and error.name == name.partition(".")[0]:
            hint = f"There is no {error.name}.py or package {error.name} in the current directory, nor is it installed."
        else:
            hint = _place(error)
        raise CommandError(f"cannot import the module {name!r}: {_reason(error)}", exit_code=WRONG_REQUEST, hint=hint) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(error: BaseException) -> str:
    """The last line outside of this package: the declaration, where it is this package that refuses it."""
    place = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if not frame.filename.startswith((_OWN, "<frozen importlib", importlib.__file__)):
            place = f"raised in {frame.filename}, line {frame.lineno}" + ("" if frame.name == "<module>" else f", in {frame.name}")
    return place
