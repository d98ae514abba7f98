"""Rows that are refused: by which error, with which names in it, and the target stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ematix_flow import errors, pipeline
from ematix_flow.source import Source
from ematix_flow.strategy import SCD2, TruncateReplace
from ematix_flow.table import ManagedTable
from ematix_flow.types import BigInt, Numeric, String, TimestampTZ
from tests.conformance.loading import Lane
from tests.conformance.shapes import Shape

SUBJECT = Shape({"id": BigInt(), "name": String(3), "amount": Numeric(4, 2), "at": TimestampTZ()}, ("id",), ("id",), required=("name",))


@dataclass(frozen=True)
class Loading:
    """A table of its own for each test; ``{table}`` in a query is its name."""

    lane: Lane
    table: type[ManagedTable] = field(default_factory=SUBJECT.declared)

    @property
    def name(self) -> str:
        return f"conformance.{self.table.__tablename__}"

    def load(self, query: str, force_path: str = "same_db", **arguments: Any) -> dict[str, Any]:
        source = Source(self.lane.target, query.replace("{table}", self.name))
        return pipeline.sync(target=self.table, source=source, target_connection=self.lane.target, force_path=force_path, **arguments)

    def rows(self) -> list[tuple[Any, ...]]:
        return self.lane.database(f"SELECT s::text FROM {self.name} AS s ORDER BY id")


@pytest.fixture
def subject(make_lane: Callable[..., Lane]) -> Loading:
    return Loading(make_lane("same_db"))


BY_EVENT = {"strategy": SCD2(event_timestamp_column="at")}
KEYED = [{"mode": "merge"}, {"mode": "scd2"}]
EVERY = [{"mode": "append"}, {"mode": "truncate"}, *KEYED, BY_EVENT]
FIRST = "SELECT 1 AS id, 'a' AS name, 1.5 AS amount, '2020-01-05'::timestamptz AS at"

#: What is loaded after FIRST, by which strategies, and how it is refused.
ROWS: list[tuple[list[dict[str, Any]], str, type[Exception], list[str]]] = [
    (EVERY, "SELECT NULL::int AS id, 'a' AS name, 1 AS amount, now() AS at", errors.NullKey, ["id", "NULL"]),
    (EVERY, "SELECT 2 AS id, NULL::text AS name, 1 AS amount, now() AS at", errors.DataError, ["name", "NULL"]),
    (EVERY, "SELECT 2 AS id, 'abcd' AS name, 1 AS amount, now() AS at", errors.DataError, ["name"]),
    (EVERY, "SELECT 2 AS id, 'a' AS name, 99.999 AS amount, now() AS at", errors.DataError, ["amount"]),
    (EVERY, "SELECT 2 AS id, 'a' AS name, 'x' || n AS amount, now() AS at FROM generate_series(1, 2) AS n", errors.EmatixError, ["amount"]),
    (EVERY, "SELECT 2 AS id, 'a' AS name, now() AS at", errors.EmatixError, ["amount"]),
    (EVERY, "SELECT 2 AS id, 'a' AS name, 1 AS amount, now() AS at; SELECT 1", errors.InvalidQuery, []),
    (EVERY, "DELETE FROM {table}", errors.InvalidQuery, []),
    (EVERY, "SELECT * FROM refusals.nowhere", errors.InvalidQuery, ["nowhere"]),
    (KEYED, f"{FIRST} UNION ALL SELECT 7, 'b', 1, now() UNION ALL SELECT 7, 'b', 1, now()", errors.DuplicateKeys, ["id", "7"]),
    ([{"mode": "append"}], FIRST, errors.DuplicateKeys, ["subject_"]),
    ([{"mode": "truncate"}], f"{FIRST} UNION ALL {FIRST}", errors.DuplicateKeys, ["subject_"]),
    ([BY_EVENT], "SELECT 2 AS id, 'a' AS name, 1 AS amount, NULL::timestamptz AS at", errors.DataError, ["at", "NULL"]),
    ([BY_EVENT], "SELECT 2 AS id, 'a' AS name, 1 AS amount, 'infinity'::timestamptz AS at", errors.DataError, ["at", "infinity"]),
    ([BY_EVENT], "SELECT 2 AS id, 'a' AS name, 1 AS amount, '-infinity'::timestamptz AS at", errors.DataError, ["at", "infinity"]),
    (
        [BY_EVENT],
        "SELECT 1 AS id, 'b' AS name, 1 AS amount, '2020-01-04'::timestamptz AS at",
        errors.OutOfOrder,
        ["event_ts", "out-of-order", "at"],
    ),
    (
        [BY_EVENT],
        "SELECT 1 AS id, 'b' AS name, 1 AS amount, '2020-01-05'::timestamptz AS at",
        errors.OutOfOrder,
        ["event_ts", "out-of-order", "at"],
    ),
    (
        [BY_EVENT],
        "SELECT 2 AS id, name, 1 AS amount, '2020-01-04'::timestamptz AS at FROM (VALUES ('b'), ('c')) AS v (name)",
        errors.DuplicateKeys,
        ["id", "2"],
    ),
]
EACH = [(arguments, query, kind, words) for several, query, kind, words in ROWS for arguments in several]


@pytest.mark.parametrize("path", ["same_db", "cross_db"])
@pytest.mark.parametrize(("arguments", "query", "kind", "words"), EACH, ids=range(len(EACH)))
def test_rows_that_cannot_be(
    subject: Loading, path: str, arguments: dict[str, Any], query: str, kind: type[Exception], words: list[str]
) -> None:
    subject.load(FIRST, **arguments)
    before = subject.rows()
    with pytest.raises(kind) as refused:
        subject.load(query, path, **arguments)
    assert [word for word in words if word not in str(refused.value)] == [], refused.value
    assert subject.rows() == before
    recorded = subject.lane.database(
        "SELECT status, error_message FROM ematix_flow.run_history WHERE target_table = %s ORDER BY started_at", subject.table.__tablename__
    )
    assert recorded == [("success", None), ("failed", str(refused.value))]


MANY = "SELECT n AS id, 'a' AS name, n % 10 AS amount, '2020-01-05'::timestamptz AS at FROM generate_series(1, {}) AS n"
GUARDED = [
    {"mode": "merge", "handle_deletes": "hard"},
    {"mode": "merge", "handle_deletes": "soft"},
    {"mode": "scd2", "handle_deletes": "soft"},
]


@pytest.mark.parametrize("arguments", GUARDED, ids=["hard", "soft", "scd2"])
@pytest.mark.parametrize(
    ("there", "kept", "limit", "refused"),
    [
        (100, 0, None, False),
        (101, 0, None, True),
        (101, 1, None, False),  # a source that is not empty may take away all the rest
        (101, 0, 1.0, False),
        (101, 0, 0.99, True),
        (4, 2, 0.5, False),
        (4, 1, 0.5, True),
        (1, 0, 0.0, True),
        (1, 1, 0.0, False),
    ],
)
def test_deletes_are_guarded(
    subject: Loading, arguments: dict[str, Any], there: int, kept: int, limit: float | None, refused: bool
) -> None:
    subject.load(MANY.format(there), **arguments)
    before = subject.rows()
    if refused:
        with pytest.raises(errors.DeleteGuard, match="max_delete_fraction"):
            subject.load(MANY.format(kept), max_delete_fraction=limit, **arguments)
        assert subject.rows() == before
    else:
        assert subject.load(MANY.format(kept), max_delete_fraction=limit, **arguments)["rows_deleted"] == there - kept


def test_a_table_that_others_reference_is_not_truncated(subject: Loading) -> None:
    subject.load(FIRST, mode="truncate")
    subject.lane.database(f"CREATE TABLE conformance.referring (id bigint REFERENCES {subject.name})")
    with pytest.raises(errors.TargetNotLoadable, match="reference"):
        subject.load(MANY.format(2), mode="truncate")
    assert subject.lane.database(f"SELECT name FROM {subject.name} WHERE id = 1") == [("a",)]
    for replace in ("delete", "diff"):
        subject.load(MANY.format(2), strategy=TruncateReplace(replace=replace))  # type: ignore[arg-type]
    assert len(subject.rows()) == 2


def test_full_guards_name_the_extension_that_is_missing(subject: Loading) -> None:
    with pytest.raises(errors.EmatixError, match="CREATE EXTENSION btree_gist"):
        subject.load(FIRST, strategy=SCD2(guards="full"))
    assert subject.lane.database.value("SELECT to_regclass(%s) IS NULL", subject.name)
