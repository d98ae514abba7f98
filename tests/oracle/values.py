"""Values as a server takes, compares and shows them.

Models compare values with ``==``. Most Python values do what ``IS DISTINCT FROM`` does; a ``Cell`` stands for those that do not: NaN equals
NaN there, -0 equals 0, ``json`` is compared by its text and ``jsonb`` by its meaning, and infinite dates have no Python value at all.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any


@dataclass(frozen=True, eq=False)
class Cell:
    """One value.

    Args:
        literal: how a query spells it, before quoting.
        text: how the server shows it, stored in its column, under pinned settings.
        same: equal for two values exactly where they are not distinct.
        order: what watermarks are compared by, or None where the type has no use for it.
        infinite: 1 above all values (NaN too), -1 below them.
    """

    literal: str
    text: str
    same: Hashable
    order: Any = None
    infinite: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.same == other.same

    def __hash__(self) -> int:
        return hash(self.same)

    def __repr__(self) -> str:
        return f"<{self.literal}>"


def text(value: Any) -> str | None:
    """A value as the server shows it."""
    if isinstance(value, Cell):
        return value.text
    if isinstance(value, datetime):
        return shown_instant(value)
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def literal(value: Any) -> str:
    """A value as a query spells it, before quoting."""
    if isinstance(value, Cell):
        return value.literal
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def ordered(value: Any) -> Any:
    return value.order if isinstance(value, Cell) else value


def infinite(value: Any) -> int:
    return value.infinite if isinstance(value, Cell) else 0


def shown_instant(at: datetime) -> str:
    """timestamptz in UTC and ISO style, timestamp without a zone."""
    shown = at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
    seconds = shown.strftime("%H:%M:%S") + (f".{shown.microsecond:06d}".rstrip("0") if shown.microsecond else "")
    return f"{shown.year:04d}-{shown.month:02d}-{shown.day:02d} {seconds}" + ("+00" if at.tzinfo else "")


# How values of each kind are made


def instant(at: datetime) -> Cell:
    """timestamptz or timestamp."""
    return Cell(at.isoformat(sep=" "), shown_instant(at), at, at)


def whole_day(at: date) -> Cell:
    """date, which is ordered as the midnight it begins with."""
    midnight = datetime(at.year, at.month, at.day)
    return Cell(f"{midnight:%Y-%m-%d}", f"{midnight:%Y-%m-%d}", midnight, midnight)


def infinity(sign: int) -> Cell:
    """Of dates, timestamps, floats and numerics, which spell them differently only in what they show."""
    shown = "infinity" if sign > 0 else "-infinity"
    return Cell(shown, shown, shown, infinite=sign)


def before_christ(shown: str) -> Cell:
    """A date or time before year 1, given as it is shown."""
    return Cell(shown, shown, shown)


def numeric(number: Decimal | int | str, scale: int) -> Cell:
    """numeric(p, scale): equal numbers are equal, and shown with all digits of the scale."""
    exact = Decimal(number)
    if exact.is_nan():
        return Cell("NaN", "NaN", "NaN", infinite=1)
    stored = exact.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
    stored = abs(stored) if stored == 0 else stored
    return Cell(f"{exact:f}", f"{stored:f}", stored, stored)


def floating(shown: str) -> Cell:
    """double precision or real, given as it is shown: shortest text that reads back the same."""
    number = float(shown)
    if number != number:
        return Cell("NaN", "NaN", "NaN", infinite=1)
    if number in (float("inf"), float("-inf")):
        sign = 1 if number > 0 else -1
        return Cell(shown, "Infinity" if sign > 0 else "-Infinity", number, infinite=sign)
    return Cell(shown, shown, number, number)


def json_text(shown: str) -> Cell:
    """json: kept and compared as the text it came as."""
    return Cell(shown, shown, ("json", shown))


def jsonb(written: str, shown: str, meaning: Hashable) -> Cell:
    """jsonb: shown in a form of its own, and compared by meaning."""
    return Cell(written, shown, ("jsonb", meaning))


def octets(value: bytes) -> Cell:
    """bytea."""
    return Cell("\\x" + value.hex(), "\\x" + value.hex(), value)
