"""What merge must leave in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.oracle.model import Counts, Key, Model, Refused, Row, check_deletes, key_of, refuse
from tests.oracle.values import text


@dataclass(frozen=True)
class Stored:
    """A row with what the load knows of it."""

    row: Row
    at: datetime
    run: str
    deleted: bool = False


@dataclass(kw_only=True)
class Merge(Model):
    """New keys are inserted; rows that differ in one of ``update`` take all of ``update`` from the source; others are not touched.

    ``deletes``: ``hard`` deletes the rows whose key the source lacks, ``soft`` marks them in the column ``mark``. A marked row whose key comes
    back loses the mark and counts as updated. ``limit`` is ``max_delete_fraction``, a share of the rows that were there unmarked.
    """

    keys: Sequence[str]
    update: Sequence[str]
    deletes: str | None = None
    mark: str = "is_deleted"
    limit: float | None = None
    stored: dict[Key, Stored] = field(default_factory=dict)

    def _take(self, rows: Sequence[Row], at: datetime, run: str) -> Counts:
        refuse(self._nulls(rows))
        source = {key_of(row, self.keys): row for row in rows}
        if len(source) < len(rows):
            raise Refused("DuplicateKeys")
        after = dict(self.stored)
        counts = dict.fromkeys(("rows_inserted", "rows_updated", "rows_unchanged"), 0)
        for key, row in source.items():
            old = after.get(key)
            if old is None:
                after[key] = Stored(row, at, run)
                counts["rows_inserted"] += 1
            elif old.deleted or any(old.row[name] != row[name] for name in self.update):
                after[key] = Stored({**old.row, **{name: row[name] for name in self.update}}, at, run)
                counts["rows_updated"] += 1
            else:
                counts["rows_unchanged"] += 1
        if self.deletes:
            gone = [key for key, old in self.stored.items() if key not in source and not old.deleted]
            current = sum(not old.deleted for old in self.stored.values())
            check_deletes(len(gone), current, empty=not rows, limit=self.limit)
            for key in gone:
                old = after.pop(key)
                if self.deletes == "soft":
                    after[key] = Stored(old.row, at, run, deleted=True)
            counts["rows_deleted"] = len(gone)
        self.stored = after
        return counts

    def table(self) -> list[dict[str, Any]]:
        return [
            self._shown(one.row)
            | ({self.mark: text(one.deleted)} if self.deletes == "soft" else {})
            | {"_loaded_at": one.at, "_batch_id": one.run}
            for one in self.stored.values()
        ]
