"""What scd2 must leave in a history table."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.oracle.model import Counts, Key, Model, Refused, Row, check_deletes, key_of, refuse
from tests.oracle.values import infinite, ordered, text

MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Version:
    """One version of a key; ``end`` is None while it is the current one. ``run`` and ``at`` are of the load that inserted it."""

    key: Key
    values: tuple[Any, ...]
    start: datetime
    end: datetime | None = None
    run: str = field(default="", compare=False)
    at: datetime | None = field(default=None, compare=False)


@dataclass(kw_only=True)
class History(Model):
    """The versions of all keys.

    Args:
        keys: the key columns.
        compare: the columns whose change makes a version.
        event: the column that gives the start of a version; without it that is the load time.
        versions: ``latest``: of several rows of a key the one with the greatest event counts; ``all``: all count, in order of event.
        late: what happens to rows of the past that would change something: ``error``, ``ignore``, ``splice``.
        ttl: current versions that started longer ago are closed.
        soft: current versions whose key the source lacks are closed.
        limit: ``max_delete_fraction``, a share of the versions that were current.
        names: other names of ``valid_from``, ``valid_to``, ``is_current`` and ``row_hash``.
    """

    keys: Sequence[str]
    compare: Sequence[str]
    event: str | None = None
    versions: str = "latest"
    late: str = "error"
    ttl: timedelta | None = None
    soft: bool = False
    limit: float | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    stored: dict[Key, list[Version]] = field(default_factory=dict)
    closures: list[tuple[Key, datetime, datetime | None, str]] = field(default_factory=list)

    def _take(self, rows: Sequence[Row], at: datetime, run: str) -> Counts:
        refuse(self._nulls(rows) | self._unusable_events(rows))
        staged = self._staged(rows)
        before = {key: list(versions) for key, versions in self.stored.items()}
        after, refused, gone = dict(before), set(), set()
        for key, same in staged.items():
            try:
                after[key] = OneKey(self, key, before.get(key, []), at, run).after(same)
            except Refused as refusal:
                refused |= refusal.kinds
        if self.soft:
            current = {key for key, versions in before.items() if versions[-1].end is None}
            gone = current - set(staged)
            try:
                check_deletes(len(gone), len(current), empty=not rows, limit=self.limit)
            except Refused as refusal:
                refused |= refusal.kinds
        refuse(refused)
        after |= {key: ended(after[key], at) for key in gone}
        after, expired = self._expire(after, at)
        inserted, moved = self._differences(before, after)
        self.closures += [(one.key, one.start, one.end, run) for one in (*moved, *(one for one in inserted if one.end is not None))]
        self.stored = after
        # A version that was inserted and expired by one load was closed by it too; one that was inserted closed was not.
        counts = {"rows_inserted": len(inserted), "rows_closed": len(moved) + sum(one in inserted for one in expired)}
        return counts | ({"rows_deleted": len(gone)} if self.soft else {})

    def all(self) -> list[Version]:
        """Every version, by key and start."""
        return sorted((one for versions in self.stored.values() for one in versions), key=lambda one: (one.key, one.start))

    def table(self) -> list[dict[str, Any]]:
        called = {name: self.names.get(name, name) for name in ("valid_from", "valid_to", "is_current", "row_hash")}
        hashed = [name for name in self.columns if name in self.compare]
        found = []
        for version in (one for versions in self.stored.values() for one in versions):
            row = dict(zip(self.columns, version.values, strict=True))
            own = {
                "valid_from": version.start,
                "valid_to": version.end,
                "is_current": version.end is None,
                "row_hash": row_hash([text(row[name]) for name in hashed]),
            }
            found.append(
                self._shown(row)
                | {called[name]: value for name, value in own.items()}
                | {"_loaded_at": version.at, "_batch_id": version.run}
            )
        return found

    def _unusable_events(self, rows: Sequence[Row]) -> set[str]:
        unusable = self.event and any(row[self.event] is None or infinite(row[self.event]) for row in rows)
        return {"DataError"} if unusable else set()

    def _staged(self, rows: Sequence[Row]) -> dict[Key, list[Row]]:
        """The rows of each key that count, in order of event."""
        found: dict[Key, list[Row]] = {}
        for row in rows:
            found.setdefault(key_of(row, self.keys), []).append(row)
        if not self.event:
            if any(len(same) > 1 for same in found.values()):
                raise Refused("DuplicateKeys")
            return found
        staged = {}
        for key, same in found.items():
            by_event: dict[Any, Row] = {}
            for row in same:
                other = by_event.setdefault(ordered(row[self.event]), row)
                if any(text(row[name]) != text(other[name]) for name in self.columns):
                    raise Refused("DuplicateKeys")
            in_order = [by_event[event] for event in sorted(by_event)]
            staged[key] = in_order if self.versions == "all" else in_order[-1:]
        return staged

    def _expire(self, after: dict[Key, list[Version]], at: datetime) -> tuple[dict[Key, list[Version]], list[Version]]:
        if self.ttl is None:
            return after, []
        old = [key for key, versions in after.items() if versions and versions[-1].end is None and versions[-1].start < at - self.ttl]
        after = after | {key: ended(after[key], at) for key in old}
        return after, [after[key][-1] for key in old]

    @staticmethod
    def _differences(before: Mapping[Key, list[Version]], after: Mapping[Key, list[Version]]) -> tuple[list[Version], list[Version]]:
        """The versions that were inserted, and the stored ones whose end was set or moved."""
        inserted, moved = [], []
        for key, versions in after.items():
            ends = {one.start: one.end for one in before.get(key, [])}
            assert set(ends) <= {one.start for one in versions}, "a stored version is never removed"
            for one in versions:
                if one.start not in ends:
                    inserted.append(one)
                elif one.end != ends[one.start]:
                    moved.append(one)
        return inserted, moved


@dataclass(frozen=True)
class OneKey:
    """One key in one load: its stored versions, and what its staged rows make of them."""

    of: History
    key: Key
    versions: list[Version]
    at: datetime
    run: str

    def after(self, rows: Sequence[Row]) -> list[Version]:
        if not self.of.event:
            return self._by_load_time(rows[0])
        if not self.versions:
            return self._walk([], rows)
        last = self.versions[-1]
        return self._with_current(last, rows) if last.end is None else self._all_closed(last.end, rows)

    def _by_load_time(self, row: Row) -> list[Version]:
        last = self.versions[-1] if self.versions else None
        if last is None:
            return [self._version(row, self.at)]
        if last.end is not None:
            return [*self.versions, self._version(row, max(self.at, last.end))]
        if self._equal(last, row):
            return self.versions
        start = max(self.at, last.start + MICROSECOND)
        return [*self.versions[:-1], replace(last, end=start), self._version(row, start)]

    def _with_current(self, current: Version, rows: Sequence[Row]) -> list[Version]:
        late = [row for row in rows if self._event(row) <= current.start]
        # A key whose newest row still says what is current has not changed, whenever that row is from.
        if late and late[-1] is rows[-1] and self._equal(current, rows[-1]) and self.of.late != "splice":
            late = late[:-1]
        return self._walk(self._past(late), [row for row in rows if self._event(row) > current.start])

    def _all_closed(self, end: datetime, rows: Sequence[Row]) -> list[Version]:
        newest = rows[-1]
        if self._expired(newest):
            return self._past(rows if self.of.late == "splice" else rows[:-1])
        if self._event(newest) >= end:
            normal = [row for row in rows if self._event(row) >= end]
            return self._walk(self._past([row for row in rows if self._event(row) < end]), normal)
        past = self._past(rows if self.of.late == "splice" else rows[:-1])
        return [*past, self._version(newest, max(self.at, end))]

    def _expired(self, row: Row) -> bool:
        """Whether the row's version was stored and has expired since: it is not opened again."""
        state = self._state(self.versions, self._event(row))
        return self.of.ttl is not None and state is not None and state.start < self.at - self.of.ttl and self._equal(state, row)

    def _walk(self, versions: Sequence[Version], rows: Sequence[Row]) -> list[Version]:
        """Versions of rows that come after everything stored, each closing the one before it at its own event."""
        result = list(versions)
        for row in rows:
            event = self._event(row)
            if result and result[-1].end is None:
                if self._equal(result[-1], row):
                    continue
                result[-1] = replace(result[-1], end=event)
            result.append(self._version(row, event))
        return result

    def _past(self, late: Sequence[Row]) -> list[Version]:
        """What rows from before the newest version make of the stored ones."""
        if self.of.late == "splice":
            return self._splice(late)
        for row in late:
            state = self._state(self.versions, self._event(row))
            if self.of.late == "error" and not (state and self._equal(state, row)):
                raise Refused("OutOfOrder")
        return self.versions

    def _splice(self, late: Sequence[Row]) -> list[Version]:
        result = list(self.versions)
        for row in late:
            event = self._event(row)
            state = self._state(result, event)
            if state and self._equal(state, row):
                continue
            if state and state.start == event:
                raise Refused("OutOfOrder")
            if state:
                result[result.index(state)] = replace(state, end=event)
            following = [one.start for one in result if one.start > event]
            end = state.end if state else min(following)
            result.append(replace(self._version(row, event), end=end))
            result.sort(key=lambda one: one.start)
        return result

    def _event(self, row: Row) -> datetime:
        assert self.of.event
        event: datetime = ordered(row[self.of.event])
        return event

    def _version(self, row: Row, start: datetime) -> Version:
        return Version(self.key, tuple(row[name] for name in self.of.columns), start, None, self.run, self.at)

    def _equal(self, version: Version, row: Row) -> bool:
        return all(version.values[list(self.of.columns).index(name)] == row[name] for name in self.of.compare)

    @staticmethod
    def _state(versions: Sequence[Version], at: datetime) -> Version | None:
        return next((one for one in versions if one.start <= at and (one.end is None or at < one.end)), None)


def ended(versions: Sequence[Version], at: datetime) -> list[Version]:
    """The current version closed at a load time, or just after it started where that lies in the future."""
    *closed, current = versions
    return [*closed, replace(current, end=max(at, current.start + MICROSECOND))]


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
