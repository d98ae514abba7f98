from __future__ import annotations

import json
import re
import warnings
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import Source, pipeline
from ematix_flow.strategy import SCD2, MergeUpsert, TruncateReplace
from ematix_flow.table import ManagedTable
from ematix_flow.types import BigInt, Column, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine

ANSWER = {"run_id": "r", "status": "success", "path": "same_db", "rows_inserted": 2}


class Orders(ManagedTable):
    __schema__ = "warehouse"
    __tablename__ = "orders"
    id = Column(BigInt, nullable=False, primary_key=True)
    note = Column(Text)


DEFAULT_MESSAGE = {
    "connection": 1,
    "source": None,
    "spec": json.dumps(Orders._to_spec()),
    "augment": True,
    "mode": "append",
    "query": "SELECT 1",
    "pipeline_name": None,
    "keys": None,
    "update_columns": None,
    "compare_columns": None,
    "handle_deletes": None,
    "event_timestamp_column": None,
    "incremental_column": None,
    "ttl_seconds": None,
    "force_path": None,
    "on_drift": "error",
    "dry_run": False,
    "on_busy": "wait",
    "lock_timeout_ms": None,
    "watermark_cap": None,
    "max_delete_fraction": None,
}


@pytest.fixture
def load(engine: Engine, connect: Callable[[], Any]) -> Callable[..., dict[str, Any]]:
    """Calls ``sync`` and returns the message it sent."""
    engine.answers["sync"] = ANSWER
    connection = connect()

    def call(**options: Any) -> dict[str, Any]:
        given = {"target": Orders, "source": Source(connection, "SELECT 1"), "target_connection": connection, **options}
        assert pipeline.sync(**given) == ANSWER
        return engine.asked("sync")[-1]

    return call


def test_message_of_the_defaults(load: Callable[..., dict[str, Any]]) -> None:
    assert load() == DEFAULT_MESSAGE


@pytest.mark.parametrize(
    ("options", "differences"),
    [
        ({"mode": "merge"}, {"mode": "merge", "keys": ["id"]}),
        ({"mode": "scd1", "update_columns": ()}, {"mode": "scd1", "keys": ["id"], "update_columns": []}),
        (
            {"mode": "scd2", "keys": ("note",), "compare_columns": ["note"], "ttl": timedelta(minutes=1, milliseconds=500)},
            {"mode": "scd2", "keys": ["note"], "compare_columns": ["note"], "ttl_seconds": 60.5},
        ),
        ({"mode": "merge", "keys": []}, {"mode": "merge", "keys": []}),
        ({"mode": "upsert", "keys": ["id"]}, {"mode": "upsert"}),
        ({"keys": ["id"]}, {}),
        ({"lock_timeout": timedelta(seconds=2)}, {"lock_timeout_ms": 2000}),
        ({"lock_timeout": 0.0001}, {"lock_timeout_ms": 1}),
        (
            {"on_busy": "skip", "on_drift": "warn", "force_path": "cross_db"},
            {"on_busy": "skip", "on_drift": "warn", "force_path": "cross_db"},
        ),
        (
            {"pipeline_name": "p", "dry_run": True, "incremental_column": "id"},
            {"pipeline_name": "p", "dry_run": True, "incremental_column": "id"},
        ),
        ({"mode": None}, {"mode": "None"}),
        ({"force_path": "", "handle_deletes": True, "on_drift": 1}, {"force_path": "''", "handle_deletes": "True", "on_drift": "1"}),
        ({"strategy": MergeUpsert(update_columns=["note"])}, {"mode": "merge", "keys": ["id"], "update_columns": ["note"]}),
        ({"mode": "merge", "lag": timedelta(seconds=1, microseconds=5)}, {"mode": "merge", "keys": ["id"], "lag_microseconds": 1_000_005}),
        ({"mode": "merge", "lag": Decimal("1E+2")}, {"mode": "merge", "keys": ["id"], "lag_number": "100"}),
        ({"mode": "merge", "lag": 0.1}, {"mode": "merge", "keys": ["id"], "lag_number": "0.1"}),
        ({"watermark_cap": True, "max_delete_fraction": 0.5}, {"watermark_cap": True, "max_delete_fraction": 0.5}),
        ({"strategy": TruncateReplace(replace="diff")}, {"mode": "truncate", "replace": "diff"}),
        ({"strategy": MergeUpsert(deleted_column="gone")}, {"mode": "merge", "keys": ["id"], "deleted_column": "gone"}),
        (
            {"strategy": SCD2(versions="all", late="splice", guards="off", closures=True, scd2_columns={"valid_to": "until"})},
            {
                "mode": "scd2",
                "keys": ["id"],
                "versions": "all",
                "late": "splice",
                "guards": "off",
                "closures": True,
                "scd2_columns": {"valid_from": "valid_from", "valid_to": "until", "is_current": "is_current", "row_hash": "row_hash"},
            },
        ),
    ],
)
def test_message_of_options(load: Callable[..., dict[str, Any]], options: dict[str, Any], differences: dict[str, Any]) -> None:
    assert load(**options) == {**DEFAULT_MESSAGE, **differences}


def test_source_of_another_connection(load: Callable[..., dict[str, Any]], connect: Callable[[], Any]) -> None:
    assert load(source=Source(connect(), "SELECT 2")) == {**DEFAULT_MESSAGE, "source": 2, "query": "SELECT 2"}


def test_result_is_a_dict_with_a_text(engine: Engine, load: Callable[..., dict[str, Any]], connect: Callable[[], Any]) -> None:
    connection = connect()
    result = pipeline.sync(target=Orders, source=Source(connection, "SELECT 1"), target_connection=connection)
    assert isinstance(result, dict)
    assert json.loads(json.dumps(result)) == ANSWER
    assert str(result) == "success: 2 inserted (same_db, run r)"


def test_keys_warning_comes_once_and_points_to_the_caller(load: Callable[..., dict[str, Any]]) -> None:
    other = type("Other", (Orders,), {"id": Column(BigInt, primary_key=True), "code": Column(Text), "__merge_keys__": ("code",)})
    with pytest.warns(UserWarning, match="primary key") as warned:
        assert load(target=other, mode="merge")["keys"] == ["code"]
    assert [warning.filename for warning in warned] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(target=other, mode="append")
        load(target=other, mode="merge", keys=["code"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": Orders()}, "target is a table class (@ematix.table or a subclass of ManagedTable), not an object of type Orders."),
        ({"target": int}, "target is a table class (@ematix.table or a subclass of ManagedTable), not the class int."),
        ({"source": "SELECT 1"}, "source is an ematix_flow.source.Source, not an object of type str."),
        (
            {"source": Source(object(), "x")},
            "The connection of the source is a Connection (ematix_flow.connect), not an object of type object.",
        ),  # type: ignore[arg-type]
        ({"source": Source(None, None)}, "The query of the source is a SQL text (str), not NoneType."),  # type: ignore[arg-type]
        ({"target_connection": None}, "target_connection is a Connection (ematix_flow.connect), not an object of type NoneType."),
        ({"mode": "merge", "keys": "id"}, "keys is a sequence of column names, not the text 'id'. Write ('id',)."),
        ({"update_columns": "id"}, "update_columns is a sequence of column names, not the text 'id'. Write ('id',)."),
        ({"compare_columns": [1]}, "compare_columns holds 1, which is no column name."),
        ({"ttl": 5}, "ttl is a datetime.timedelta, not int."),
        ({"pipeline_name": 5}, "pipeline_name is a str, not int."),
        ({"incremental_column": ["at"]}, "incremental_column is a str, not list."),
        ({"event_timestamp_column": 5}, "event_timestamp_column is a str, not int."),
        ({"dry_run": "yes"}, "dry_run is True or False, not an object of type str."),
        ({"lock_timeout": "5s"}, "lock_timeout is a datetime.timedelta or a number of seconds, not str."),
    ],
)
def test_wrong_types_are_refused(load: Callable[..., dict[str, Any]], engine: Engine, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        load(**options)
    assert str(raised.value) == message
    assert engine.asked("sync") == []


@pytest.mark.parametrize("seconds", [0, -1, timedelta(0), 3_000_000])
def test_lock_timeout_has_bounds(load: Callable[..., dict[str, Any]], seconds: Any) -> None:
    with pytest.raises(ValueError, match=r"^lock_timeout is more than 0 and at most 2147483 seconds, not "):
        load(lock_timeout=seconds)


def test_warnings_of_the_engine_are_warnings(engine: Engine, load: Callable[..., dict[str, Any]]) -> None:
    engine.answers["sync"] = {**ANSWER, "warnings": ["The source is a standby."]}
    with pytest.warns(UserWarning, match=r"^The source is a standby\.$"):
        load()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid_until": "x"}, "scd2_columns renames 'valid_until', and a history has valid_from, valid_to, is_current, row_hash."),
        ({"valid_to": ""}, "scd2_columns has an empty name."),
    ],
)
def test_history_columns_are_checked(load: Callable[..., dict[str, Any]], options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        load(strategy=SCD2(scd2_columns=options))


@pytest.mark.parametrize("option", ["pipeline_name", "incremental_column", "event_timestamp_column"])
def test_empty_names_are_refused(load: Callable[..., dict[str, Any]], option: str) -> None:
    with pytest.raises(ValueError, match=rf"^{option} is an empty text\. Leave it out, or give a name\.$"):
        load(**{option: " "})
