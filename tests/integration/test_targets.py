"""Pipelines with several targets: each in a transaction of its own, in one database or another, and what is left when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import ConnectionFailed, DataError, UnknownConnection, ematix, pipeline, pk
from ematix_flow.types import BigInt, String, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fix_db import Database


@ematix.table(schema="warehouse")
class Wide:
    id: Annotated[BigInt, pk()]
    note: Text


@ematix.table(schema="warehouse")
class Narrow:
    id: Annotated[BigInt, pk()]
    note: Annotated[String, 3]


@ematix.table(schema="archive")
class Kept:
    id: Annotated[BigInt, pk()]
    note: Text


TOO_LONG = (
    'The source of warehouse.narrow has values that cannot be stored: 1 value in column "note" does not fit VARCHAR(3). '
    "Nothing was written.\nWiden the declared type, or change the values in the query."
)


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    yield
    pipeline._REGISTRY.clear()


@pytest.fixture
def archive(database: Database, other_database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A second database, the connection ``archive``; ``default`` is the first one, which has the source."""
    monkeypatch.setenv("EMATIX_FLOW_DSN", database.dsn)
    monkeypatch.setenv("EMATIX_FLOW_DSN_ARCHIVE", other_database.dsn)
    monkeypatch.setenv("EMATIX_FLOW_DSN_GONE", "postgresql://u@127.0.0.1:1/d")
    database("CREATE SCHEMA shop CREATE TABLE notes (id int, note text)")
    database("INSERT INTO shop.notes VALUES (1, 'one'), (2, 'second')")
    return other_database


def declare(*targets: Any, fn: Callable[..., Any] = lambda conn: "SELECT id, note FROM shop.notes", **options: Any) -> Any:
    return ematix.pipeline(**{"targets": list(targets), "schedule": None, "name": "notes", **options})(fn)


def counts(result: Any) -> dict[str, tuple[Any, ...]]:
    return {name: (load["pipeline"], load["path"], load["rows_inserted"]) for name, load in result.items()}


def history(database: Database) -> list[tuple[Any, ...]]:
    if not database.value("SELECT to_regclass('ematix_flow.run_history') IS NOT NULL"):
        return []
    return database("SELECT pipeline_name, target_schema, target_table, path, status FROM ematix_flow.run_history ORDER BY started_at")


def rows(database: Database, table: str) -> Any:
    there = database.value(f"SELECT to_regclass('{table}') IS NOT NULL")
    return database(f"SELECT id, note FROM {table} ORDER BY id") if there else None


def test_two_databases(archive: Database, database: Database) -> None:
    result = declare(ematix.target(Wide, mode="append"), ematix.target(Kept, mode="merge", target_connection="archive"))()
    assert list(result) == ["warehouse.wide", "archive.kept"]
    assert counts(result) == {
        "warehouse.wide": ("notes::warehouse.wide", "same_db", 2),
        "archive.kept": ("notes::archive.kept", "cross_db", 2),
    }
    assert rows(database, "warehouse.wide") == rows(archive, "archive.kept") == [(1, "one"), (2, "second")]
    assert history(database) == [("notes::warehouse.wide", "warehouse", "wide", "same_db", "success")]
    assert history(archive) == [("notes::archive.kept", "archive", "kept", "cross_db", "success")]


THREE = (
    ematix.target(Wide, mode="append"),
    ematix.target(Narrow, mode="append"),
    ematix.target(Kept, mode="append", target_connection="archive"),
)


def test_the_first_failure_stops(archive: Database, database: Database) -> None:
    with pytest.raises(DataError) as raised:
        declare(*THREE)()
    assert str(raised.value) == TOO_LONG
    assert rows(database, "warehouse.wide") == [(1, "one"), (2, "second")]
    assert rows(archive, "archive.kept") is None
    assert history(database) == [
        ("notes::warehouse.wide", "warehouse", "wide", "same_db", "success"),
        ("notes::warehouse.narrow", "warehouse", "narrow", "same_db", "failed"),
    ]
    assert history(archive) == []


def test_the_others_go_on(archive: Database, database: Database) -> None:
    result = declare(*THREE, continue_on_failure=True)()
    assert list(result) == ["results", "errors"]
    assert counts(result["results"]) == {
        "warehouse.wide": ("notes::warehouse.wide", "same_db", 2),
        "archive.kept": ("notes::archive.kept", "cross_db", 2),
    }
    assert result["errors"] == {"warehouse.narrow": TOO_LONG}
    assert rows(archive, "archive.kept") == [(1, "one"), (2, "second")]
    assert not rows(database, "warehouse.narrow")
    assert history(archive) == [("notes::archive.kept", "archive", "kept", "cross_db", "success")]


@pytest.mark.parametrize(("name", "error"), [("gone", ConnectionFailed), ("nowhere", UnknownConnection)])
def test_a_target_that_cannot_be_reached(archive: Database, database: Database, name: str, error: type[Exception]) -> None:
    targets = (ematix.target(Wide, mode="truncate"), ematix.target(Kept, mode="append", target_connection=name))
    with pytest.raises(error) as raised:
        declare(*targets)()
    again = declare(*reversed(targets), continue_on_failure=True, name="again")()
    assert counts(again["results"]) == {"warehouse.wide": ("again::warehouse.wide", "same_db", 2)}
    assert again["errors"] == {"archive.kept": str(raised.value)}
    assert rows(database, "warehouse.wide") == [(1, "one"), (2, "second")]


def test_a_source_that_cannot_be_reached_is_no_failure_of_a_target(archive: Database, database: Database) -> None:
    with pytest.raises(ConnectionFailed):
        declare(*THREE, continue_on_failure=True, source_connection="gone")()
    assert history(database) == []


def test_the_query_runs_once_for_each_and_the_function_once(archive: Database, database: Database) -> None:
    called = []

    def notes(conn: Any) -> str:
        called.append(conn)
        return "SELECT nextval('shop.reads')::bigint AS id, 'x' AS note"

    database("CREATE SEQUENCE shop.reads")
    declare(ematix.target(Wide, mode="append"), ematix.target(Narrow, mode="append"), fn=notes)()
    assert len(called) == 1
    assert (rows(database, "warehouse.wide"), rows(database, "warehouse.narrow")) == ([(1, "x")], [(2, "x")])


def test_one_connection_of_each_name(archive: Database, database: Database) -> None:
    """Four targets in two databases, and a function that asks for both ends: no session is opened twice for one name."""
    seen: list[Any] = []

    def notes(source: Any, target: Any) -> str:
        seen.extend([source, target])
        return "SELECT id, left(note, 3) AS note FROM shop.notes"

    result = declare(
        ematix.target(Wide, mode="append"),
        ematix.target(Kept, mode="append", target_connection="archive"),
        ematix.target(Narrow, mode="append", target_connection="default"),
        fn=notes,
    )()
    assert seen[0] is seen[1]
    assert counts(result) == {
        "warehouse.wide": ("notes::warehouse.wide", "same_db", 2),
        "archive.kept": ("notes::archive.kept", "cross_db", 2),
        "warehouse.narrow": ("notes::warehouse.narrow", "same_db", 2),
    }


def test_each_target_selects_from_the_source_table(archive: Database, database: Database) -> None:
    database("ALTER TABLE shop.notes ADD short text GENERATED ALWAYS AS (left(note, 3)) STORED")
    declare(
        ematix.target(Narrow, mode="append", column_map={"note": "short"}),
        ematix.target(Kept, mode="append", target_connection="archive"),
        fn=lambda: None,
        source_table="shop.notes",
    )()
    assert rows(database, "warehouse.narrow") == [(1, "one"), (2, "sec")]
    assert rows(archive, "archive.kept") == [(1, "one"), (2, "second")]


def test_a_watermark_for_each_target(archive: Database, database: Database) -> None:
    pipelined = declare(
        ematix.target(Wide, mode="append"),
        ematix.target(Kept, mode="merge", target_connection="archive", lag=1),
        incremental_column="id",
    )
    first = pipelined()
    assert first["warehouse.wide"]["watermark"] == {"column": "id", "since": None, "stored": "2", "cap": None}
    database("INSERT INTO shop.notes VALUES (3, 'three')")
    second = pipelined()
    assert [(load["rows_inserted"], load["watermark"]["since"]) for load in second.values()] == [(1, "2"), (1, "1")]
    watermarks = "SELECT pipeline_name, last_value FROM ematix_flow.watermarks"
    assert database(watermarks) == [("notes::warehouse.wide", "3")]
    assert archive(watermarks) == [("notes::archive.kept", "3")]
