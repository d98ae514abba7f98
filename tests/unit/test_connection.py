from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import _core

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine

SPEC = json.dumps({"schema": "s", "name": "t", "columns": []})

LOAD = {
    "connection": 1,
    "source": None,
    "spec": SPEC,
    "augment": False,
    "query": "SELECT 1",
    "pipeline_name": "p",
    "keys": None,
    "update_columns": None,
    "compare_columns": None,
    "handle_deletes": None,
    "event_timestamp_column": None,
    "incremental_column": None,
    "ttl_seconds": None,
    "force_path": "same_db",
    "on_drift": "error",
    "dry_run": False,
    "on_busy": "wait",
    "lock_timeout_ms": None,
}


def test_the_class_cannot_be_called() -> None:
    with pytest.raises(TypeError) as raised:
        _core.Connection("postgresql://loader:secret@db/dwh")
    assert str(raised.value) == (
        "A Connection is not made by calling the class. Use ematix_flow.connect(name) or ematix_flow._core.connect(url)."
    )


@pytest.mark.parametrize("carry", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_stays_in_its_process(connect: Callable[[], Any], carry: Any) -> None:
    with pytest.raises(TypeError, match=r"^A Connection cannot be copied or pickled: it belongs to this process\."):
        carry(connect())


def test_attributes_of_the_class_can_be_set(connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core.Connection, "read_df", lambda self, sql: (self.connection_info()["dbname"], sql), raising=False)
    assert connect().read_df("SELECT 1") == ("dwh", "SELECT 1")


def test_what_a_connection_shows(connect: Callable[[], Any], engine: Engine) -> None:
    connection = connect()
    assert connection.connection_info() == {"host": "db", "port": 5432, "dbname": "dwh", "user": "loader"}
    connection.connection_info()["host"] = "changed"
    assert repr(connection) == "<Connection host=db port=5432 dbname=dwh user=loader>"
    assert "secret" not in str(vars(connection))
    engine.answers["dsn"] = "postgresql://loader:secret@db/dwh"
    assert connection.dsn() == "postgresql://loader:secret@db/dwh"


@pytest.mark.parametrize(
    ("call", "op", "args", "answer"),
    [
        (lambda c: c.ping(), "ping", {}, 1),
        (lambda c: c.execute("SELECT 1"), "execute", {"sql": "SELECT 1"}, 1),
        (lambda c: c.execute(sql="SELECT 1"), "execute", {"sql": "SELECT 1"}, 1),
        (lambda c: c.fetch_scalar_int("SELECT 7"), "fetch_scalar_int", {"sql": "SELECT 7"}, 7),
        (lambda c: c.execute_in_transaction(("A", "B")), "execute_in_transaction", {"sqls": ["A", "B"]}, None),
        (lambda c: c.ensure_table(SPEC), "ensure_table", {"spec": SPEC, "on_drift": "error"}, {"action": "matched", "differences": []}),
        (lambda c: c.ensure_table(spec_json=SPEC, on_drift="warn"), "ensure_table", {"spec": SPEC, "on_drift": "warn"}, {}),
        (lambda c: c.read_watermark("p"), "read_watermark", {"pipeline_name": "p"}, None),
        (
            lambda c: c.record_transform_history("r", "p", "s", "transform_success", "x", "t", metrics_json="{}"),
            "record_transform_history",
            {
                "parent_run_id": "r",
                "pipeline_name": "p",
                "step_name": "s",
                "status": "transform_success",
                "target_schema": "x",
                "target_table": "t",
                "error_message": None,
                "metrics_json": "{}",
            },
            None,
        ),
    ],
)
def test_methods_send_one_message(
    engine: Engine, connect: Callable[[], Any], call: Any, op: str, args: dict[str, Any], answer: Any
) -> None:
    engine.answers[op] = answer
    assert call(connect()) == answer
    assert engine.asked(op) == [{"connection": 1, **args}]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.run_append(SPEC, "SELECT 1", "p"), {"mode": "append", "last_value_literal": None}),
        (
            lambda c: c.run_append(SPEC, "SELECT 1", "p", incremental_column="n", last_value_literal="1"),
            {"mode": "append", "incremental_column": "n", "last_value_literal": "1"},
        ),
        (lambda c: c.run_truncate(SPEC, "SELECT 1", "p", dry_run=True), {"mode": "truncate", "dry_run": True}),
        (
            lambda c: c.run_merge(SPEC, "SELECT 1", "p", ("id",), [], "scd1", handle_deletes="hard"),
            {"mode": "scd1", "keys": ["id"], "update_columns": [], "handle_deletes": "hard"},
        ),
        (
            lambda c: c.run_scd2(SPEC, "SELECT 1", "p", ["id"], ("a",), event_timestamp_column="at", ttl_seconds=60),
            {"mode": "scd2", "keys": ["id"], "compare_columns": ["a"], "event_timestamp_column": "at", "ttl_seconds": 60},
        ),
        (
            lambda c: c.run_append(SPEC, "SELECT 1", "p", source=c),
            {"mode": "append", "source": 1, "force_path": "cross_db", "last_value_literal": None},
        ),
    ],
)
def test_low_level_loads(engine: Engine, connect: Callable[[], Any], call: Any, message: dict[str, Any]) -> None:
    engine.answers["sync"] = {"status": "success", "rows_inserted": 1}
    result = call(connect())
    assert result == {"status": "success", "rows_inserted": 1}
    assert str(result) == "success: 1 inserted"
    assert engine.asked("sync") == [{**LOAD, **message}]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: _core.connect(5), "url is a str, not int."),
        (lambda c: _core.same_database("a", None), "b is a str, not NoneType."),
        (lambda c: _core.parse_spec(b"{}"), "json is a str, not bytes."),
        (lambda c: c.execute(b"SELECT 1"), "sql is a str, not bytes."),
        (lambda c: c.fetch_scalar_int(1), "sql is a str, not int."),
        (lambda c: c.execute_in_transaction("SELECT 1"), "sqls is a sequence of str, not str."),
        (lambda c: c.execute_in_transaction(["SELECT 1", 2]), "Each member of sqls is a str, not int."),
        (lambda c: c.ensure_table({}), "spec_json is a str, not dict."),
        (lambda c: c.run_merge(SPEC, "SELECT 1", "p", "id", [], "merge"), "keys is a sequence of str, not str."),
        (lambda c: c.run_append(SPEC, "SELECT 1", "p", source="x"), "source is a Connection or None, not str."),
        (lambda c: c.run_merge(SPEC, "SELECT 1", "p", ["id"], [], "merge", handle_deletes=True), "handle_deletes is a str, not bool."),
        (lambda c: c.run_scd2(SPEC, "SELECT 1", "p", ["id"], ["a"], ttl_seconds="60"), "ttl_seconds is a number, not str."),
        (lambda c: c.read_arrow(5), "sql is a str, not int."),
        (lambda c: c._write_arrow([1], "s", "t"), "The rows come as an object with __arrow_c_stream__, not as list."),
    ],
)
def test_wrong_types_are_refused(engine: Engine, connect: Callable[[], Any], call: Any, message: str) -> None:
    connection = connect()
    with pytest.raises(TypeError) as raised:
        call(connection)
    assert str(raised.value) == message
    assert [op for op, _ in engine.messages] == ["connect"]


def test_label_of_merge_is_checked(connect: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=r"^mode_label is 'merge' or 'scd1', not 'append'\.$"):
        connect().run_merge(SPEC, "SELECT 1", "p", ["id"], [], "append")


def test_rows_are_written_from_a_stream(connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from ematix_flow import _bridge

    class Rows:
        def __arrow_c_stream__(self) -> object:
            raise AssertionError("only the engine takes the rows")

    connection, rows, sent = connect(), Rows(), []
    monkeypatch.setattr(_bridge, "call", lambda op, args, *, stream=None, progress=None: sent.append((op, args, stream)) or {"rows": 3})
    assert connection._write_arrow(rows, "s", "t") == 3
    assert sent == [("write_arrow", {"connection": 1, "schema": "s", "table": "t"}, rows)]


def test_closed_at_the_end_of_a_block_and_by_the_collector(engine: Engine) -> None:
    with _core.connect("postgresql://a@b/c") as connection:
        assert engine.asked("disconnect") == []
    assert engine.asked("disconnect") == [{"connection": 1}]
    del connection
    dropped = _core.connect("postgresql://a@b/c")
    del dropped
    gc.collect()
    assert engine.asked("disconnect")[-1] == {"connection": 2}


def test_an_error_while_closing_does_not_leave_the_collector(engine: Engine) -> None:
    engine.answers["disconnect"] = ValueError("gone")
    dropped = _core.connect("postgresql://a@b/c")
    del dropped
    gc.collect()
    assert engine.asked("disconnect") == [{"connection": 1}]


def test_a_forked_child_does_not_close_what_its_parent_opened(engine: Engine) -> None:
    connection = _core.connect("postgresql://a@b/c")
    connection._process = os.getpid() + 1  # as a child of fork sees it
    del connection
    gc.collect()
    assert engine.asked("disconnect") == []


def test_nothing_is_printed_at_interpreter_exit() -> None:
    program = """
from ematix_flow import _bridge, _core
answers = {"connect": {"connection": 1, "host": "h", "port": 1, "dbname": "d", "user": "u"}, "disconnect": None}
_bridge.call = lambda op, args, *, stream=None, progress=None: answers[op]
kept = _core.connect("postgresql://a@b/c")
kept.itself = kept
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
