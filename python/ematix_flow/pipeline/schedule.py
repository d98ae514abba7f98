"""Cron schedules: when a pipeline is due, and which of several hosts fires it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ematix_flow.connection import call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ematix_flow.connection import Connection

__all__ = ["is_due"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Ticks:
    """The last time at which a schedule fires in a window, and the one before it if the window has several."""

    last: datetime
    earlier: datetime | None


def is_due(schedule: str | None, now: datetime, interval_seconds: float) -> bool:
    """Whether the schedule fires in the window ``(now - interval_seconds, now]``; windows that follow each other see each tick once.

    The five fields are minute, hour, day of month, month and day of week (0 and 7 are Sunday), with ``*``, ``a``, ``a-b``, lists of them, and
    steps (``*/15``, ``8-18/2``; ``a/n`` runs to the end of the field). Months and days of week have English names of three letters. Where day of
    month and day of week are both something else than ``*`` either one suffices. ``@hourly``, ``@daily``, ``@weekly``, ``@monthly`` and
    ``@yearly`` stand for whole expressions.

    Fields are read in UTC, whatever zone ``now`` has, or in the zone of a schedule that begins with ``CRON_TZ=Europe/Berlin``. Where such a
    zone sets its clock forward or back, a schedule whose hours begin with ``*`` follows the clock; any other fires once for each time of day it
    names: at the change for a time that is skipped, the first time for one that comes twice.

    Args:
        schedule: the cron text; ``None`` is never due.
        now: the end of the window. Without a time zone it is UTC.
        interval_seconds: the length of the window; 0 is never due.

    >>> is_due("0 3 * * *", datetime(2026, 1, 5, 3, 0, 30), 60)
    True
    >>> is_due("0 3 * * *", datetime(2026, 1, 5, 3, 0, 30), 30)
    False
    >>> is_due("CRON_TZ=Europe/Berlin 0 4 * * *", datetime(2026, 1, 5, 3, 0, 30), 60)
    True

    Raises:
        ValueError: ``InvalidSchedule`` for what is no cron expression, or names a date that never comes; the message shows it and where it is
            wrong. Also a negative or infinite interval.
        TypeError: an argument of a wrong Python type.
    """
    return _ask(schedule, now, interval_seconds) is not None


def ticks(schedule: str | None, now: datetime, interval_seconds: float) -> Ticks | None:
    """As ``is_due``, with the times; ``None`` when it is not due."""
    answer = _ask(schedule, now, interval_seconds)
    if answer is None:
        return None
    return Ticks(_time(answer["tick"]), None if answer["earlier"] is None else _time(answer["earlier"]))


def _ask(schedule: str | None, now: datetime, interval_seconds: float) -> dict[str, Any] | None:
    """The engine's answer, or ``None`` when it is not due."""
    if schedule is not None and not isinstance(schedule, str):
        raise TypeError(f"schedule is a cron text (str) or None, not {type(schedule).__name__}.")
    if not isinstance(now, datetime):
        raise TypeError(f"now is a datetime.datetime, not {type(now).__name__}.")
    if isinstance(interval_seconds, bool) or not isinstance(interval_seconds, (int, float)):
        raise TypeError(f"interval_seconds is a number, not {type(interval_seconds).__name__}.")
    if not 0 <= interval_seconds < float("inf"):
        raise ValueError(f"interval_seconds is a number of seconds from 0 on, not {interval_seconds}.")
    if schedule is None:
        return None
    answer: dict[str, Any] = call("is_due", {"schedule": schedule, "now": _microseconds(now), "interval_seconds": interval_seconds})
    return answer if answer["due"] else None


def check(schedule: str | None) -> None:
    """Refuse what is no cron expression.

    Raises:
        ValueError: see ``is_due``.
    """
    _ask(schedule, _EPOCH, 0)


def problems(schedules: Sequence[str | None]) -> list[str]:
    """Why each schedule can never fire, or an empty text where it can; ``None`` is fine. One call for all: a module may have hundreds."""
    texts = [schedule for schedule in schedules if schedule is not None]
    try:
        found = iter(call("check_schedules", {"schedules": texts}) if texts else [])
    except ValueError:  # one that cannot even be sent
        found = map(_problem, texts)
    return ["" if schedule is None else next(found) for schedule in schedules]


def _problem(schedule: str) -> str:
    try:
        check(schedule)
    except ValueError as error:
        return str(error)
    return ""


def claim(connection: Connection, name: str, at: Ticks) -> tuple[bool, bool]:
    """Take the last tick of a pipeline in the state tables of a database.

    Returns:
        Whether this caller got it (nobody took it before), and whether a tick before it in the window was taken by nobody.
    """
    answer = call("claim_tick", {"connection": connection._id, "pipeline_name": name, "tick": _microseconds(at.last)})
    previous = None if answer["previous"] is None else _time(answer["previous"])
    return answer["claimed"], at.earlier is not None and (previous is None or previous < at.earlier)


def _microseconds(at: datetime) -> int:
    return ((at if at.tzinfo is not None else at.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _time(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND
