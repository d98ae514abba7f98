"""What is refused before a database is asked: by which error, with which names in it, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from ematix_flow import errors, pipeline
from ematix_flow.namespace import ematix
from ematix_flow.source import Source
from ematix_flow.strategy import SCD2, AppendOnly, MergeUpsert, TruncateReplace
from ematix_flow.table import ManagedTable
from ematix_flow.types import JSON, JSONB, UUID, BigInt, Boolean, Bytes, Column, Text, TimestampTZ
from tests.conformance.loading import Lane

HOUR = timedelta(hours=1)


class Subject(ManagedTable):
    __schema__ = "refusals"
    __tablename__ = "subject"
    __unique_constraints__ = (("code", "part"),)
    id = Column(BigInt, primary_key=True)
    code = Column(Text)
    part = Column(Text, nullable=False)
    name = Column(Text)
    at = Column(TimestampTZ)
    doc = Column(JSON)
    meta = Column(JSONB)
    uid = Column(UUID)
    flag = Column(Boolean)
    data = Column(Bytes)


class KeysOnly(ManagedTable):
    __schema__ = "refusals"
    __tablename__ = "subject"
    id = Column(BigInt, primary_key=True)
    part = Column(Text, primary_key=True)


class Closing(ManagedTable):
    __schema__ = "refusals"
    __tablename__ = "subject"
    run_id = Column(BigInt, primary_key=True)
    name = Column(Text)


KEY: dict[str, Any] = {"keys": ["id"]}


def scd2(**fields: Any) -> dict[str, Any]:
    return {"strategy": SCD2(keys=["id"], **fields)}


def merge(**fields: Any) -> dict[str, Any]:
    return {"mode": "merge", **KEY, **fields}


def by_event(**fields: Any) -> dict[str, Any]:
    return scd2(event_timestamp_column="at", **fields)


#: Arguments, and what the message must hold. All are InvalidSpec, and so ValueError.
ARGUMENTS: list[tuple[dict[str, Any], list[str]]] = [
    # Words
    ({"force_path": "nowhere"}, ["force_path", "nowhere", "same_db", "cross_db"]),
    ({"on_drift": "ignore"}, ["on_drift", "ignore", "evolve"]),
    ({"on_busy": "panic"}, ["on_busy", "panic"]),
    (merge(handle_deletes="gone"), ["handle_deletes", "gone"]),
    ({"strategy": TruncateReplace(replace="swap")}, ["replace", "swap", "diff"]),  # type: ignore[arg-type]
    (by_event(versions="some"), ["versions", "some", "latest", "all"]),
    (by_event(late="maybe"), ["late", "maybe", "splice", "ignore"]),
    (scd2(guards="none"), ["guards", "none", "full", "off"]),
    # Options of another mode, and options that contradict each other
    ({"mode": "truncate", "incremental_column": "id"}, ["incremental_column", "truncate"]),
    (merge(event_timestamp_column="at"), ["event_timestamp_column", "scd2"]),
    ({"event_timestamp_column": "at"}, ["event_timestamp_column", "scd2"]),
    (merge(ttl=HOUR), ["ttl", "scd2"]),
    ({"ttl": HOUR}, ["ttl", "scd2"]),
    ({"handle_deletes": "hard"}, ["handle_deletes", "append"]),
    ({"mode": "truncate", "handle_deletes": "soft"}, ["handle_deletes", "truncate"]),
    (merge(handle_deletes="hard", incremental_column="id"), ["handle_deletes", "incremental_column"]),
    (merge(handle_deletes="soft", incremental_column="id"), ["handle_deletes", "incremental_column"]),
    ({"mode": "scd2", **KEY, "handle_deletes": "soft", "incremental_column": "at"}, ["handle_deletes", "incremental_column"]),
    ({"mode": "scd2", **KEY, "handle_deletes": "hard"}, ["handle_deletes", "scd2"]),
    ({"mode": "append", "incremental_column": "at", "lag": HOUR}, ["lag", "append"]),
    ({"mode": "truncate", "lag": HOUR}, ["lag", "truncate"]),
    (merge(lag=HOUR), ["lag", "incremental_column"]),
    (merge(incremental_column="at", lag=5), ["lag", "at"]),
    (merge(incremental_column="id", lag=HOUR), ["lag", "id"]),
    (merge(incremental_column="at", lag=-HOUR), ["lag"]),
    (merge(handle_deletes="hard", max_delete_fraction=-0.01), ["max_delete_fraction", "0", "1"]),
    (merge(handle_deletes="hard", max_delete_fraction=1.01), ["max_delete_fraction", "0", "1"]),
    (merge(handle_deletes="hard", max_delete_fraction=float("nan")), ["max_delete_fraction"]),
    (scd2(versions="all"), ["versions", "event_timestamp_column"]),
    (scd2(late="splice"), ["late", "event_timestamp_column"]),
    (scd2(late="ignore"), ["late", "event_timestamp_column"]),
    # Columns of deletes, closures and history
    ({"strategy": MergeUpsert(keys=["id"], deleted_column="gone")}, ["deleted_column", "handle_deletes"]),
    ({"strategy": MergeUpsert(keys=["id"], handle_deletes="hard", deleted_column="gone")}, ["deleted_column", "soft"]),
    ({"strategy": MergeUpsert(keys=["id"], handle_deletes="soft", deleted_column="_loaded_at")}, ["_loaded_at"]),
    ({"strategy": MergeUpsert(keys=["id"], handle_deletes="soft", deleted_column="name")}, ["name"]),
    ({"target": Closing, "strategy": SCD2(closures=True)}, ["closures", "run_id"]),
    (scd2(scd2_columns={"valid_form": "start"}), ["scd2_columns", "valid_form", "valid_from"]),
    (scd2(scd2_columns={"valid_from": "name"}), ["name"]),
    (scd2(scd2_columns={"valid_from": "valid_to"}), ["scd2_columns", "valid_to"]),
    (scd2(scd2_columns={"valid_from": "x", "valid_to": "x"}), ["scd2_columns", "x"]),
    (scd2(scd2_columns={"row_hash": "_batch_id"}), ["_batch_id"]),
    ({"strategy": SCD2(keys=["code", "part"], guards="full")}, ["guards", "code"]),
    ({"strategy": SCD2(keys=["meta"], guards="full")}, ["guards", "meta"]),
    # Keys and columns
    (merge(keys=()), ["keys=", "__merge_keys__", "natural_key", "pk("]),
    ({"mode": "scd2", "keys": ()}, ["keys=", "__merge_keys__", "natural_key", "pk("]),
    (merge(keys=["nobody"]), ["keys", "nobody"]),
    (merge(keys=["id", "id"]), ["keys", "id", "twice"]),
    (merge(keys=["_batch_id"]), ["keys", "_batch_id"]),
    (merge(keys=["name"]), ["name", "unique"]),
    ({"mode": "scd2", "keys": ["doc"]}, ["doc", "JSON"]),
    (merge(update_columns=["nobody"]), ["update_columns", "nobody"]),
    (merge(update_columns=["id", "name"]), ["update_columns", "id"]),
    (merge(update_columns=["name", "name"]), ["update_columns", "name", "twice"]),
    ({"mode": "scd2", **KEY, "compare_columns": ["nobody"]}, ["compare_columns", "nobody"]),
    ({"mode": "scd2", **KEY, "compare_columns": ()}, ["compare"]),
    ({"mode": "scd2", **KEY, "compare_columns": ["valid_from"]}, ["compare_columns", "valid_from"]),
    ({"target": KeysOnly, "mode": "scd2"}, ["compare"]),
    ({"incremental_column": "nobody"}, ["incremental_column", "nobody"]),
    (merge(incremental_column="nobody"), ["incremental_column", "nobody"]),
    *[({"incremental_column": name}, ["incremental_column", name]) for name in ("doc", "meta", "uid", "flag", "data")],
]
#: Refused by Python, or by another class.
OTHERS: list[tuple[dict[str, Any], type[Exception], list[str]]] = [
    ({"mode": "upsert"}, NotImplementedError, ["upsert"]),
    ({"strategy": AppendOnly(), "mode": "merge"}, ValueError, ["append", "merge"]),
    ({"strategy": MergeUpsert(keys=["id"]), "keys": ["id"]}, ValueError, ["keys"]),
    ({"strategy": "scd2"}, TypeError, ["strategy"]),
    (merge(handle_deletes="hard", max_delete_fraction="half"), TypeError, ["max_delete_fraction"]),
    (merge(handle_deletes="hard", max_delete_fraction=True), TypeError, ["max_delete_fraction"]),
    (merge(incremental_column="at", lag="1h"), TypeError, ["lag"]),
    (merge(incremental_column="at", watermark_cap="yes"), TypeError, ["watermark_cap"]),
    (scd2(scd2_columns=["valid_from"]), TypeError, ["scd2_columns"]),
    (scd2(closures="yes"), TypeError, ["closures"]),
    ({"lock_timeout": 0}, ValueError, ["lock_timeout"]),
    (scd2(scd2_columns={"valid_from": "x" * 64}), errors.EmatixError, ["x" * 64]),
    ({"strategy": MergeUpsert(keys=["id"], handle_deletes="soft", deleted_column="x" * 64)}, errors.EmatixError, ["x" * 64]),
]


def sync(conn: Any, arguments: dict[str, Any]) -> None:
    given = {"target": Subject, "source": Source(conn, "SELECT 1 / 0"), "target_connection": conn, **arguments}
    pipeline.sync(**given)


@pytest.fixture
def conn(make_lane: Callable[..., Lane]) -> Iterator[Any]:
    """A connection to a database in which nothing is ever made, not even the state tables."""
    lane = make_lane("same_db")
    yield lane.target
    found = [name for (name,) in lane.database("SELECT nspname::text FROM pg_namespace WHERE nspname IN ('refusals', 'ematix_flow')")]
    for name in found:
        lane.database(f"DROP SCHEMA {name} CASCADE")
    assert found == []


@pytest.mark.parametrize("dry_run", [False, True], ids=["", "dry_run"])
@pytest.mark.parametrize(
    ("arguments", "words"), ARGUMENTS, ids=["-".join([str(number), *words[:2]]) for number, (_, words) in enumerate(ARGUMENTS)]
)
def test_arguments_that_cannot_be(conn: Any, arguments: dict[str, Any], words: list[str], dry_run: bool) -> None:
    with pytest.raises(errors.InvalidSpec) as refused:
        sync(conn, {**arguments, "dry_run": dry_run})
    assert [word for word in words if word not in str(refused.value)] == [], refused.value


@pytest.mark.parametrize(("arguments", "kind", "words"), OTHERS, ids=range(len(OTHERS)))
def test_arguments_of_a_wrong_kind(conn: Any, arguments: dict[str, Any], kind: type[Exception], words: list[str]) -> None:
    with pytest.raises(kind) as refused:
        sync(conn, arguments)
    assert type(refused.value) is kind or kind is errors.EmatixError
    assert [word for word in words if word not in str(refused.value)] == [], refused.value


@pytest.mark.parametrize("strategy", [{"compare_columns": ["a"]}, {"ttl": HOUR}, {"replace": "diff"}])
def test_an_option_of_another_strategy(strategy: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=next(iter(strategy))):
        MergeUpsert(**strategy)


def test_feature_views_are_later_work() -> None:
    with pytest.raises(NotImplementedError):
        ematix.feature_view(online=True)
