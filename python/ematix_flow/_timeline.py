"""The versions of a key as bars on a line of time: SVG without scripts, in the colours of its surroundings."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WIDTH, _LEFT, _RIGHT, _ARROW = 760.0, 8.0, 720.0, 28.0
_LANE, _BAR, _TOP = 26.0, 20.0, 6.0
_LEAST = 4.0  # pixels of the shortest bar
_DIGIT, _LETTER = 7.7, 7.2  # about what a character takes, in pixels

_CURRENT = "#3b82f6"


def svg(versions: Sequence[Mapping[str, Any]]) -> str:
    """The drawing, or nothing where there is no version or a start that no line of time has.

    >>> "<svg" in svg([{"version": 1, "valid_from": date(2026, 1, 1), "valid_to": None, "is_current": True}])
    True
    >>> svg([])
    ''
    """
    starts = [_instant(version["valid_from"]) for version in versions]
    ends = [_instant(version["valid_to"]) for version in versions]
    known = [start for start in starts if start is not None]
    if not versions or len(known) < len(versions):
        return ""
    places = _places(known, [end for end in ends if end is not None], any(end is None for end in ends))
    lanes = _lanes(known, ends)
    height = _TOP + _LANE * (max(lanes) + 1)
    bars, ticks = [], set()
    for version, start, end, lane in zip(versions, known, ends, lanes, strict=True):
        left, top = places[start], _TOP + _LANE * lane
        right = _RIGHT if end is None else max(places.get(end, left), left + _LEAST - 1)
        ticks |= {start} | ({end} if end is not None else set())
        bars.append(_bar(version, left, right, top, opens=end is None))
    axis = f'<line x1="{_LEFT}" y1="{height:.0f}" x2="{_RIGHT + _ARROW:.0f}" y2="{height:.0f}" stroke="currentColor" stroke-opacity=".4"/>'
    labels = _labels(sorted(ticks), places, height)
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height + 24:.0f}" width="{_WIDTH:.0f}" style="max-width:100%;height:auto;color:inherit" role="img" '
        f'aria-label="{len(versions)} versions on a line of time" font-family="system-ui,sans-serif" font-size="12">{"".join(bars)}{axis}{labels}</svg>'
    )


def _instant(value: object) -> datetime | None:
    """A time as one that can be compared with the others; None is an open end, or a time that Python does not have."""
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None


def _places(starts: list[datetime], ends: list[datetime], opens: bool) -> dict[datetime, float]:
    """The pixel of each time: in proportion, and moved as little as gives every bar a width."""
    times = sorted({*starts, *ends})
    span = (times[-1] - times[0]) / timedelta(microseconds=1) or 1.0
    right = _RIGHT - (_ARROW * 2 if opens else 0)
    least = min(_LEAST, (right - _LEFT) / len(times))
    places = [_LEFT + (at - times[0]) / timedelta(microseconds=1) / span * (right - _LEFT) for at in times]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + least)
    places[-1] = min(places[-1], right)
    for i in range(len(places) - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - least)
    return dict(zip(times, places, strict=True))


def _lanes(starts: list[datetime], ends: list[datetime | None]) -> list[int]:
    """Versions stand on one line; those that overlap, which they should not, one below the other."""
    free: list[datetime | None] = []
    lanes = []
    for start, end in zip(starts, ends, strict=True):
        lane = next((i for i, until in enumerate(free) if until is not None and until <= start), len(free))
        free[lane : lane + 1] = [end]
        lanes.append(lane)
    return lanes


def _bar(version: Mapping[str, Any], left: float, right: float, top: float, *, opens: bool) -> str:
    color = _CURRENT if version["is_current"] or (version["is_current"] is None and opens) else "currentColor"
    opacity = 0.65 if color == _CURRENT else 0.22 + 0.16 * (version["version"] % 2)
    middle, bottom = top + _BAR / 2, top + _BAR
    tip = (
        f"{right:.1f},{top:.1f} {right + _ARROW:.1f},{middle:.1f} {right:.1f},{bottom:.1f}"
        if opens
        else f"{right:.1f},{top:.1f} {right:.1f},{bottom:.1f}"
    )
    shape = f'<polygon points="{left:.1f},{top:.1f} {tip} {left:.1f},{bottom:.1f}" fill="{color}" fill-opacity="{opacity:.2f}"/>'
    number = str(version["version"])
    label = ""
    if right - left >= len(number) * _DIGIT + 4:
        label = f'<text x="{(left + right) / 2:.1f}" y="{middle + 4:.1f}" text-anchor="middle" fill="currentColor">{number}</text>'
    return f"<g><title>{escape(_title(version))}</title>{shape}{label}</g>"


def _title(version: Mapping[str, Any]) -> str:
    changes = ", ".join(change["column"] for change in version.get("changes", ()))
    span = f"version {version['version']}: {_spelled(version['valid_from'])} to {_spelled(version['valid_to']) or 'now'}"
    return f"{span}; changed: {changes}" if changes else span


def _spelled(value: object) -> str:
    return value.replace(tzinfo=None).isoformat(" ") if isinstance(value, datetime) else "" if value is None else str(value)


def _labels(times: list[datetime], places: Mapping[datetime, float], y: float) -> str:
    """Times below the axis: the first, the last, and of the others those that have room."""
    texts = _spellings(times)
    taken: list[tuple[float, float]] = []
    shown = []
    seen = set()
    for at in [times[0], times[-1], *times[1:-1]]:
        text = texts[at]
        half = len(text) * _LETTER / 2
        middle = min(max(places[at], _LEFT + half), _WIDTH - half)
        if text in seen or any(middle - half - 8 < right and left < middle + half + 8 for left, right in taken):
            continue
        taken.append((middle - half, middle + half))
        seen.add(text)
        shown.append(
            f'<line x1="{places[at]:.1f}" y1="{y:.0f}" x2="{places[at]:.1f}" y2="{y + 4:.0f}" stroke="currentColor" stroke-opacity=".6"/>'
            f'<text x="{middle:.1f}" y="{y + 17:.0f}" text-anchor="middle" fill="currentColor" fill-opacity=".8">{text}</text>'
        )
    return "".join(shown)


def _spellings(times: list[datetime]) -> dict[datetime, str]:
    """Days where these tell the times apart, else as much more as does."""
    for form in ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"):
        texts = [at.strftime(form) for at in times]
        midnight = form != "%Y-%m-%d" or all(at.hour == at.minute == at.second == at.microsecond == 0 for at in times)
        # Many versions in a moment need not all be told apart on an axis of years.
        distinct = all(a != b for a, b in pairwise(texts)) or (times[-1] - times[0] > timedelta(days=1) and texts[0] != texts[-1])
        if distinct and (midnight or times[-1] - times[0] > timedelta(days=3 * len(times))):
            break
    return dict(zip(times, texts, strict=True))
