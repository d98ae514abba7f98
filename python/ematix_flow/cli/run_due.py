"""``flow run-due``.

Nothing is remembered between two calls: a window that nobody asks for is not made up later. With ``--claim`` the ticks that were taken are rows
of ``ematix_flow.ticks``, one for each pipeline and tick. The row is written before the pipeline runs and stays when it fails: a tick is fired at
most once, and ``flow run`` repeats a run that failed. So windows may overlap: after hours of absence a long ``--interval`` finds the ticks that
were missed, and one run stands for all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ematix_flow.cli._command import DONE, FAILED, WRONG_REQUEST, Command, CommandError, maybe_dsn
from ematix_flow.cli._module import add_module_argument, import_module
from ematix_flow.cli._result import errors, jsonable, with_hint

if TYPE_CHECKING:
    from ematix_flow.connection import Connection
    from ematix_flow.pipeline import ScheduledPipeline


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_module_argument(parser)
    parser.add_argument("--now", metavar="ISO", help="the end of the window, as ISO 8601; without an offset it is UTC (default: now)")
    parser.add_argument(
        "--interval", type=_seconds, default=60, metavar="SECONDS", help="length of the window: the time between two calls (default: 60)"
    )
    parser.add_argument(
        "--claim",
        metavar="CONNECTION",
        help="the connection of the database in which ticks are claimed: of all hosts that call this, one runs a pipeline at each tick, once; also "
        "when that run fails",
    )


def _seconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of seconds")
    return int(text)


def _run(args: argparse.Namespace) -> int:
    now = _now(args.now)
    import_module(args.module)
    from ematix_flow import pipeline

    ran: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    told = 0
    with contextlib.ExitStack() as stack:
        claims = None if args.claim is None else stack.enter_context(_claims(args.claim))
        for entry in pipeline.list_pipelines():
            try:
                if _fires(entry, now, args.interval, claims):
                    ran.append(_fire(entry))
                    failed += [{"pipeline": entry.name, "target": target, "error": text} for target, text in errors(ran[-1]).items()]
            except (Exception, SystemExit) as error:  # whatever is wrong with one, the others run
                failed.append({"pipeline": entry.name, "error": _text(error)})
            for one in failed[told:]:
                _tell(one)
            told = len(failed)
    print(json.dumps({"ran": jsonable(ran), "failed": failed}, default=str))
    return FAILED if failed else DONE


def _now(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(
            f"--now: {text!r} is not a time in ISO 8601",
            exit_code=WRONG_REQUEST,
            hint="For example: 2026-01-05T03:00:00Z. Without an offset it is UTC.",
        ) from None


def _claims(name: str) -> Connection:
    from ematix_flow import config

    try:
        return config.connect(name)
    except (ValueError, LookupError) as error:
        message, hint = with_hint(str(error))
        named = "--claim" if maybe_dsn(name) else f"--claim {name}"
        raise CommandError(f"Nothing was run. {named}: {message}", exit_code=WRONG_REQUEST, hint=hint) from error


def _fires(entry: ScheduledPipeline, now: datetime, interval: int, claims: Connection | None) -> bool:
    from ematix_flow.pipeline import schedule

    ticks = schedule.ticks(entry.schedule, now, interval)
    if ticks is None or claims is None:
        return ticks is not None
    claimed, missed = schedule.claim(claims, entry.name, ticks)
    if claimed and missed:
        print(f"missed: {entry.name}: one run stands for all ticks since the last one", file=sys.stderr)
    return claimed


def _fire(entry: ScheduledPipeline) -> dict[str, Any]:
    print(f"firing: {entry.name}", file=sys.stderr)
    with contextlib.redirect_stdout(sys.stderr):  # stdout is one JSON document, whatever a pipeline prints
        result = entry.fn()
    return {**(result if isinstance(result, dict) else {"result": result}), "_pipeline": entry.name}


def _tell(failed: dict[str, str]) -> None:
    message, hint = with_hint(failed["error"])
    where = f"{failed['target']}: " if "target" in failed else ""
    print(f"failed: {failed['pipeline']}: {where}{message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)


def _text(error: BaseException) -> str:
    text = str(error)
    # The text of a KeyError is its key, and that of SystemExit its status.
    if not text or (isinstance(error, (KeyError, SystemExit)) and not isinstance(error, ValueError)):
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    return text


COMMAND = Command(
    name="run-due",
    help="run the pipelines whose schedule fires now, for cron or another scheduler to call each minute",
    example="flow run-due --module pipelines\nflow run-due --module pipelines --interval 3600 --claim default",
    add_arguments=_add_arguments,
    run=_run,
)
