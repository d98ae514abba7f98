"""What append and truncate must leave in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.oracle.model import Counts, Key, Model, Row, key_of, refuse


@dataclass(kw_only=True)
class Append(Model):
    """Every row is inserted; a value of the primary key or of a unique constraint that is there already refuses the load."""

    unique: Sequence[Sequence[str]] = ()
    stored: list[tuple[Row, datetime, str]] = field(default_factory=list)

    def _take(self, rows: Sequence[Row], at: datetime, run: str) -> Counts:
        after = self.stored + [(row, at, run) for row in rows]
        refuse(self._nulls(rows) | self._repeated([row for row, _, _ in after]))
        self.stored = after
        return {"rows_inserted": len(rows)}

    def table(self) -> list[dict[str, Any]]:
        return [self._shown(row) | {"_loaded_at": at, "_batch_id": run} for row, at, run in self.stored]

    def _repeated(self, rows: Sequence[Row]) -> set[str]:
        for columns in (self.primary, *self.unique):
            found = [key for key in (key_of(row, columns) for row in rows) if None not in key]  # NULLs are distinct in constraints
            if columns and len(set(found)) < len(found):
                return {"DuplicateKeys"}
        return set()


@dataclass(kw_only=True)
class Truncate(Append):
    """The table holds what the source holds. ``diff`` writes only what differs, row by row of the primary key, and counts as merge does."""

    replace: str = "truncate"

    def _take(self, rows: Sequence[Row], at: datetime, run: str) -> Counts:
        refuse(self._nulls(rows) | self._repeated(rows))
        if self.replace != "diff":
            self.stored = [(row, at, run) for row in rows]
            return {"rows_inserted": len(rows)}
        before: dict[Key, tuple[Row, datetime, str]] = {key_of(row, self.primary): (row, written, by) for row, written, by in self.stored}
        counts = dict.fromkeys(("rows_inserted", "rows_updated", "rows_unchanged", "rows_deleted"), 0)
        after = []
        for row in rows:
            old = before.pop(key_of(row, self.primary), None)
            if old and all(old[0][name] == row[name] for name in self.columns):
                counts["rows_unchanged"] += 1
                after.append(old)
            else:
                counts["rows_updated" if old else "rows_inserted"] += 1
                after.append((row, at, run))
        counts["rows_deleted"] = len(before)
        self.stored = after
        return counts
