"""What scd2 must leave in a history table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

Key = tuple[Any, ...]
Row = Mapping[str, Any]

MICROSECOND = timedelta(microseconds=1)


class OutOfOrder(Exception):
    """A change that is not later than the version it would close."""


class DuplicateKeys(Exception):
    """A key that occurs twice."""


@dataclass(frozen=True)
class Version:
    """One version of a key; ``end`` is None while it is the current one."""

    key: Key
    values: tuple[Any, ...]
    start: datetime
    end: datetime | None = None


@dataclass
class History:
    """The versions of all keys. ``load`` is one run."""

    keys: Sequence[str]
    columns: Sequence[str]
    compare: Sequence[str]
    event: str | None = None
    soft: bool = False

    def __post_init__(self) -> None:
        self.versions: dict[Key, list[Version]] = {}

    def load(self, rows: Sequence[Row], at: datetime) -> tuple[int, int]:
        """Take in one source at that load time; how many versions were inserted and closed. An exception changes nothing."""
        chosen = self._one_row_per_key(rows)
        changed = {key: list(versions) for key, versions in self.versions.items()}
        inserted = closed = 0
        for key, row in chosen.items():
            versions = changed.setdefault(key, [])
            start = row[self.event] if self.event else at
            if current := _current(versions):
                if all(row[column] == self._value(current, column) for column in self.compare):
                    continue
                if self.event and start <= current.start:
                    raise OutOfOrder(key)
                start = max(start, current.start + MICROSECOND)
                versions[-1] = replace(current, end=start)
                closed += 1
            elif versions:
                last = versions[-1].end
                assert last is not None
                start = max(start if start >= last else at, last)
            versions.append(Version(key, tuple(row[column] for column in self.columns), start))
            inserted += 1
        if self.soft:
            for key, versions in changed.items():
                if key not in chosen and (current := _current(versions)):
                    versions[-1] = replace(current, end=max(at, current.start + MICROSECOND))
                    closed += 1
        self.versions = changed
        return inserted, closed

    def all(self) -> list[Version]:
        """Every version, by key and start."""
        return sorted(
            (version for versions in self.versions.values() for version in versions), key=lambda version: (version.key, version.start)
        )

    def _one_row_per_key(self, rows: Sequence[Row]) -> dict[Key, Row]:
        """The row of each key that counts: the one with the greatest event time."""
        found: dict[Key, list[Row]] = {}
        for row in rows:
            found.setdefault(tuple(row[name] for name in self.keys), []).append(row)
        chosen = {}
        for key, same in found.items():
            if not self.event and len(same) > 1:
                raise DuplicateKeys(key)
            if self.event:
                for one in same:
                    if any(one[self.event] == other[self.event] and any(one[c] != other[c] for c in self.columns) for other in same):
                        raise DuplicateKeys(key)
            chosen[key] = max(same, key=lambda row: row[self.event]) if self.event else same[0]
        return chosen

    def _value(self, version: Version, column: str) -> Any:
        return version.values[list(self.columns).index(column)]


def _current(versions: Sequence[Version]) -> Version | None:
    return versions[-1] if versions and versions[-1].end is None else None


def row_hash(texts: Sequence[str | None]) -> bytes:
    """The stored hash of a version: from the texts of its compare columns, as PostgreSQL renders them."""
    pieces = ("\\x00NULL\\x00" if text is None else text.replace("\\", "\\\\") for text in texts)
    return hashlib.sha256("\\x01".join(pieces).encode()).digest()


def flaws(versions: Sequence[Version]) -> list[str]:
    """What no history may have: an empty or overlapping interval, or two current versions of a key."""
    found = []
    by_key: dict[Key, list[Version]] = {}
    for version in versions:
        by_key.setdefault(version.key, []).append(version)
        if version.end is not None and version.end <= version.start:
            found.append(f"{version.key}: {version.start} to {version.end} is empty")
    for key, same in by_key.items():
        same.sort(key=lambda version: version.start)
        for one, other in pairwise(same):
            if one.end is None or one.end > other.start:
                found.append(f"{key}: the version of {one.start} overlaps the one of {other.start}")
    return found


def gaps(versions: Sequence[Version]) -> list[tuple[Key, datetime, datetime]]:
    """The times between two versions of a key in which it had none."""
    found = []
    ordered = sorted(versions, key=lambda version: (version.key, version.start))
    for one, other in pairwise(ordered):
        if one.key == other.key and one.end is not None and one.end < other.start:
            found.append((one.key, one.end, other.start))
    return found
