"""``pipeline.is_due``, through the engine. What schedules mean is tested in core/internal/schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from ematix_flow import InvalidSchedule, pipeline
from ematix_flow.pipeline import schedule

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)
EARLY, LATE = timezone(timedelta(hours=-12)), timezone(timedelta(hours=14))


@pytest.mark.parametrize(
    ("schedule", "now", "interval", "due"),
    [
        ("0 0 * * *", MIDNIGHT, 60, True),
        ("0 0 * * *", MIDNIGHT + timedelta(seconds=30), 60, True),
        ("0 0 * * *", MIDNIGHT + timedelta(seconds=30), 30, False),
        ("0 0 * * *", MIDNIGHT + timedelta(seconds=30), 30.000001, True),
        ("0 0 * * *", MIDNIGHT - timedelta(microseconds=1), 60, False),
        ("0 0 * * *", MIDNIGHT.replace(tzinfo=None), 60, True),
        ("0 0 * * *", MIDNIGHT.astimezone(LATE), 60, True),
        ("0 0 * * *", datetime(2026, 1, 5, tzinfo=LATE), 60, False),
        ("* * * * *", MIDNIGHT, 0, False),
        ("* * * * *", datetime.min.replace(tzinfo=LATE), 60, True),
        ("* * * * *", datetime.max.replace(tzinfo=EARLY), 60, True),
        ("0 0 29 2 *", datetime(2027, 3, 1), 10**400 // 10**390, True),
        (None, MIDNIGHT, 60, False),
    ],
)
def test_is_due(schedule: str | None, now: datetime, interval: float, due: bool) -> None:
    assert pipeline.is_due(schedule, now, interval) is due


@pytest.mark.parametrize(
    "schedule", ["", "whenever", "* * * * * *", "0 0 30 2 *", "5-1 * * * *", "TZ=UTC", "@every 0s", "0 0 * * sat#1", "0 0 L * *"]
)
def test_what_is_no_cron_expression_is_shown(schedule: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        pipeline.is_due(schedule, MIDNIGHT, 0)
    assert isinstance(refused.value, ValueError)
    assert str(refused.value).startswith(f'The schedule "{schedule}" is not a cron expression: ')


@pytest.mark.parametrize(
    "arguments", [(5, MIDNIGHT, 60), ("@daily", date(2026, 1, 5), 60), ("@daily", MIDNIGHT, "60"), ("@daily", MIDNIGHT, True)]
)
def test_wrong_types(arguments: Any) -> None:
    with pytest.raises(TypeError):
        pipeline.is_due(*arguments)


@pytest.mark.parametrize("interval", [-1, float("inf"), float("nan")])
def test_an_interval_is_a_length(interval: float) -> None:
    with pytest.raises(ValueError, match="interval_seconds is a number of seconds from 0 on"):
        pipeline.is_due(None, MIDNIGHT, interval)


def test_problems_of_many_schedules() -> None:
    """Also where one cannot be sent at all."""
    wrong = 'The schedule "0 3 * * 8" is not a cron expression: at character 9, day of week: 8 is not from 0 to 7.'
    assert schedule.problems([None, "0 3 * * *", "0 3 * * 8", None, "@daily"]) == ["", "", wrong, "", ""]
    assert schedule.problems([None]) == [""]
    first, second, third = schedule.problems(["0 3 * * 8", "\0", None])
    assert (first, third) == (wrong, "")
    assert "NUL" in second
