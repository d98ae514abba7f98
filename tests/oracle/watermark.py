"""Which rows an incremental load takes, and how far it has read after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor
from typing import Any

from tests.oracle.values import infinite, ordered, text


@dataclass
class Watermark:
    """The greatest value that was loaded. ``strict`` is append's way: only what lies beyond it; the others also read what equals it."""

    column: str
    strict: bool = False
    lag: Any = None
    value: Any = None

    def taken(self, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The rows that a load takes now. The first one takes all."""
        if self.value is None:
            return list(rows)
        return [row for row in rows if self._beyond(row[self.column])]

    def advance(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """What is remembered after these rows were loaded: never NULL, NaN or an infinity, and never less than before."""
        found = [row[self.column] for row in rows if row[self.column] is not None and not infinite(row[self.column])]
        if found:
            greatest = max(found, key=ordered)
            if self.value is None or ordered(greatest) > ordered(self.value):
                self.value = greatest

    def _beyond(self, value: Any) -> bool:
        if value is None:
            return False
        if infinite(value):
            return not self.strict and infinite(value) > 0
        if self.strict:
            return bool(ordered(value) > ordered(self.value))
        return bool(ordered(value) >= self._since())

    def _since(self) -> Any:
        """The lower bound: where the type has no such value (half a day before a date, half of a number) the one before it."""
        since = ordered(self.value)
        if self.lag is None:
            return since
        since = since - self.lag
        if isinstance(since, datetime) and text(self.value) == f"{ordered(self.value):%Y-%m-%d}":
            since = since.replace(hour=0, minute=0, second=0, microsecond=0)
        return floor(since) if isinstance(ordered(self.value), int) else since
