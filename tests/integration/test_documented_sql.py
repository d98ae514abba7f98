"""The texts of ``_core.plan_*_sql``: a server takes them, and they do what they say."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from ematix_flow import EmatixError, _core

RUN = uuid.UUID("00000000-0000-4000-8000-000000000001")


def spec(*, schema: str = "dwh", table: str = "Customer dim", nullable_key: bool = False) -> str:
    columns: list[dict[str, Any]] = [
        {"name": "customer_id", "type": {"kind": "big_int"}, "nullable": False, "primary_key": True},
        {"name": "Order", "type": {"kind": "string", "length": 20}, "nullable": True, "primary_key": False},
        {"name": "extra", "type": {"kind": "json"}, "nullable": True, "primary_key": False},
    ]
    if nullable_key:
        columns.insert(1, {"name": "region", "type": {"kind": "text"}, "nullable": True, "primary_key": False})
    return _core.parse_table_spec(json.dumps({"schema": schema, "name": table, "columns": columns}))


@pytest.fixture
def table(psql: Any) -> Any:
    def make(text: str) -> None:
        psql(f'CREATE SCHEMA IF NOT EXISTS "{json.loads(text)["schema"]}"')
        psql(_core.create_table_sql(text))

    return make


def run(psql: Any, *statements: str) -> list[tuple[Any, ...]]:
    """In one transaction; $1 is the batch id."""
    rows: list[tuple[Any, ...]] = []
    with psql.raw.transaction():
        for statement in statements:
            if "$1" not in statement:
                rows = psql(statement)
                continue
            psql(f"PREPARE documented (uuid) AS {statement}")
            rows = psql(f"EXECUTE documented ('{RUN}')")
            psql("DEALLOCATE documented")
    return rows


def rows_of(*rows: str) -> str:
    return f'SELECT * FROM (VALUES {", ".join(rows)}) AS v (customer_id, "Order", extra) -- trailing'


ADA, EDGAR = "(1, 'Ada', '{}'::json)", "(2, 'Edgar', NULL::json)"
ALL = 'SELECT customer_id, "Order", extra::text FROM dwh."Customer dim" ORDER BY 1'


def test_append(psql: Any, table: Any) -> None:
    text = _core.augment_table_spec(spec())
    table(text)
    sql = _core.plan_append_sql(text, rows_of(ADA, EDGAR) + ";\n")
    assert sql.startswith('INSERT INTO dwh."Customer dim" (customer_id, "Order", extra, _loaded_at, _batch_id)\n')
    run(psql, sql)
    assert psql(ALL) == [(1, "Ada", "{}"), (2, "Edgar", None)]
    assert psql('SELECT DISTINCT _batch_id, _loaded_at <= now() FROM dwh."Customer dim"') == [(RUN, True)]


def test_append_without_metadata_columns(psql: Any, table: Any) -> None:
    table(spec())
    sql = _core.plan_append_sql(spec_json=spec(), source_query='SELECT 7 AS customer_id, NULL AS "Order", NULL::json AS extra')
    assert '(SELECT 7 AS customer_id, NULL AS "Order", NULL::json AS extra)' in sql
    assert "$1" not in sql
    assert "now()" not in sql
    run(psql, sql)
    assert psql(ALL) == [(7, None, None)]


def test_truncate(psql: Any, table: Any) -> None:
    text = _core.augment_table_spec(spec())
    table(text)
    run(psql, _core.plan_append_sql(text, rows_of(ADA)))
    first, second = _core.plan_truncate_sql(text, rows_of(EDGAR))
    assert first == 'TRUNCATE TABLE dwh."Customer dim"'
    assert second == _core.plan_append_sql(text, rows_of(EDGAR))
    run(psql, first, second)
    assert psql(ALL) == [(2, "Edgar", None)]


@pytest.mark.parametrize("name", ["Customer dim", "excluded", "t", "q"])
def test_merge(psql: Any, table: Any, name: str) -> None:
    text = _core.augment_table_spec(spec(table=name))
    table(text)
    run(psql, _core.plan_append_sql(text, rows_of(ADA, EDGAR)))
    query = rows_of("(1, 'Ada', '{}'::json)", "(2, 'Edgar', '[]'::json)", "(3, 'Grace', NULL)")
    sql = _core.plan_merge_sql(text, query, ["customer_id"], ("Order", "extra"))
    for fragment in ("ON CONFLICT (customer_id) DO UPDATE", '"Order" = EXCLUDED."Order"', "extra = EXCLUDED.extra", "RETURNING (xmax = 0)"):
        assert fragment in sql
    assert run(psql, sql) == [(False,), (True,)]
    assert psql(ALL.replace("Customer dim", name)) == [(1, "Ada", "{}"), (2, "Edgar", "[]"), (3, "Grace", None)]
    assert run(psql, sql) == []


def test_merge_that_only_inserts(psql: Any, table: Any) -> None:
    table(spec())
    run(psql, _core.plan_append_sql(spec(), rows_of(ADA)))
    sql = _core.plan_merge_sql(spec(), rows_of("(1, 'other', NULL::json)", EDGAR), ["customer_id"], [])
    assert "ON CONFLICT (customer_id) DO NOTHING" in sql
    assert "DO UPDATE" not in sql
    assert run(psql, sql) == [(True,)]
    assert psql(ALL) == [(1, "Ada", "{}"), (2, "Edgar", None)]


def scd2(query: str, text: str, token: str, **options: Any) -> list[str]:
    statements = _core.plan_scd2_sql(text, query, ["customer_id"], ["Order", "extra"], token, **options)
    create, update, insert = statements
    assert create.startswith("CREATE TEMP TABLE ")
    assert update.startswith("UPDATE ")
    assert insert.startswith("INSERT INTO ")
    assert all(f"_scd2_changed_{token}" in statement for statement in statements)
    return statements


def test_scd2_keeps_history(psql: Any, table: Any) -> None:
    text = _core.augment_table_spec_scd2(spec())
    table(text)
    run(psql, *scd2(rows_of(ADA, EDGAR), text, "a1"))
    run(psql, *scd2(rows_of(ADA, "(2, 'Edgar F.', NULL)", "(3, 'Grace', NULL)"), text, "Run 2"))
    run(psql, *scd2(rows_of(ADA, "(2, 'Edgar F.', NULL)"), text, "a3"))
    history = psql('SELECT customer_id, "Order", is_current, valid_to IS NULL, _batch_id FROM dwh."Customer dim" ORDER BY 1, valid_from')
    assert history == [
        (1, "Ada", True, True, RUN),
        (2, "Edgar", False, False, RUN),
        (2, "Edgar F.", True, True, RUN),
        (3, "Grace", True, True, RUN),
    ]
    two = 'FROM dwh."Customer dim" WHERE customer_id = 2'
    assert psql(f"SELECT count(DISTINCT row_hash), max(valid_from) = max(valid_to), min(valid_from) < min(valid_to) {two}") == [
        (2, True, True)
    ]


def test_scd2_by_event_time_takes_the_latest_row(psql: Any, table: Any) -> None:
    text = _core.augment_table_spec_scd2(spec())
    table(text)
    query = rows_of("(1, 'old', NULL::json, '2026-01-01Z')", "(1, 'new', NULL, '2026-01-02Z')").replace("extra)", "extra, at)")
    run(psql, *scd2(query, text, "a", event_ts_column="at"))
    run(psql, *scd2(rows_of("(1, 'late', NULL::json, '2026-01-01Z')").replace("extra)", "extra, at)"), text, "b", event_ts_column="at"))
    (_, start, end), (_, later, open_end) = psql('SELECT "Order", valid_from, valid_to FROM dwh."Customer dim" ORDER BY valid_from')
    assert start == datetime.fromisoformat("2026-01-02T00:00Z")
    assert (end, later, open_end) == (start + timedelta(microseconds=1), end, None)


def test_keys_that_may_be_null_match(psql: Any, table: Any) -> None:
    text = _core.augment_table_spec_scd2(spec(nullable_key=True))
    table(text)
    for token, name in (("a", "x"), ("b", "y")):
        query = f"SELECT 1 AS customer_id, NULL::text AS region, '{name}' AS \"Order\", NULL::json AS extra"
        run(psql, *_core.plan_scd2_sql(text, query, ["customer_id", "region"], ["Order"], token))
    assert psql('SELECT "Order", is_current FROM dwh."Customer dim" ORDER BY valid_from') == [("x", False), ("y", True)]


HISTORY = _core.augment_table_spec_scd2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _core.plan_append_sql(spec(), " ;"), "The source query is empty."),
        (lambda: _core.plan_append_sql("{", "SELECT 1"), "malformed JSON"),
        (lambda: _core.plan_merge_sql(spec(), "SELECT 1", [], []), 'The mode "merge" needs keys.'),
        (lambda: _core.plan_merge_sql(spec(), "SELECT 1", ["nope"], []), 'keys names the column "nope"'),
        (lambda: _core.plan_merge_sql(spec(), "SELECT 1", ["customer_id"], ["nope"]), 'update_columns names the column "nope"'),
        (
            lambda: _core.plan_merge_sql(spec(), "SELECT 1", ["customer_id"], ["Order", "Order"]),
            'update_columns names the column "Order" twice',
        ),
        (lambda: _core.plan_merge_sql(spec(), "SELECT 1", ["customer_id"], ["customer_id"]), "a key is never updated"),
        (lambda: _core.plan_scd2_sql(HISTORY(spec()), "SELECT 1", ["customer_id"], [], "a"), "compare_columns is empty"),
        (lambda: _core.plan_scd2_sql(HISTORY(spec()), "SELECT 1", [], ["Order"], "a"), "needs keys"),
        (
            lambda: _core.plan_scd2_sql(HISTORY(spec()), "SELECT 1", ["customer_id"], ["is_current"], "a"),
            'column "is_current", which the load',
        ),
        (lambda: _core.plan_scd2_sql(HISTORY(spec()), "SELECT 1", ["customer_id"], ["Order"], "a" * 50), "has 64 bytes"),
        (lambda: _core.plan_scd2_sql(HISTORY(spec()), "SELECT 1", ["customer_id"], ["Order"], ""), "run_token is empty"),
        (lambda: _core.plan_scd2_sql(spec(), "SELECT 1", ["customer_id"], ["Order"], "a"), 'needs the column "valid_from"'),
    ],
)
def test_what_does_not_fit_is_named(call: Any, message: str) -> None:
    with pytest.raises(EmatixError) as refused:
        call()
    assert message in str(refused.value)


@pytest.mark.parametrize("keys", ["customer_id", [1], None])
def test_wrong_types(keys: Any) -> None:
    with pytest.raises(TypeError):
        _core.plan_merge_sql(spec(), "SELECT 1", keys, [])
