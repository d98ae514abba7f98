"""What all models have: they take in loads one after the other, and a load that is refused changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.oracle.values import text
from tests.oracle.watermark import Watermark

Key = tuple[Any, ...]
Row = Mapping[str, Any]
Counts = dict[str, int]

#: An empty source may take away so many rows, unless ``max_delete_fraction`` speaks for itself.
UNGUARDED = 100


class Refused(Exception):
    """A load that must fail. ``kinds`` are the classes of the error; several where more than one reason holds and either may be named."""

    def __init__(self, *kinds: str) -> None:
        super().__init__(*kinds)
        self.kinds = frozenset(kinds)


@dataclass(kw_only=True)
class Model:
    """A table and what one strategy makes of it.

    ``primary`` and ``required`` are the columns that may not be NULL: those of the primary key, and the others.
    """

    columns: Sequence[str]
    primary: Sequence[str] = ()
    required: Sequence[str] = ()
    watermark: Watermark | None = None
    _refusals: set[str] = field(default_factory=set, init=False, repr=False)

    def load(self, rows: Sequence[Row], at: datetime, run: str = "") -> Counts:
        """Take in one source at that load time; the counts of the result.

        Raises:
            Refused: the load fails. Nothing has changed.
        """
        taken = self.watermark.taken(rows) if self.watermark else list(rows)
        counts = self._take(taken, at, run)
        if self.watermark:
            self.watermark.advance(taken)
        return counts

    def table(self) -> list[dict[str, Any]]:
        """Every row with every column: declared ones as the server shows them, the load's own ones as they are."""
        raise NotImplementedError

    def _take(self, rows: Sequence[Row], at: datetime, run: str) -> Counts:
        raise NotImplementedError

    def _nulls(self, rows: Sequence[Row]) -> set[str]:
        """The kinds of refusal that NULLs in these rows give."""
        found = set()
        if any(row[name] is None for row in rows for name in self.primary):
            found.add("NullKey")
        if any(row[name] is None for row in rows for name in self.required if name not in self.primary):
            found.add("DataError")
        return found

    def _shown(self, row: Row) -> dict[str, Any]:
        return {name: text(row[name]) for name in self.columns}


def refuse(kinds: set[str]) -> None:
    """Raise when there is a reason to."""
    if kinds:
        raise Refused(*kinds)


def key_of(row: Row, keys: Sequence[str]) -> Key:
    return tuple(row[name] for name in keys)


def check_deletes(gone: int, current: int, *, empty: bool, limit: float | None) -> None:
    """Refuse to take away more than ``limit`` of the rows there are, or by default more than 100 because the source is empty."""
    if limit is None:
        if empty and gone > UNGUARDED:
            raise Refused("DeleteGuard")
    elif current and gone / current > limit:
        raise Refused("DeleteGuard")
