"""Strategies: what a load does with the rows of its source.

``strategy=`` takes an instance wherever ``mode=`` is taken. The fields are the options of that strategy under the names they have as
keyword arguments, so an option of another strategy cannot be given.

>>> MergeUpsert(keys=("id",), handle_deletes="hard").arguments()
{'mode': 'merge', 'keys': ('id',), 'handle_deletes': 'hard'}
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

__all__ = ["SCD2", "AppendOnly", "MergeUpsert", "Strategy", "TruncateReplace"]


@dataclass(frozen=True)
class Strategy:
    """The base of the strategies; not used by itself."""

    _mode: ClassVar[str] = ""

    def arguments(self) -> dict[str, Any]:
        """Mode and options as ``pipeline.sync`` takes them: ``mode``, and each option that is not at its default."""
        given: dict[str, Any] = {"mode": self._mode}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                given[field.name] = value
        return given


@dataclass(frozen=True)
class AppendOnly(Strategy):
    """Insert every source row.

    Args:
        incremental_column: load only the rows beyond the greatest value that was loaded before.
    """

    _mode = "append"

    incremental_column: str | None = None


@dataclass(frozen=True)
class TruncateReplace(Strategy):
    """Replace all rows in one transaction.

    Args:
        replace: ``"truncate"`` empties the table by TRUNCATE, ``"delete"`` by DELETE (for readers in older snapshots and for tables that
            others reference), ``"diff"`` writes only the differences.
    """

    _mode = "truncate"

    replace: Literal["truncate", "delete", "diff"] = "truncate"


@dataclass(frozen=True)
class MergeUpsert(Strategy):
    """Insert new keys, update the rows that differ.

    Args:
        keys: the key columns; by default those of the class.
        update_columns: the columns to compare and to set; by default all that are neither key nor metadata; ``()`` inserts only.
        handle_deletes: ``"hard"`` deletes the rows whose key the source lacks, ``"soft"`` marks them.
        deleted_column: name of the mark of soft deletes; by default ``is_deleted``.
        incremental_column: load only the rows from the greatest value on that was loaded before.
    """

    _mode = "merge"

    keys: Sequence[str] | None = None
    update_columns: Sequence[str] | None = None
    handle_deletes: Literal["hard", "soft"] | None = None
    deleted_column: str | None = None
    incremental_column: str | None = None


@dataclass(frozen=True)
class SCD2(Strategy):
    """Keep every version of a row: close the current one and insert the next when it changes.

    Args:
        keys: the key columns; by default those of the class.
        compare_columns: the columns whose change makes a version; by default all that are neither key nor metadata.
        event_timestamp_column: the source column that gives ``valid_from``. With it a source may have several rows of one key; see
            ``versions``.
        ttl: versions older than this are closed.
        handle_deletes: ``"soft"`` closes the versions whose key the source lacks.
        incremental_column: load only the rows from the greatest value on that was loaded before.
        versions: of several source rows of one key, ``"latest"`` takes only the one with the greatest event time; the others leave no
            trace. ``"all"`` makes each a version.
        late: what happens to a version older than the current one: ``"error"``, ``"splice"`` into its place, ``"ignore"``.
        guards: what the database itself keeps: ``"current"`` (one current version per key, ``valid_from < valid_to``), ``"full"`` (also no
            overlaps) or ``"off"``.
        scd2_columns: other names for ``valid_from``, ``valid_to``, ``is_current`` and ``row_hash``.
        closures: keep a table of what was closed, and when it became known.
    """

    _mode = "scd2"

    keys: Sequence[str] | None = None
    compare_columns: Sequence[str] | None = None
    event_timestamp_column: str | None = None
    ttl: timedelta | None = None
    handle_deletes: Literal["soft"] | None = None
    incremental_column: str | None = None
    versions: Literal["latest", "all"] = "latest"
    late: Literal["error", "splice", "ignore"] = "error"
    guards: Literal["current", "full", "off"] = "current"
    scd2_columns: Mapping[str, str] | None = None
    closures: bool = False


def merged_with(strategy: Strategy | None, mode: str | None, options: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Mode and options when a strategy, or a mode with options, or neither was given. Options that are ``None`` were not given.

    >>> merged_with(SCD2(keys=["id"]), None, {"keys": None, "on_drift": "warn"})
    ('scd2', {'keys': ['id'], 'on_drift': 'warn'})

    Raises:
        ValueError: an option was given both ways, or the mode is not the one of the strategy.
        TypeError: ``strategy`` is no strategy; an option that the strategy does not have.
    """
    if strategy is None:
        return mode, dict(options)
    if not isinstance(strategy, Strategy) or not strategy._mode:
        raise TypeError(f"strategy takes an instance of AppendOnly, TruncateReplace, MergeUpsert or SCD2, not {strategy!r}.")
    name = type(strategy).__name__
    if mode not in (None, strategy._mode):
        raise ValueError(
            f"mode={mode!r} and strategy={name}(...) contradict each other: {name} is mode {strategy._mode!r}. Leave mode out."
        )
    arguments = strategy.arguments()
    result = dict(options)
    for option, value in arguments.items():
        if option == "mode":
            continue
        if result.get(option) is not None:
            raise ValueError(f"{option} is given both as {option}= and as {name}({option}=...). Leave one of them out.")
        result[option] = value
    return strategy._mode, result
