"""The low-level surface: functions on specs, ``connect`` and ``Connection``.

A thin facade: each function checks its Python types and sends one message to the compiled engine, which is loaded at the first call and not
at import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ematix_flow.arguments import text
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
    """Not implemented yet."""
    _not_built("plan_append_sql")


def plan_truncate_sql(spec_json: str, source_query: str) -> list[str]:
    """Not implemented yet."""
    _not_built("plan_truncate_sql")


def plan_merge_sql(spec_json: str, source_query: str, keys: Sequence[str], update_columns: Sequence[str]) -> str:
    """Not implemented yet."""
    _not_built("plan_merge_sql")


def plan_scd2_sql(
    spec_json: str,
    source_query: str,
    keys: Sequence[str],
    compare_columns: Sequence[str],
    run_token: str,
    event_ts_column: str | None = None,
) -> list[str]:
    """Not implemented yet."""
    _not_built("plan_scd2_sql")


def _not_built(name: str) -> NoReturn:
    raise NotImplementedError(f"{name} is not implemented yet.")
