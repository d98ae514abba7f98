"""What merge must leave in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Key = tuple[Any, ...]
Row = Mapping[str, Any]


class DuplicateKeys(Exception):
    """A key that occurs twice."""


def merge(
    target: Mapping[Key, Row], rows: Sequence[Row], *, keys: Sequence[str], update: Sequence[str]
) -> tuple[dict[Key, dict[str, Any]], tuple[int, int, int], set[Key]]:
    """The table after the load, the counts (inserted, updated, unchanged), and the keys of the rows that the load wrote."""
    source = {tuple(row[name] for name in keys): row for row in rows}
    if len(source) < len(rows):
        raise DuplicateKeys
    after = {key: dict(row) for key, row in target.items()}
    inserted = updated = unchanged = 0
    written = set()
    for key, row in source.items():
        if key not in after:
            after[key] = dict(row)
            inserted += 1
        elif any(after[key][column] != row[column] for column in update):
            after[key].update({column: row[column] for column in update})
            updated += 1
        else:
            unchanged += 1
            continue
        written.add(key)
    return after, (inserted, updated, unchanged), written
