"""The low-level surface: functions on specs, ``connect`` and ``Connection``.

A thin facade: each function checks its Python types and sends one message to the compiled engine, which is loaded at the first call and not
at import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ematix_flow.arguments import optional_text, text, texts
from ematix_flow.connection import Connection, call, opened

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Connection",
    "augment_table_spec",
    "augment_table_spec_scd2",
    "connect",
    "core_version",
    "create_table_sql",
    "parse_spec",
    "parse_table_spec",
    "plan_append_sql",
    "plan_merge_sql",
    "plan_scd2_sql",
    "plan_truncate_sql",
    "same_database",
]


def core_version() -> str:
    """The version of the compiled engine: the same as ``ematix_flow.__version__``."""
    return str(call("version", {}))


def connect(url: str) -> Connection:
    """Open and check one connection.

    Args:
        url: ``postgresql://user:password@host:port/database``; ``postgres://`` works too. Port 5432 is the default. A Unix socket is given
        as libpq takes it: ``postgresql://user@/database?host=/folder``.

    Raises:
        ValueError: the URL lacks host, user or database; the server cannot be reached or refuses. The message never holds the password.
        TypeError: ``url`` is no str.
    """
    return opened(call("connect", {"url": text("url", url)}))


def same_database(a: str, b: str) -> bool:
    """Whether two URLs name the same database: host (as text), port, database and user are equal. No connection is made.

    Raises:
        ValueError: one of them is no usable URL.
    """
    return bool(call("same_database", {"a": text("a", a), "b": text("b", b)}))


def parse_spec(json: str) -> str:
    """A pipeline spec, cleaned and checked.

    Raises:
        ValueError: malformed JSON, an unknown field or mode, an empty name, query, connection, schema, table or key, no key where one is
        needed.
    """
    return str(call("parse_spec", {"spec": text("json", json)}))


def parse_table_spec(json: str) -> str:
    """A table spec, cleaned and checked, with its fingerprint.

    Raises:
        ValueError: malformed JSON, an unknown field or type, an unusable name, no column or primary key; the message names it.
    """
    return str(call("parse_table_spec", {"spec": text("json", json)}))


def augment_table_spec(json: str) -> str:
    """A table spec with ``_loaded_at`` and ``_batch_id`` added where they are not declared."""
    return str(call("augment_table_spec", {"spec": text("json", json)}))


def augment_table_spec_scd2(json: str) -> str:
    """A table spec with the columns of scd2 loads, ``_loaded_at`` and ``_batch_id`` added where they are not declared."""
    return str(call("augment_table_spec_scd2", {"spec": text("json", json)}))


def create_table_sql(json: str) -> str:
    """The CREATE TABLE statement of a table spec."""
    return str(call("create_table_sql", {"spec": text("json", json)}))


def plan_append_sql(spec_json: str, source_query: str) -> str:
    """What an append comes down to: one INSERT of the query's rows, with ``$1`` for the batch id where the spec has ``_batch_id``.

    The ``plan_*_sql`` texts are for reading: loads check, count and lock besides. They use the columns of the spec and add none.

    >>> spec = parse_table_spec(
    ...     '{"schema": "dwh", "name": "t", "columns": '
    ...     '[{"name": "id", "type": {"kind": "big_int"}, "nullable": false, "primary_key": true}]}'
    ... )
    >>> print(plan_append_sql(augment_table_spec(spec), "SELECT 1 AS id"))
    INSERT INTO dwh.t (id, _loaded_at, _batch_id)
    SELECT q.id, now(), $1::uuid
    FROM (SELECT 1 AS id) AS q

    Raises:
        ValueError: the spec is not valid, the query is empty.
    """
    return str(call("plan_append_sql", {"spec": text("spec_json", spec_json), "query": text("source_query", source_query)}))


def plan_truncate_sql(spec_json: str, source_query: str) -> list[str]:
    """What a truncate load comes down to: TRUNCATE, then the INSERT of ``plan_append_sql``."""
    return list(call("plan_truncate_sql", {"spec": text("spec_json", spec_json), "query": text("source_query", source_query)}))


def plan_merge_sql(spec_json: str, source_query: str, keys: Sequence[str], update_columns: Sequence[str]) -> str:
    """What a merge comes down to: one ``INSERT ... ON CONFLICT``, which returns for each row that it wrote whether it is new.

    Args:
        keys: the key columns; the server wants a unique constraint on exactly these.
        update_columns: the columns to compare and to set; none: rows with a key that is there are left alone.

    Raises:
        ValueError: no keys, or a name that the spec does not declare, is given twice or is filled by the load; the message names it.
    """
    return str(
        call(
            "plan_merge_sql",
            {
                "spec": text("spec_json", spec_json),
                "query": text("source_query", source_query),
                "keys": texts("keys", keys),
                "update_columns": texts("update_columns", update_columns),
            },
        )
    )


def plan_scd2_sql(
    spec_json: str,
    source_query: str,
    keys: Sequence[str],
    compare_columns: Sequence[str],
    run_token: str,
    event_ts_column: str | None = None,
) -> list[str]:
    """What an scd2 load comes down to, in one transaction: find what changed, close the versions it replaces, insert the new ones.

    Args:
        spec_json: the spec with its history columns (``augment_table_spec_scd2``).
        compare_columns: the columns whose change makes a new version.
        run_token: the end of the name of the temporary table.
        event_ts_column: the column of the query from which a version holds; without it that is ``now()``.

    Raises:
        ValueError: as ``plan_merge_sql``; also no column to compare, a spec without history columns, an empty or too long token.
    """
    return list(
        call(
            "plan_scd2_sql",
            {
                "spec": text("spec_json", spec_json),
                "query": text("source_query", source_query),
                "keys": texts("keys", keys),
                "compare_columns": texts("compare_columns", compare_columns),
                "run_token": text("run_token", run_token),
                "event_ts_column": optional_text("event_ts_column", event_ts_column),
            },
        )
    )
