"""A query whose columns cannot be stored as declared: validation names exactly those that an INSERT refuses for their type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any

import psycopg
import pytest

from ematix_flow import connect, ematix, nullable, pipeline, pk, types

if TYPE_CHECKING:
    from collections.abc import Iterator

DECLARED: list[Any] = [
    *(types.SmallInt, types.Integer, types.BigInt, types.Float, types.Double, types.Boolean, types.Text, types.Date),
    *(types.Timestamp, types.TimestampTZ, types.JSON, types.JSONB, types.UUID, types.Bytes, types.String(9), types.Numeric(9, 2)),
]
SOURCES = [
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "real",
    "float8",
    "boolean",
    "text",
    "varchar(3)",
    "bpchar",
    "name",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "interval",
    "json",
    "jsonb",
    "uuid",
    "bytea",
    "inet",
    "oid",
    "money",
    "xml",
    "int4[]",
    "int4range",
    '"char"',
    "regclass",
    "s.mood",
    "s.short",
    "s.shorter",
]


@pytest.fixture(autouse=True)
def place(psql: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    psql(
        "CREATE SCHEMA s; CREATE TYPE s.mood AS ENUM ('a'); CREATE DOMAIN s.short AS varchar(3); CREATE DOMAIN s.shorter AS int; CREATE SCHEMA w"
    )
    yield
    pipeline._REGISTRY.clear()


@pytest.mark.parametrize("path", ["same_db", "cross_db"])
@pytest.mark.parametrize("declared", DECLARED, ids=str)
def test_as_an_insert_does(psql: Any, declared: Any, path: str) -> None:
    # One class for each type: the type is a value here, which no annotation is for a type checker.
    annotations = {f"v{number}": Annotated[declared, nullable()] for number in range(len(SOURCES))}
    table = ematix.table(schema="w", name="t")(type("T", (), {"__annotations__": {"id": Annotated[types.BigInt, pk()], **annotations}}))

    @ematix.pipeline(target=table, mode="merge", schedule=None, name="t", force_path=path)
    def query(conn: Any) -> str:
        return "SELECT 1::bigint AS id, " + ", ".join(f"NULL::{source} AS v{number}" for number, source in enumerate(SOURCES))

    with connect() as connection:
        table.ensure(connection)
    refused = set()
    for number, source in enumerate(SOURCES):
        try:
            psql(f"EXPLAIN INSERT INTO w.t (v{number}) SELECT NULL::{source}")
        except psycopg.errors.DatatypeMismatch:
            refused.add(f"v{number}")
    validated = pipeline.validate("t")
    assert validated.ok == (not refused)
    assert {name for error in validated.errors for name in re.findall(r"\b(v\d+) is ", error)} == refused
    assert refused or declared in (types.Text, types.String(9))


def test_the_text_of_it() -> None:
    @ematix.table(schema="w")
    class Customers:
        id: Annotated[types.BigInt, pk()]
        since: types.Date

    @ematix.pipeline(target=Customers, mode="merge", schedule=None)
    def customers(conn: Any) -> str:
        return "SELECT 'x' AS id, 5 AS since"

    (error,) = pipeline.validate("customers").errors
    assert error == (
        "The source query has columns that cannot be stored as declared: id is text where bigint is declared; since is integer where date is "
        "declared.\nCast them to the declared types in the query (column::type). A bare NULL or text constant counts as text there."
    )
