from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ematix_flow import Source

NOBODY: Any = object()


def test_query_is_kept_as_it_is() -> None:
    source = Source.postgres_query(NOBODY, " SELECT 1 ; ")
    assert (source.connection, source.query) == (NOBODY, " SELECT 1 ; ")
    assert source == Source(NOBODY, " SELECT 1 ; ")
    with pytest.raises(dataclasses.FrozenInstanceError):
        source.query = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("table", "columns", "query"),
    [
        ("users", None, "SELECT * FROM public.users"),
        ("users", ["id", "email"], "SELECT id, email FROM public.users"),
        ("users", (name for name in ("email", "id")), "SELECT email, id FROM public.users"),
        ("User", ["Order Date", "select"], 'SELECT "Order Date", "select" FROM public."User"'),
    ],
)
def test_table_becomes_a_select(table: str, columns: Any, query: str) -> None:
    assert Source.postgres_table(NOBODY, "public", table, columns).query == query


@pytest.mark.parametrize(("columns", "error"), [("id", TypeError), ([], ValueError), ([""], ValueError)])
def test_unusable_columns_are_refused(columns: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Source.postgres_table(NOBODY, "public", "users", columns)


def test_query_is_text() -> None:
    with pytest.raises(TypeError, match=r"^query is a SQL text \(str\), not bytes\.$"):
        Source.postgres_query(NOBODY, b"SELECT 1")  # type: ignore[arg-type]
