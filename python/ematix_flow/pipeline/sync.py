"""``sync``: one load of one table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ematix_flow._progress import checked_progress, run_load
from ematix_flow.arguments import number_or_none
from ematix_flow.connection import Connection
from ematix_flow.errors import InvalidSpec
from ematix_flow.pipeline.keys import key_columns
from ematix_flow.pipeline.warning import warn_user
from ematix_flow.result import Result
from ematix_flow.source import Source
from ematix_flow.strategy import Strategy, merged_with
from ematix_flow.table import ManagedTable, column_names

if TYPE_CHECKING:
    from collections.abc import Sequence


__all__ = ["Mode", "sync"]

Mode = Literal["append", "truncate", "merge", "scd1", "scd2"]

_MODES_WITH_KEYS = ("merge", "scd1", "scd2")


def sync(
    *,
    target: type[Any],  # a class under @ematix.table is for type checkers what its author wrote
    source: Source,
    target_connection: Connection,
    mode: str = "append",
    pipeline_name: str | None = None,
    on_drift: str = "error",
    keys: Sequence[str] | None = None,
    update_columns: Sequence[str] | None = None,
    compare_columns: Sequence[str] | None = None,
    force_path: str | None = None,
    incremental_column: str | None = None,
    handle_deletes: str | None = None,
    event_timestamp_column: str | None = None,
    ttl: timedelta | None = None,
    dry_run: bool = False,
    strategy: Strategy | None = None,
    on_busy: str = "wait",
    lock_timeout: timedelta | float | None = None,
    lag: timedelta | float | Decimal | None = None,
    max_delete_fraction: float | None = None,
    watermark_cap: bool | None = None,
    progress: str = "none",
) -> Result:
    """Load the rows of a source into a table, in one transaction.

    Args:
        target: the table class. The table is made when it is missing, and compared with its declaration when it is there.
        source: the query, and the connection it runs on.
        target_connection: the connection of the database that holds the table.
        mode: ``append``, ``truncate``, ``merge`` (or ``scd1``, the same) or ``scd2``.
        pipeline_name: the name in run history and watermarks; by default ``schema.table``.
        on_drift: ``error`` refuses a table that differs from its declaration, ``warn`` warns (``UserWarning``) and goes on, ``evolve`` adds
            new nullable columns and widens types where PostgreSQL does so without rewriting the table, in the load's transaction; where that is
            not all, it changes nothing and refuses.
        keys: merge and scd2: the key columns; by default those of the class.
        update_columns: merge: the columns to compare and to set; by default all others; ``()`` inserts only.
        compare_columns: scd2: the columns whose change makes a new version; by default all others.
        force_path: ``same_db`` or ``cross_db`` instead of what the two connections suggest.
        incremental_column: append, merge, scd2: read only what lies beyond the greatest value that was loaded before, the watermark. Append
            takes greater values; the others also take equal ones, so that rows of one moment are not lost. A column of times, numbers or
            text. The first load takes everything. Values that are infinite or NaN never become the watermark, and an append reads them, like
            NULL, only in its first load.
        lag: merge, scd2: read back by so much behind the watermark, a timedelta for times, a number for numbers: for rows that become
            visible late.
        watermark_cap: keep the watermark behind the oldest transaction that runs in the source, because it may still commit older rows. It
            is on for merge and scd2 with a column of times, where it costs reading a few rows again; ``True`` turns it on for append, which
            then also leaves rows beyond it to a later load.
        handle_deletes: what happens to keys that the source lacks: ``hard`` (merge) deletes, ``soft`` marks (merge) or closes (scd2).
        max_delete_fraction: refuse a load that would delete or close a larger share (0 to 1) of the current rows. Without it a load is refused
            whose source is empty and that would delete more than 100 rows, all there are; 1.0 allows that.
        event_timestamp_column: scd2: the source column that gives ``valid_from``. Of several source rows of one key only the one with the
            greatest event time is taken, unless ``SCD2(versions="all")`` keeps them all; two that differ at one time are refused, as are any
            without this column.
        ttl: scd2: current versions that started longer ago than this are closed.
        dry_run: run the load and roll it back; the counts are those of a real run.
        strategy: an instance of a class of ``ematix_flow.strategy``, instead of ``mode`` and its options.
        on_busy: what happens while another run loads the table: ``wait``, ``skip`` or ``fail``.
        lock_timeout: how long to wait for locks, a timedelta or seconds; by default 30 s.
        progress: what is said while the load runs: ``rich`` is a live line on the terminal or below the cell of a notebook, with phase, rows,
            bytes, rate and the age of the transaction; ``log`` is a line every ten seconds, to the logger ``ematix_flow`` or, where nobody listens
            to that, to stderr; ``auto`` chooses, and ``none`` says nothing.

    Returns:
        ``run_id``, ``status``, ``path`` and the counts of the mode: ``rows_inserted``, ``rows_updated``, ``rows_unchanged``,
        ``rows_closed``, and ``rows_deleted`` with ``handle_deletes``; ``watermark`` with ``incremental_column``: a dict of ``column``, ``since``
        (where the load read from), ``stored`` (where the next one starts) and ``cap``, as texts; ``retries`` where the load had to begin again.

    Raises:
        ValueError: every refusal of the engine and of the server (``ematix_flow.errors``). Nothing was written then.
        TypeError: an argument of a wrong Python type.
        NotImplementedError: an unknown mode.
    """
    # "append" is the default and so cannot be told from "not given".
    chosen, options = merged_with(
        strategy,
        None if strategy is not None and mode == "append" else mode,
        {
            "keys": keys,
            "update_columns": update_columns,
            "compare_columns": compare_columns,
            "incremental_column": incremental_column,
            "handle_deletes": handle_deletes,
            "event_timestamp_column": event_timestamp_column,
            "ttl": ttl,
            "on_drift": on_drift,
            "force_path": force_path,
            "on_busy": on_busy,
            "lock_timeout": lock_timeout,
            "lag": lag,
            "watermark_cap": watermark_cap,
            "max_delete_fraction": max_delete_fraction,
        },
    )
    return load(
        target=target,
        source=source,
        target_connection=target_connection,
        mode=chosen,
        pipeline_name=pipeline_name,
        dry_run=dry_run,
        progress=progress,
        **options,
    )


def load(
    *,
    target: type[Any],
    source: Source,
    target_connection: Connection,
    mode: str | None,
    pipeline_name: str | None,
    dry_run: bool = False,
    progress: str = "none",
    **options: Any,
) -> Result:
    """``sync`` with the options of its strategy beside its own, under their names."""
    checked_progress(progress)
    _check_types(target, source, target_connection)
    connections = {"connection": target_connection._id, "source": None if source.connection is target_connection else source.connection._id}
    described = message(target=target, query=source.query, mode=mode, pipeline_name=pipeline_name, dry_run=dry_run, **options)
    answer = run_load(connections | described, progress)
    for warning in answer.pop("warnings", None) or ():
        warn_user(warning)
    differences = answer.pop("differences", None)
    if differences:
        table = f"{target.__schema__}.{target.__tablename__}"
        warn_user(f"The table {table} is not as declared: {'; '.join(differences)}.")
    return Result(answer)


def message(
    *, target: type[ManagedTable], query: str, mode: str | None, pipeline_name: str | None, dry_run: bool = False, **options: Any
) -> dict[str, Any]:
    """What the engine is told of a load, the connections apart.

    Raises:
        TypeError: an option of a wrong Python type.
        ValueError: an option that no table could be loaded with; the engine refuses the others.
    """
    return {
        "spec": json.dumps(target._to_spec()),
        "augment": True,
        "mode": "None" if mode is None else _choice(mode),
        "query": query,
        "pipeline_name": _name("pipeline_name", pipeline_name),
        "keys": key_columns(target, passed=options["keys"], pipeline_name=pipeline_name) if mode in _MODES_WITH_KEYS else None,
        "update_columns": _names("update_columns", options["update_columns"]),
        "compare_columns": _names("compare_columns", options["compare_columns"]),
        "handle_deletes": _choice(options["handle_deletes"]),
        "event_timestamp_column": _name("event_timestamp_column", options["event_timestamp_column"]),
        "incremental_column": _name("incremental_column", options["incremental_column"]),
        "ttl_seconds": _seconds("ttl", options["ttl"]),
        "force_path": _choice(options["force_path"]),
        "on_drift": _choice(options["on_drift"]),
        "dry_run": _flag("dry_run", dry_run),
        "on_busy": _choice(options["on_busy"]),
        "lock_timeout_ms": _milliseconds(options["lock_timeout"]),
        **_lag(options["lag"]),
        "watermark_cap": _flag("watermark_cap", options["watermark_cap"]),
        "max_delete_fraction": number_or_none("max_delete_fraction", options["max_delete_fraction"]),
        **_of_one_strategy(options),
    }


def not_built(options: dict[str, Any]) -> None:
    """Refuse the options of later work that were given, by name."""
    for name, value in options.items():
        if value is not None:
            raise NotImplementedError(f"{name}= is not implemented yet.")


def _check_types(target: object, source: object, target_connection: object) -> None:
    if not (isinstance(target, type) and issubclass(target, ManagedTable)):
        raise TypeError(f"target is a table class (@ematix.table or a subclass of ManagedTable), not {_shown(target)}.")
    if not isinstance(source, Source):
        raise TypeError(f"source is an ematix_flow.source.Source, not {_shown(source)}.")
    if not isinstance(source.query, str):
        raise TypeError(f"The query of the source is a SQL text (str), not {type(source.query).__name__}.")
    for what, connection in (("target_connection", target_connection), ("The connection of the source", source.connection)):
        if not isinstance(connection, Connection):
            raise TypeError(f"{what} is a Connection (ematix_flow.connect), not {_shown(connection)}.")


def _shown(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"an object of type {type(value).__name__}"


def _flag(what: str, value: object) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise TypeError(f"{what} is True or False, not an object of type {type(value).__name__}.")
    return value


def _lag(value: timedelta | float | Decimal | None) -> dict[str, object]:
    """A timedelta as whole microseconds, a number as its exact text."""
    if isinstance(value, timedelta):
        return {"lag_microseconds": value // timedelta(microseconds=1)}
    if value is None:
        return {}
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        raise TypeError(f"lag is a datetime.timedelta or a number, not {type(value).__name__}.")
    if not math.isfinite(value):
        raise InvalidSpec("lag is a finite number.")
    return {"lag_number": format(Decimal(str(value)), "f")} if value else {}


_WORDS = ("replace", "versions", "late", "guards")


def _of_one_strategy(options: dict[str, Any]) -> dict[str, object]:
    """The options that only a strategy object has, where they are not at their defaults."""
    given: dict[str, object] = {name: _choice(options[name]) for name in _WORDS if options.get(name) is not None}
    if options.get("deleted_column") is not None:
        given["deleted_column"] = _name("deleted_column", options["deleted_column"])
    if options.get("closures") is not None:
        given["closures"] = _flag("closures", options["closures"])
    if options.get("scd2_columns") is not None:
        given["scd2_columns"] = _history_columns(options["scd2_columns"])
    return given


_HISTORY_COLUMNS = ("valid_from", "valid_to", "is_current", "row_hash")


def _history_columns(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(text, str) for pair in value.items() for text in pair):
        raise TypeError("scd2_columns is a mapping of valid_from, valid_to, is_current or row_hash to another name.")
    unknown = [name for name in value if name not in _HISTORY_COLUMNS]
    if unknown:
        raise InvalidSpec(f"scd2_columns renames {unknown[0]!r}, and a history has {', '.join(_HISTORY_COLUMNS)}.")
    if "" in value.values():
        raise InvalidSpec("scd2_columns has an empty name.")
    return {name: value.get(name, name) for name in _HISTORY_COLUMNS}


def _choice(value: object) -> str | None:
    """One of a few words. What is none of them is sent too: the engine refuses it in its turn, naming the option and its words."""
    return value if value is None or (isinstance(value, str) and value) else repr(value)


def _name(what: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, not {type(value).__name__}.")
    if not value.strip():
        raise InvalidSpec(f"{what} is an empty text. Leave it out, or give a name.")
    return value


def _names(what: str, value: Sequence[str] | None) -> list[str] | None:
    return None if value is None else list(column_names(what, value))


def _seconds(what: str, value: timedelta | None) -> float | None:
    if value is None:
        return None
    if not isinstance(value, timedelta):
        raise TypeError(f"{what} is a datetime.timedelta, not {type(value).__name__}.")
    return value.total_seconds()


def _milliseconds(value: timedelta | float | None) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (timedelta, int, float)):
        raise TypeError(f"lock_timeout is a datetime.timedelta or a number of seconds, not {type(value).__name__}.")
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if not 0 < seconds <= 2_147_483:  # PostgreSQL keeps the setting as milliseconds in 32 bits; 0 would mean "for ever"
        raise ValueError(f"lock_timeout is more than 0 and at most 2147483 seconds, not {seconds}.")
    return max(1, round(seconds * 1000))
