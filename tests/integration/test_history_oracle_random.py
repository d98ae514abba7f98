"""Random small tables, changed at random and loaded again and again, against plain Python."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ematix_flow import pipeline
from ematix_flow.errors import DuplicateKeys, OutOfOrder
from ematix_flow.source import Source
from ematix_flow.table import ManagedTable
from ematix_flow.types import BigInt, Boolean, Column, Numeric, Text
from tests.fix_db import Database
from tests.oracle import history, upsert

#: Of each column: its type in SQL and how PostgreSQL shows a value of it.
TYPES = {"id": "bigint", "region": "text", "note": "text", "amount": "numeric(8,2)", "open": "boolean", "happened": "timestamptz"}
KEYS = ("id", "region")
VALUES = ("note", "amount", "open")
DAY = datetime(2020, 1, 1, tzinfo=UTC)

# Text that has bitten somebody: separators and markers of the hash, quotes, what drivers and COPY take for syntax.
texts = st.sampled_from(
    ["", "a", "A", "\\x01", "\\x00NULL\\x00", "a\\", "\\N", "it's", "$1", "%s", ":x", "\t\n", "é", "e\u0301", "🛫", " a "]
)
values = st.fixed_dictionaries(
    {
        "note": st.none() | texts,
        "amount": st.none() | st.integers(-3, 3).map(lambda n: Decimal(n).scaleb(-2).quantize(Decimal("0.01"))),
        "open": st.booleans(),
    }
)
keys = st.tuples(st.integers(1, 3), st.sampled_from(["", "x", "\\"]))


def rows(keyed: Mapping[tuple[int, str], dict[str, Any]]) -> list[dict[str, Any]]:
    return [dict(zip(KEYS, key, strict=True)) | row for key, row in keyed.items()]


#: A load: at most one row per key. Small ranges, so that the next load often has the same key, sometimes the same row.
snapshots = st.lists(st.dictionaries(keys, values, max_size=6).map(rows), min_size=1, max_size=4)

#: Some lie in the future: such a version may have to be closed before it begins.
days = st.sampled_from([DAY + timedelta(days=n) for n in (0, 1, 2, 3, 4, 30_000, 30_001)])
#: With event times, several rows of a key, in any order of time.
events = st.lists(
    st.lists(st.tuples(keys, values, days).map(lambda drawn: rows({drawn[0]: drawn[1] | {"happened": drawn[2]}})[0]), max_size=6),
    min_size=1,
    max_size=4,
)

#: "cross_db" belongs here as soon as loads from another database are built.
PATHS = ("same_db",)

A_ROW: dict[str, Any] = {"id": 1, "region": "x", "note": "a", "amount": None, "open": True}
FUTURE = DAY + timedelta(days=30_000)

on_a_server = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def literal(column: str, value: Any) -> str:
    """A value in SQL, for a session with standard strings."""
    if value is None:
        return f"NULL::{TYPES[column]}"
    return "'" + str(value).replace("'", "''") + f"'::{TYPES[column]}"


def query(source: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """The rows as a query."""
    if not source:
        return f"SELECT {', '.join(f'NULL::{TYPES[column]} AS {column}' for column in columns)} WHERE false"
    lines = ", ".join("(" + ", ".join(literal(column, row[column]) for column in columns) + ")" for row in source)
    return f"SELECT * FROM (VALUES {lines}) AS source ({', '.join(columns)})"


_numbers = itertools.count(1)


def new_table() -> type[ManagedTable]:
    """A table of its own for each example."""
    return type(
        "Example",
        (ManagedTable,),
        {
            "__schema__": "examples",
            "__tablename__": f"example_{next(_numbers)}",
            "id": Column(BigInt, primary_key=True, nullable=False),
            "region": Column(Text, primary_key=True, nullable=False),
            "note": Column(Text),
            "amount": Column(Numeric(8, 2)),
            "open": Column(Boolean, nullable=False),
        },
    )


def load(
    conn: Any, table: type[ManagedTable], source: Sequence[Mapping[str, Any]], columns: Sequence[str], **options: Any
) -> dict[str, Any]:
    found = Source(connection=conn, query=query(source, columns))
    return pipeline.sync(target=table, source=found, target_connection=conn, **options)


def loaded_at(psql: Database, run: Mapping[str, Any]) -> datetime:
    found: datetime = psql.value(f"SELECT loaded_at FROM ematix_flow.run_history WHERE run_id = '{run['run_id']}'")
    return found


def text(value: Any) -> str | None:
    """A value as PostgreSQL shows it."""
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def versions(psql: Database, table: type[ManagedTable]) -> list[tuple[history.Version, bool, bytes]]:
    found = psql(
        f"SELECT id, region, note, amount, open, valid_from, valid_to, is_current, row_hash FROM examples.{table.__tablename__}"
        ' ORDER BY id, region COLLATE "C", valid_from'
    )
    return [
        (history.Version((number, region), (number, region, *values), start, end), current, bytes(stored))
        for number, region, *values, start, end, current, stored in found
    ]


def check_history(psql: Database, table: type[ManagedTable], expected: history.History) -> None:
    """The stored versions are the computed ones, with flag and hash, and without flaws."""
    found = versions(psql, table)
    assert [version for version, _, _ in found] == expected.all()
    assert [(current, stored) for _, current, stored in found] == [
        (version.end is None, history.row_hash([text(value) for value in version.values[2:]])) for version in expected.all()
    ]
    assert history.flaws([version for version, _, _ in found]) == []


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("soft", [False, True], ids=["", "soft_deletes"])
@on_a_server
@given(loads=snapshots)
def test_scd2(conn: Any, psql: Database, soft: bool, path: str, loads: list[list[dict[str, Any]]]) -> None:
    table = new_table()
    expected = history.History(keys=KEYS, columns=KEYS + VALUES, compare=VALUES, soft=soft)
    for source in loads:
        run = load(conn, table, source, KEYS + VALUES, mode="scd2", handle_deletes="soft" if soft else None, force_path=path)
        assert (run["rows_inserted"], run["rows_closed"]) == expected.load(source, loaded_at(psql, run))
        check_history(psql, table, expected)


@pytest.mark.parametrize("soft", [False, True], ids=["", "soft_deletes"])
@on_a_server
@given(loads=events)
@example(loads=[[A_ROW | {"happened": FUTURE}], [], [A_ROW | {"happened": DAY}]])  # closed before it began, and back with an old event
def test_scd2_with_event_time(conn: Any, psql: Database, soft: bool, loads: list[list[dict[str, Any]]]) -> None:
    table = new_table()
    expected = history.History(keys=KEYS, columns=KEYS + VALUES, compare=VALUES, event="happened", soft=soft)
    options = {"mode": "scd2", "event_timestamp_column": "happened", "handle_deletes": "soft" if soft else None}
    for source in loads:
        try:
            run = load(conn, table, source, (*KEYS, *VALUES, "happened"), **options)
        except (DuplicateKeys, OutOfOrder) as error:
            refused = history.DuplicateKeys if isinstance(error, DuplicateKeys) else history.OutOfOrder
            with pytest.raises(refused):
                expected.load(source, datetime.now(UTC))
        else:
            assert (run["rows_inserted"], run["rows_closed"]) == expected.load(source, loaded_at(psql, run))
        if expected.versions:
            check_history(psql, table, expected)


@pytest.mark.parametrize("path", PATHS)
@on_a_server
@given(loads=snapshots, update=st.sampled_from([None, ("note",), ("amount", "open"), ()]))
def test_merge(conn: Any, psql: Database, path: str, loads: list[list[dict[str, Any]]], update: tuple[str, ...] | None) -> None:
    table = new_table()
    rows: dict[upsert.Key, dict[str, Any]] = {}
    batch: dict[upsert.Key, str] = {}
    for source in loads:
        run = load(conn, table, source, KEYS + VALUES, mode="merge", update_columns=update, force_path=path)
        rows, counts, written = upsert.merge(rows, source, keys=KEYS, update=VALUES if update is None else update)
        batch |= dict.fromkeys(written, run["run_id"])

        assert (run["rows_inserted"], run["rows_updated"], run["rows_unchanged"]) == counts
        found = psql(f"SELECT id, region, note, amount, open, _batch_id::text FROM examples.{table.__tablename__}")
        assert {tuple(row[:2]): row[2:] for row in found} == {
            key: (*(row[name] for name in VALUES), batch[key]) for key, row in rows.items()
        }


@pytest.mark.parametrize("mode", ["merge", "scd2"])
@on_a_server
@given(source=st.lists(st.tuples(keys, values).map(lambda drawn: rows({drawn[0]: drawn[1]})[0]), min_size=2, max_size=4))
def test_a_key_that_occurs_twice_is_refused_and_nothing_else(conn: Any, psql: Database, mode: str, source: list[dict[str, Any]]) -> None:
    table = new_table()
    twice = len({tuple(row[key] for key in KEYS) for row in source}) < len(source)
    try:
        load(conn, table, source, KEYS + VALUES, mode=mode)
    except DuplicateKeys:
        assert twice
        assert psql.value(f"SELECT to_regclass('examples.{table.__tablename__}') IS NULL"), "the table would have been made by this load"
    else:
        assert not twice
        assert psql.value(f"SELECT count(*) FROM examples.{table.__tablename__}") == len(source)
