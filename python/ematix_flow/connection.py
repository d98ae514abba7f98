# Longer than other files: all documented methods of one class, each little more than its signature and docstring.
"""``Connection``: a pool of connections to one database, and what can be asked of it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, overload

from ematix_flow.arguments import number_or_none, optional_text, text, texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ematix_flow._arrow import ArrowStream
    from ematix_flow._bridge import Progress
    from ematix_flow.doctor import Report
    from ematix_flow.history import KeyHistory, RunHistory
    from ematix_flow.result import Result

__all__ = ["Connection"]

# The options of a load that only some modes have: each is in the message, null where it was not given.
_LOAD_OPTIONS = (
    "keys",
    "update_columns",
    "compare_columns",
    "handle_deletes",
    "event_timestamp_column",
    "incremental_column",
    "ttl_seconds",
    "lock_timeout_ms",
)


def call(op: str, args: dict[str, Any], *, stream: object | None = None, progress: Progress | None = None) -> Any:
    """Ask the engine, which is loaded by the first call."""
    from ematix_flow import _bridge

    return _bridge.call(op, args, stream=stream, progress=progress)


def opened(answer: dict[str, Any]) -> Connection:
    """The Connection that the engine's answer to ``connect`` describes."""
    connection = object.__new__(Connection)
    connection._id = answer["connection"]
    connection._info = {name: answer[name] for name in ("host", "port", "dbname", "user")}
    connection._process = os.getpid()
    return connection


class Connection:
    """A pool of up to 8 connections to one database, made by ``ematix_flow.connect``. It may be used from several threads at once.

    Raises:
        TypeError: when the class is called.
    """

    _id: int
    _info: dict[str, Any]
    _process: int
    _closed = False

    def __new__(cls, *args: object, **kwargs: object) -> Connection:
        raise TypeError("A Connection is not made by calling the class. Use ematix_flow.connect(name) or ematix_flow._core.connect(url).")

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Connection cannot be copied or pickled: it belongs to this process. Connect again where it is needed.")

    # --- what it is

    def connection_info(self) -> dict[str, Any]:
        """``host``, ``port``, ``dbname`` and ``user``; no password."""
        return dict(self._info)

    def dsn(self) -> str:
        """The URL exactly as it was given, password included: for code that has to connect by itself."""
        return str(self._do("dsn"))

    def __repr__(self) -> str:
        return f"<Connection {' '.join(f'{name}={value}' for name, value in self._info.items())}>"

    # --- plain statements

    def ping(self) -> int:
        """``1``, after one round trip to the server."""
        return int(self._do("ping"))

    def execute(self, sql: str) -> int:
        """Run one statement, committed at once.

        Returns:
            Rows affected (INSERT, UPDATE, DELETE, MERGE) or returned (SELECT); 0 for DDL.

        Raises:
            ValueError: what the server refuses, with its message and hint.
        """
        return int(self._do("execute", sql=text("sql", sql)))

    def fetch_scalar_int(self, sql: str) -> int:
        """The first column of the first row, a whole number.

        Raises:
            ValueError: no row, NULL, or a column that is no whole number.
        """
        return int(self._do("fetch_scalar_int", sql=text("sql", sql)))

    def execute_in_transaction(self, sqls: Sequence[str]) -> None:
        """Run all statements in one transaction: all of them or none."""
        self._do("execute_in_transaction", sqls=texts("sqls", sqls))

    # --- tables and loads

    def ensure_table(self, spec_json: str, on_drift: str = "error") -> dict[str, Any]:
        """Create the table of a spec, or compare the one that is there.

        Args:
            on_drift: ``"error"``, ``"warn"`` or ``"evolve"``, as in ``ManagedTable.ensure``.

        Returns:
            ``{"action": "created" | "matched" | "drift" | "evolved", "differences": [str]}``.

        Raises:
            ValueError: the table differs, and ``on_drift`` is ``"error"``, or ``"evolve"`` and cannot remove every difference; the message lists
                them, one a line.
        """
        checked: dict[str, Any] = self._do("ensure_table", spec=text("spec_json", spec_json), on_drift=text("on_drift", on_drift))
        return checked

    def read_watermark(self, pipeline_name: str) -> dict[str, str] | None:
        """``pipeline_name``, ``column_name`` and ``last_value`` (text) of an incremental pipeline, or ``None`` before its first load."""
        found: dict[str, str] | None = self._do("read_watermark", pipeline_name=text("pipeline_name", pipeline_name))
        return found

    def run_append(
        self,
        target_spec_json: str,
        source_query: str,
        pipeline_name: str,
        source: Connection | None = None,
        incremental_column: str | None = None,
        last_value_literal: str | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Insert every row of the query into the table of the spec, whose columns are taken as they are.

        Args:
            target_spec_json: the table, metadata columns included (``augment_table_spec``).
            source_query: what is loaded.
            pipeline_name: the name in run history.
            source: the connection the query runs on; ``None`` means this one.
            incremental_column: load only rows whose value is greater than the watermark of the pipeline, and store the new one.
            last_value_literal: a finished SQL literal with its cast, such as ``'2026-04-30T00:00:00Z'::timestamptz``, in place of the
                watermark.
            dry_run: run the load and roll it back.
        """
        return self._load(
            "append",
            target_spec_json,
            source_query,
            pipeline_name,
            source,
            dry_run,
            incremental_column=optional_text("incremental_column", incremental_column),
            last_value_literal=optional_text("last_value_literal", last_value_literal),
        )

    def run_truncate(
        self,
        target_spec_json: str,
        source_query: str,
        pipeline_name: str,
        source: Connection | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Replace all rows of the table by those of the query; arguments as in ``run_append``."""
        return self._load("truncate", target_spec_json, source_query, pipeline_name, source, dry_run)

    def run_merge(
        self,
        target_spec_json: str,
        source_query: str,
        pipeline_name: str,
        keys: Sequence[str],
        update_columns: Sequence[str],
        mode_label: str,
        source: Connection | None = None,
        handle_deletes: str | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Insert new keys and update rows that differ; ``mode_label`` (``merge`` or ``scd1``) stands in the history.

        Raises:
            ValueError: ``keys`` is empty, or ``mode_label`` is another text; nothing is written.
        """
        if text("mode_label", mode_label) not in ("merge", "scd1"):
            raise ValueError(f"mode_label is 'merge' or 'scd1', not {mode_label!r}.")
        return self._load(
            mode_label,
            target_spec_json,
            source_query,
            pipeline_name,
            source,
            dry_run,
            keys=texts("keys", keys),
            update_columns=texts("update_columns", update_columns),
            handle_deletes=optional_text("handle_deletes", handle_deletes),
        )

    def run_scd2(
        self,
        target_spec_json: str,
        source_query: str,
        pipeline_name: str,
        keys: Sequence[str],
        compare_columns: Sequence[str],
        source: Connection | None = None,
        handle_deletes: str | None = None,
        event_timestamp_column: str | None = None,
        ttl_seconds: float | None = None,
        dry_run: bool = False,
    ) -> Result:
        """Close the versions that changed and insert the new ones; the spec comes from ``augment_table_spec_scd2``.

        Raises:
            ValueError: ``keys`` or ``compare_columns`` is empty; nothing is written.
        """
        return self._load(
            "scd2",
            target_spec_json,
            source_query,
            pipeline_name,
            source,
            dry_run,
            keys=texts("keys", keys),
            compare_columns=texts("compare_columns", compare_columns),
            handle_deletes=optional_text("handle_deletes", handle_deletes),
            event_timestamp_column=optional_text("event_timestamp_column", event_timestamp_column),
            ttl_seconds=number_or_none("ttl_seconds", ttl_seconds),
        )

    def _load(
        self,
        mode: str,
        target_spec_json: str,
        source_query: str,
        pipeline_name: str,
        source: Connection | None,
        dry_run: bool,
        **options: object,
    ) -> Result:
        from ematix_flow._progress import run_load
        from ematix_flow.result import Result

        if source is not None and not isinstance(source, Connection):
            raise TypeError(f"source is a Connection or None, not {type(source).__name__}.")
        message = dict.fromkeys(_LOAD_OPTIONS) | {
            "source": None if source is None else source._id,
            "spec": text("target_spec_json", target_spec_json),
            "augment": False,
            "mode": mode,
            "query": text("source_query", source_query),
            "pipeline_name": text("pipeline_name", pipeline_name),
            "force_path": "same_db" if source is None else "cross_db",
            "on_drift": "error",
            "dry_run": bool(dry_run),
            "on_busy": "wait",
        }
        return Result(run_load({"connection": self._id, **message, **options}))

    def record_transform_history(
        self,
        parent_run_id: str,
        pipeline_name: str,
        step_name: str,
        status: str,
        target_schema: str,
        target_table: str,
        error_message: str | None = None,
        metrics_json: str | None = None,
    ) -> None:
        """Write one finished post-load step into ``ematix_flow.run_history``.

        Raises:
            ValueError: ``parent_run_id`` is no UUID.
        """
        self._do(
            "record_transform_history",
            parent_run_id=text("parent_run_id", parent_run_id),
            pipeline_name=text("pipeline_name", pipeline_name),
            step_name=text("step_name", step_name),
            status=text("status", status),
            target_schema=text("target_schema", target_schema),
            target_table=text("target_table", target_table),
            error_message=optional_text("error_message", error_message),
            metrics_json=optional_text("metrics_json", metrics_json),
        )

    # --- what happened

    @overload
    def history(self, table: str | None = None, key: None = None, *, limit: int | None = None) -> RunHistory: ...

    @overload
    def history(
        self, table: str, key: object, *, limit: int | None = None, scd2_columns: Mapping[str, str] | None = None
    ) -> KeyHistory: ...

    def history(
        self,
        table: str | None = None,
        key: object = None,
        *,
        limit: int | None = None,
        scd2_columns: Mapping[str, str] | None = None,
    ) -> RunHistory | KeyHistory:
        """The runs that were recorded in this database, or every version of one key of a table.

        Both objects have ``to_dicts()``, print well, show in a notebook, and go to anything that takes an Arrow stream
        (``polars.DataFrame(history)``). Nothing is made or changed by asking, but that runs whose process died are marked ``lost`` where
        the role may write.

        Args:
            table: ``schema.table``, written as in SQL: names fold to lower case unless they stand in double quotes. Without ``key`` also the
                name of a pipeline; ``None`` means the runs of all.
            key: the key's value, a tuple for several columns, or a dict of column to value. The server reads them as the columns' types.
                A key without any version gives an empty history.
            limit: how many, the newest; by default 100 runs, and every version. Runs come newest first, versions oldest first.
            scd2_columns: the names of ``valid_from``, ``valid_to`` and ``is_current``, where the table's guards do not tell them. An
                ``is_current`` of ``""`` says that there is none.

        Raises:
            ValueError: an unknown name, table or column; a value that is not of its column's type; a key that is not whole.
            TypeError: an argument of a wrong Python type.
        """
        from ematix_flow.history import KeyHistory, RunHistory, key_arguments

        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise TypeError("limit is a whole number from 1 on, or None.")
        if key is None:
            if scd2_columns is not None:
                raise TypeError("scd2_columns= belongs to the history of a key: give key= too.")
            return RunHistory(self, self._do("history_of_runs", name=optional_text("table", table), limit=limit or 100))
        answer = self._do(
            "history_of_key",
            table=text("table", table),
            limit=limit or 0,
            scd2_columns=None if scd2_columns is None else dict(scd2_columns),
            **key_arguments(key),
        )
        return KeyHistory(self, answer)

    def doctor(
        self, table: str, *, keys: Sequence[str] | None = None, made_by: str | None = None, scd2_columns: Mapping[str, str] | None = None
    ) -> Report:
        """Look for what is wrong with a table of versions: duplicate current versions of a key, overlaps, gaps, flags and ends that
        contradict each other, versions that never held, NULL keys, missing guards, closures that do not agree. A table without versions is
        looked at for duplicates of its key.

        It only reads, in one pass. Each finding comes with SQL that repairs it, for you to read and run.

        Args:
            table: ``schema.table``, written as in SQL.
            keys: the columns of the key; by default those of the table's indexes.
            made_by: ``"ematix"``, ``"dbt"``, ``"dlt"`` or ``"sqlmesh"``, for the names of its columns; by default those of its guards.
            scd2_columns: the names of ``valid_from``, ``valid_to`` and ``is_current``, where neither tells them.

        Raises:
            ValueError: an unknown table or column; a key or validity columns that the catalogue does not tell.
        """
        from ematix_flow.doctor import Report

        asked = {
            "table": text("table", table),
            "keys": None if keys is None else texts("keys", keys),
            "made_by": optional_text("made_by", made_by) or "",
            "scd2_columns": None if scd2_columns is None else dict(scd2_columns),
        }
        return Report(self._do("doctor", **asked))

    # --- Arrow

    def read_arrow(self, sql: str, *, numeric: str | tuple[int, int] | None = None) -> ArrowStream:
        """The rows of a query as an Arrow stream: an object with ``__arrow_c_stream__``, for pyarrow, polars, duckdb and others.

        Args:
            sql: the query; it runs in a read-only transaction. Rows arrive batch by batch, in bounded memory.
            numeric: what ``numeric`` without precision becomes: text (``None``), ``"float64"``, or decimals of ``(precision, scale)``.

        Raises:
            ValueError: what the server refuses; a value that the column's type cannot hold.
        """
        from ematix_flow import _bridge
        from ematix_flow._arrow import ArrowStream

        asked = {"connection": self._id, "sql": text("sql", sql), "numeric": list(numeric) if isinstance(numeric, tuple) else numeric}
        _, capsule = _bridge.call_stream("read_arrow", asked)
        return ArrowStream(capsule)

    def _write_arrow(self, stream: object, schema: str, table: str) -> int:
        """Append the rows of anything with ``__arrow_c_stream__`` to a table that exists; the number of rows."""
        if not hasattr(stream, "__arrow_c_stream__"):
            raise TypeError(f"The rows come as an object with __arrow_c_stream__, not as {type(stream).__name__}.")
        asked = {"connection": self._id, "schema": text("schema", schema), "table": text("table", table)}
        return int(call("write_arrow", asked, stream=stream)["rows"])

    # --- its end

    def cancel(self) -> None:
        """Cancel what this object's calls are doing at this moment, from another thread; with none under way it does nothing.

        A load counts on both of its connections. Each call that is cancelled ends with ``QueryError``, "The call was cancelled.", and what it
        had done is rolled back; a load that is being committed is committed. In the main thread Ctrl-C does the same. Rows that are being
        read from a stream of ``read_arrow`` are no call: close the stream.
        """
        from ematix_flow import _bridge

        _bridge.cancel(self._id)

    def close(self) -> None:
        """Close the server connections. A closed connection may be closed again; any other use of it is an error."""
        self._do("disconnect")
        self._closed = True

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing, _getpid: Callable[[], int] = os.getpid) -> None:
        # An object that never got an id has nothing to close. At interpreter exit the process takes its sockets along, and a forked child
        # must not touch those of its parent. The functions are bound as defaults because module globals may be gone by then.
        if self._closed or not hasattr(self, "_id") or _is_finalizing() or _getpid() != self._process:
            return
        try:
            self.close()
        except Exception:  # nobody could catch it: Python would print "Exception ignored" on stderr
            return

    def _do(self, op: str, **args: object) -> Any:
        return call(op, {"connection": self._id, **args})
