"""Preview, dry run and validate against a server."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import BigInt, Source, String, Text, config, ematix, pipeline, pk
from ematix_flow.preview import render_text
from ematix_flow.strategy import SCD2, TruncateReplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STORED = Path(__file__).parent / "previews"
BUSY = """ERROR: canceling statement due to lock timeout
Somebody has a table that is looked at here for himself, and this waits no longer than a second: ask again."""


@ematix.table(schema="warehouse")
class Customers:
    id: Annotated[BigInt, pk()]
    name: String[64]  # type: ignore[type-arg,valid-type]


@ematix.table(schema="warehouse")
class Names:
    id: Annotated[BigInt, pk()]
    name: String[64]  # type: ignore[type-arg,valid-type]


@ematix.table(schema="warehouse")
class Third:
    id: Annotated[BigInt, pk()]


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    yield
    pipeline._REGISTRY.clear()


@pytest.fixture(autouse=True)
def shop(psql: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    psql("CREATE SCHEMA shop")
    psql("CREATE TABLE shop.customers (id int PRIMARY KEY, name text)")
    psql("INSERT INTO shop.customers SELECT i, 'name ' || i FROM generate_series(1, 5) AS i")


def customers(query: str = "SELECT id, name FROM shop.customers", **options: Any) -> Any:
    options = {"target": Customers, "mode": "merge", "schedule": None} | options
    if "targets" in options:
        del options["target"], options["mode"]
    return ematix.pipeline(name="customers", **options)(lambda conn: query)


def state(psql: Any) -> list[tuple[Any, ...]]:
    """Every schema, and every table with its rows."""
    schemas: list[tuple[Any, ...]] = psql("SELECT nspname, '' FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_' ORDER BY 1")
    tables = psql("SELECT c.oid::regclass::text FROM pg_class AS c WHERE relkind = 'r' AND oid >= 16384 ORDER BY 1")
    return schemas + [(table, psql(f"SELECT t::text FROM {table} AS t ORDER BY 1")) for (table,) in tables]


def statements(psql: Any) -> int:
    return int(psql("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()")[0][0])


# Dry run


@pytest.mark.parametrize(
    ("options", "first", "then"),
    [
        ({"mode": "append"}, {"rows_inserted": 5}, None),
        ({"mode": "truncate"}, {"rows_inserted": 5}, {"rows_inserted": 4}),
        (
            {"mode": "merge", "handle_deletes": "soft"},
            {"rows_inserted": 5, "rows_updated": 0, "rows_unchanged": 0, "rows_deleted": 0},
            {"rows_inserted": 0, "rows_updated": 1, "rows_unchanged": 3, "rows_deleted": 1},
        ),
        ({"mode": "scd2"}, {"rows_inserted": 5, "rows_closed": 0}, {"rows_inserted": 1, "rows_closed": 1}),
        (
            {"mode": "scd2", "ttl": timedelta(microseconds=1)},
            {"rows_inserted": 5, "rows_closed": 0},
            {"rows_inserted": 1, "rows_closed": 5},
        ),
        (
            {"mode": "merge", "incremental_column": "id"},
            {"rows_inserted": 5, "rows_updated": 0, "rows_unchanged": 0},
            {"rows_inserted": 0, "rows_updated": 0, "rows_unchanged": 0},
        ),
    ],
)
@pytest.mark.parametrize("cross", [False, True])
def test_a_dry_run_counts_what_a_run_does_and_leaves_nothing(
    psql: Any, options: dict[str, Any], first: dict[str, int], then: dict[str, int] | None, cross: bool
) -> None:
    run = customers(**options, force_path="cross_db" if cross else "same_db")
    before = state(psql)
    result = pipeline.dry_run("customers")
    assert result.targets[0].dry_run_error is None
    assert result.targets[0].dry_run_rows_affected == first
    assert result.targets[0].path == ("cross_db" if cross else "same_db")
    assert state(psql) == before
    assert run.dry_run().to_json() == result.to_json()
    run()
    psql("UPDATE shop.customers SET name = 'changed' WHERE id = 1")
    psql("DELETE FROM shop.customers WHERE id = 5")
    before = state(psql)
    result = run.dry_run()
    if then is None:
        assert result.targets[0].dry_run_error is not None
        assert result.targets[0].dry_run_error.startswith('ERROR: duplicate key value violates unique constraint "customers_pkey"')
    else:
        assert result.targets[0].dry_run_rows_affected == then
    assert state(psql) == before


def test_every_target_is_tried(psql: Any) -> None:
    psql("CREATE SCHEMA warehouse")
    psql("CREATE TABLE warehouse.customers (id text)")
    targets = [ematix.target(Customers, mode="merge"), ematix.target(Names, mode="append", target_connection="gone")]
    customers(targets=[*targets, ematix.target(Third, mode="append")])
    result = pipeline.dry_run("customers")
    errors = [target.dry_run_error for target in result.targets]
    assert str(errors[0]).startswith("The table warehouse.customers is not as declared:")
    assert str(errors[1]).startswith('There is no connection "gone".')
    assert errors[2] is None
    assert result.targets[2].dry_run_rows_affected == {"rows_inserted": 5}
    text = render_text(result)
    assert "✗ The table warehouse.customers is not as declared:" in text
    assert "✓ (rows_inserted=5)" in text


def test_a_dry_run_whose_function_raises_has_the_error_at_every_target(psql: Any) -> None:
    @ematix.pipeline(targets=[ematix.target(Customers, mode="merge"), ematix.target(Names, mode="append")], schedule=None)
    def broken(conn: Any) -> str:
        assert conn.fetch_scalar_int("SELECT 7") == 7
        raise LookupError("no such day")

    result = broken.dry_run()
    assert [target.dry_run_error for target in result.targets] == ["no such day", "no such day"]
    assert result.source_sql == "-- The function of the pipeline raised LookupError: no such day"


# Preview


def test_a_plain_preview_sends_no_statement(psql: Any) -> None:
    before = statements(psql)
    asked = customers().preview()
    assert asked.targets[0].path == "same_db"
    assert psql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ematix%'") == [(0,)]
    assert statements(psql) - before <= 2  # our own


def test_the_path_is_that_of_the_run(other_dsn: str, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_SHOP", dsn)
    monkeypatch.setenv("EMATIX_FLOW_DSN_OTHER", other_dsn)
    targets = [ematix.target(Customers, mode="merge"), ematix.target(Names, mode="merge", target_connection="other")]
    run = customers(targets=targets, source_connection="shop")
    planned = run.preview().targets
    assert [(target.path, target.path_reason) for target in planned] == [
        ("same_db", "source and target are one database: host, port, dbname and user are equal"),
        ("cross_db", "source and target differ in dbname"),
    ]
    assert [target.path for target in run.dry_run().targets] == ["same_db", "cross_db"]
    assert [result["path"] for result in run().values()] == ["same_db", "cross_db"]
    assert {statement["side"] for statement in planned[1].statements} == {"source", "target"}


def test_a_source_that_the_function_returns_is_shown_and_run_where_it_reads(other_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_OTHER", other_dsn)

    @ematix.pipeline(target=Customers, mode="merge", schedule=None, target_connection="other", source_connection="default")
    def returned(source: Any, target: Any) -> Source:
        return Source.postgres_table(source, "shop", "customers", ["id", "name"])

    result = returned.preview()
    assert (result.source_sql, result.targets[0].path, result.notes) == ("SELECT id, name FROM shop.customers", "cross_db", [])
    assert returned.dry_run().targets[0].dry_run_rows_affected["rows_inserted"] == 5


# Live


def test_live_says_what_only_the_server_knows(psql: Any, make_database: Any) -> None:
    run = customers(mode="scd2", incremental_column="id")
    assert run.preview().targets[0].live is None
    before = state(psql)
    live = run.preview(live=True).targets[0].live
    assert live is not None
    assert (live["target_exists"], live["target_rows"], live["watermark"], live["notes"]) == (False, None, None, [])
    assert state(psql) == before
    run()
    psql("ANALYZE shop.customers")
    psql("ANALYZE warehouse.customers")
    psql("DROP INDEX warehouse.customers_id_idx")
    psql("ALTER TABLE warehouse.customers ALTER name TYPE text")
    live = run.preview(live=True).targets[0].live
    assert live is not None
    assert live.pop("locks") == [{"relation": "warehouse.customers", "mode": "SHARE ROW EXCLUSIVE", "conflicting": []}]
    refused = live.pop("notes")
    assert live == {
        "source_rows": 5,
        "target_exists": True,
        "target_rows": 5,
        "differences": live["differences"],
        "alter": "",
        "missing_guards": ["CREATE UNIQUE INDEX ON warehouse.customers (id) NULLS NOT DISTINCT WHERE is_current"],
        "watermark": "5",
    }
    assert len(live["differences"]) == 1
    assert refused == [f"A run would refuse the table warehouse.customers as it is: {live['differences'][0]}."]


def test_live_names_who_holds_and_who_waits(psql: Any, database: Any) -> None:
    run = customers()
    run()
    holder, waiter = database.server.connect(database.name), database.server.connect(database.name)
    try:
        for session, name in ((holder, "backfill"), (waiter, "repair")):
            session.execute(f"SET application_name = '{name}'")
            session.execute("BEGIN")
        holder.execute("UPDATE warehouse.customers SET name = 'x' WHERE id = 1")
        waiter.pgconn.send_query(b"LOCK TABLE warehouse.customers IN SHARE MODE")
        waiter.pgconn.flush()
        waits = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
        assert any(psql(waits, waiter.info.backend_pid) == [(1,)] for _ in range(10_000))
        live = run.preview(live=True).targets[0].live
    finally:
        holder.close()
        waiter.close()
    assert live is not None
    assert live["notes"] == []
    (lock,) = live["locks"]
    assert all(found.pop("seconds") >= 0 and found.pop("pid") > 0 for found in lock["conflicting"])
    assert lock["conflicting"] == [
        {"application": "backfill", "mode": "ROW EXCLUSIVE", "granted": True},
        {"application": "repair", "mode": "SHARE", "granted": False},
    ]


def test_a_table_that_somebody_has_for_himself_keeps_nobody_waiting(psql: Any, database: Any) -> None:
    run = customers()
    run()
    with database.server.connect(database.name) as holder:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE shop.customers, warehouse.customers")
        live = run.preview(live=True).targets[0].live
        holder.execute("ROLLBACK")
    assert live is not None
    assert [found["mode"] for found in live["locks"][0]["conflicting"]] == ["ACCESS EXCLUSIVE"]
    assert live["source_rows"] is None
    assert live["notes"][0] == BUSY


def test_what_cannot_be_seen_live_is_a_note(psql: Any) -> None:
    live = customers("SELECT id, name FROM shop.gone").preview(live=True).targets[0].live
    assert live is not None
    assert live["source_rows"] is None
    assert live["target_exists"] is False
    assert live["notes"] == [
        f'The source query cannot be run. ERROR: relation "shop.gone" does not exist\n{live["notes"][0].partition(chr(10))[2]}'
    ]


# Validate


def test_a_good_pipeline_is_valid() -> None:
    customers("WITH a AS (SELECT 1 AS id) SELECT id, 'x' AS name FROM a; -- done")
    result = pipeline.validate("customers")
    assert (result.ok, result.errors, result.notes, result.target_connection_name) == (True, [], [], None)
    assert result.source_sql == "WITH a AS (SELECT 1 AS id) SELECT id, 'x' AS name FROM a; -- done"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1 AS id, 'a' AS name; DELETE FROM shop.customers", "cannot insert multiple commands into a prepared statement"),
        ("SELECT 1) AS q; DELETE FROM shop.customers; --", 'syntax error at or near ")"'),
        ("SELECT 1 AS id, 'a' AS name) AS q, (SELECT 2", 'syntax error at or near ")"'),
        ("ANALYZE DELETE FROM shop.customers", 'syntax error at or near "FROM"'),
        ("ANALYZE SELECT 1", 'syntax error at or near "SELECT"'),
        ("ANALYZE shop.customers", "The source query returns no rows: it is not a SELECT."),
        ("COMMIT", "The source query returns no rows: it is not a SELECT."),
        ("COMMIT; DELETE FROM shop.customers; BEGIN", "cannot insert multiple commands into a prepared statement"),
        ("SELECT 1 AS id, 'a' AS name; COMMIT; DELETE FROM shop.customers", "cannot insert multiple commands into a prepared statement"),
        ("DELETE FROM shop.customers", "The source query returns no rows: it is not a SELECT."),
        ("DELETE FROM shop.customers RETURNING id, name", "syntax error at or near"),
        ("WITH d AS (DELETE FROM shop.customers RETURNING *) SELECT id, name FROM d", "data-modifying statement must be at the top level"),
        ("SELECT id, name INTO shop.copy FROM shop.customers", "The source query returns no rows: it is not a SELECT."),
        ("CREATE TABLE shop.made AS SELECT 1 AS id, 'a' AS name", "it is not a SELECT"),
        ("EXPLAIN ANALYZE DELETE FROM shop.customers", "The source query lacks the columns"),
        ("SELECT id, name FROM shop.customers /* open", "unterminated /* comment"),
        ("SELECT id, name FROM shop.customers WHERE (name = 'a'", "syntax error at end of input"),
        ("SELECT id, name FROM shop.customers WHERE name = 'a", "unterminated quoted string"),
        ("SELECT id, name FROM shop.customers WHERE id = $1", "The source query has parameters"),
        ("SELECT id, shop.remove() AS name FROM shop.customers", "cannot execute DELETE in a read-only transaction"),
        ("SELECT id, shop.unlock() AS name FROM shop.customers", "transaction read-write mode must be set before any query"),
        ("SELECT id, 1 / 0 AS name FROM shop.customers", "division by zero"),
        ("SELECT id FROM shop.customers", 'The source query lacks the column "name" of warehouse.customers.'),
        ("SELECT id, surname AS name FROM shop.customers", 'column "surname" does not exist'),
        ("", "The source query is empty."),
    ],
)
def test_validate_executes_nothing(psql: Any, query: str, said: str) -> None:
    # What is called IMMUTABLE the server computes while it plans, and what that calls may write.
    for name, statement in (
        ("remove", "DELETE FROM shop.customers"),
        ("unlock", "PERFORM set_config('transaction_read_only', 'off', false)"),
    ):
        psql(f"CREATE FUNCTION shop.really_{name}() RETURNS void LANGUAGE plpgsql AS $$BEGIN {statement}; END$$")
        psql(
            f"CREATE FUNCTION shop.{name}() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM shop.really_{name}(); RETURN 'x'; END$$"
        )
    customers(query)
    before = state(psql)
    result = pipeline.validate("customers")
    assert not result.ok
    assert len(result.errors) == 1
    assert said in result.errors[0]
    assert state(psql) == before


def test_a_failing_text_is_one_error_for_each_connection(other_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_OTHER", other_dsn)
    customers("SELECT id, name FROM shop.gone", targets=[ematix.target(Customers, mode="merge"), ematix.target(Names, mode="append")])
    assert len(pipeline.validate("customers").errors) == 1


def test_validate_says_that_a_table_of_the_query_is_locked(psql: Any, server: Any) -> None:
    customers()
    with server.connect(psql.name) as holder, holder.transaction():
        holder.execute("LOCK TABLE shop.customers")
        assert pipeline.validate("customers").errors == [BUSY]


def test_validate_names_connections_schedules_and_options_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_CLOSED", "postgresql://u:canary-word@127.0.0.1:1/d")
    targets = [
        ematix.target(Customers, mode="scd2", compare_columns=["nope"]),
        ematix.target(Names, mode="merge", target_connection="closed"),
    ]
    customers(targets=targets, schedule="61 * * * *")
    errors = pipeline.validate("customers").errors
    assert [error.partition(":")[0] for error in errors] == [
        "schedule",
        "connection 'closed'",
        'compare_columns names the column "nope", which warehouse.customers does not declare.',
    ]
    assert "127.0.0.1" in errors[1]
    assert "canary-word" not in str(errors)


# The stored outputs


@pytest.mark.parametrize("name", ["one_target", "several_targets", "several_targets_verbose", "dry_run"])
def test_the_text_is_the_stored_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_OLTP", "postgresql://app:secret@db.example:5433/main")
    one: dict[str, Any] = {
        "mode": None,
        "strategy": SCD2(guards="current", closures=True),
        "incremental_column": "id",
        "source_connection": "oltp",
        "schedule": "0 * * * *",
    }
    several: dict[str, Any] = {
        "targets": [ematix.target(Customers, mode="merge", handle_deletes="soft"), ematix.target(Names, strategy=TruncateReplace())],
        "schedule": None,
    }
    if name != "dry_run":
        monkeypatch.setenv("EMATIX_FLOW_DSN", "postgresql://loader:secret@warehouse.example/dwh")
    customers(**(one if name == "one_target" else several))
    result = pipeline.preview("customers", dry_run=name == "dry_run")
    text = render_text(result, verbose=name.endswith("verbose"))
    stored = STORED / f"{name}.txt"
    if os.environ.get("EMATIX_GOLDEN") == "write":
        stored.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == stored.read_text(encoding="utf-8")
    own = [line for line in text.split("\n") if line.startswith(("    --", "    [")) or not line.startswith("    ")]
    assert [line for line in own if len(line) > 80 and "✓" not in line] == []
    again = pipeline.preview("customers", dry_run=name == "dry_run")
    assert again.to_json() == result.to_json()
    assert json.loads(result.to_json()) == result.to_dict()
    assert "secret" not in result.to_json()


# The command line


MODULE = """
from typing import Annotated
from ematix_flow import BigInt, String, ematix, pipeline, pk

@ematix.table(schema="warehouse")
class Customers:
    id: Annotated[BigInt, pk()]
    name: String[64]

@ematix.pipeline(target=Customers, mode="merge", schedule=None)
def customers(conn):
    return "SELECT id, name FROM shop.customers"

@ematix.pipeline(target=Customers, mode="merge", schedule="every day")
def broken(conn):
    return "SELECT id, surname AS name FROM shop.customers"

@pipeline.register(name="plain", schedule=None)
def plain():
    return {}
"""


@pytest.fixture
def flow(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    from ematix_flow.cli import main

    (tmp_path / "team_previews.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "team_previews", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        out, err = capfd.readouterr()
        return status, out, err

    return run


def test_the_exit_status_of_a_dry_run_tells_whether_there_is_something_to_do(flow: Any, psql: Any) -> None:
    words = ("dry-run", "--module", "team_previews", "customers", "--detailed-exitcode")
    status, out, err = flow(*words)
    assert (status, err) == (5, "")
    assert "  Dry-run rows affected: rows_inserted=5, rows_updated=0, rows_unchanged=0\n" in out
    assert flow(*words[:4])[0] == 0
    assert flow("run", "customers", "--module", "team_previews")[0] == 0
    assert flow(*words)[0] == 0
    psql("UPDATE shop.customers SET name = 'x' WHERE id = 1")
    assert flow(*words)[0] == 5
    psql("DROP TABLE shop.customers")
    status, out, err = flow(*words)
    assert (status, err) == (1, "error: the dry run of 'customers' failed for warehouse.customers\n")
    assert '  Dry-run error: The source query cannot be run. ERROR: relation\n    "shop.customers" does not exist\n' in out


def test_a_dry_run_tells_when_a_table_is_made_or_emptied(dsn: str, psql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_DEFAULT", dsn)
    psql("CREATE TABLE shop.notes (id bigint, note text)")

    @ematix.table(schema="warehouse")
    class Notes:
        id: Annotated[BigInt, pk()]
        note: Text

    @ematix.pipeline(target=Notes, mode="truncate", schedule=None, name="notes_replaced")
    def notes(conn: Any) -> str:
        return "SELECT id, note FROM shop.notes"

    def told() -> tuple[bool, bool]:
        plan = notes.dry_run().targets[0]
        assert (plan.dry_run_error, plan.dry_run_rows_affected) == (None, {"rows_inserted": 0})
        line = "  Dry-run rows affected: rows_inserted=0; the table would be made, altered or\n    emptied"
        return plan.dry_run_changes, line in str(notes.dry_run())

    assert told() == (True, True)
    notes()
    assert told() == (False, False)
    psql("INSERT INTO shop.notes VALUES (1, 'x')")
    notes()
    psql("DELETE FROM shop.notes")
    assert told() == (True, True)


def test_validate_tells_every_error(flow: Any) -> None:
    assert flow("validate", "customers", "--module", "team_previews") == (0, "customers: ok\n", "")
    status, out, err = flow("validate", "--module", "team_previews", "broken")
    assert (status, out) == (1, "")
    lines = err.splitlines()
    assert lines[0] == "broken: failed"
    assert [line[:12] for line in lines if line.startswith("  - ")] == ["  - schedule", "  - The sour"]
    status, out, _ = flow("validate", "--module", "team_previews", "broken", "--format", "json")
    told = json.loads(out)
    assert (status, told["ok"], len(told["errors"])) == (1, False, 2)
    assert sorted(told) == ["errors", "notes", "ok", "pipeline_name", "source_sql", "target_connection_name"]


@pytest.mark.parametrize("command", ["preview", "dry-run", "validate"])
def test_what_has_no_preview_is_refused(flow: Any, command: str) -> None:
    assert flow(command, "--module", "team_previews", "nope") == (
        2,
        "",
        "error: no pipeline named 'nope'\nhint: team_previews declares broken, customers, plain.\n",
    )
    assert flow(command, "--module", "team_previews", "plain") == (
        2,
        "",
        (
            "error: The pipeline 'plain' is a plain function (pipeline.register): what it loads is known to nobody but itself. "
            "Only pipelines under @ematix.pipeline have a preview.\n"
        ),
    )


def test_live_on_the_command_line(flow: Any) -> None:
    status, out, err = flow("preview", "customers", "--module", "team_previews", "--live")
    assert (status, err) == (0, "")
    assert (
        "  Live:\n"
        "    source: about 1,200 rows (the planner's estimate)\n"
        "    target: is missing: the load makes it\n"
        "    locks: nobody is in the way of SHARE ROW EXCLUSIVE on warehouse.customers\n"
    ) in out.replace("about 1,270", "about 1,200").replace("about 1,310", "about 1,200")


def test_config_is_used() -> None:
    assert "default" in config.list_connections()
