"""Previews without a server: what is asked of whom, the reasons and notes, the text and the HTML. The engine is the real one."""

from __future__ import annotations

import json
import sys
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import BigInt, ManagedTable, Source, String, TimestampTZ, _bridge, config, ematix, natural_key, pipeline, pk
from ematix_flow.connection import Connection
from ematix_flow.preview import PreviewResult, TargetPlan, TransformPlan, render_text
from ematix_flow.strategy import MergeUpsert, TruncateReplace
from ematix_flow.types import Column

if TYPE_CHECKING:
    from collections.abc import Callable


@ematix.table(schema="dwh")
class Orders:
    id: Annotated[BigInt, pk()]
    code: Annotated[String[8], natural_key()]  # type: ignore[type-arg,valid-type]
    at: TimestampTZ | None


@ematix.table(schema="dwh")
class Versions:
    id: Annotated[BigInt, pk()]
    note: String[8]  # type: ignore[type-arg,valid-type]


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that the engine is asked for; the default connection is configured, and nobody answers there."""
    monkeypatch.setenv("EMATIX_FLOW_DSN", "postgresql://loader:secret@db.example/dwh")
    operations: list[str] = []
    call = _bridge.call

    def noted(op: str, *args: Any, **options: Any) -> Any:
        operations.append(op)
        return call(op, *args, **options)

    monkeypatch.setattr(_bridge, "call", noted)
    return operations


def declare(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    given = {"target": Orders, "mode": "merge", "name": "orders", "schedule": None} | options
    return ematix.pipeline(**given)(fn or (lambda conn: "SELECT 1 AS id, 'a' AS code, now() AS at"))


def test_a_preview_asks_for_configuration_and_plans_and_nothing_else(asked: list[str]) -> None:
    result = declare(schedule="0 3 * * *").preview()
    assert sorted(set(asked)) == ["describe_dsn", "plan", "resolve_connection"]
    assert (result.pipeline_name, result.schedule, result.mode, result.is_dry_run, result.transforms_post) == (
        "orders",
        "0 3 * * *",
        "merge",
        False,
        [],
    )
    assert result.source_connection_name is None
    assert result.source_connection_info == {"host": "db.example", "port": 5432, "dbname": "dwh", "user": "loader"}
    (target,) = result.targets
    assert target.target_connection_info == result.source_connection_info
    assert (target.declared_columns, target.dry_run_rows_affected, target.dry_run_error, target.live) == (
        ["id", "code", "at"],
        {},
        None,
        None,
    )
    assert [column["name"] for column in target.augmented_columns if column["automatic"]] == ["_loaded_at", "_batch_id"]
    assert target.augmented_columns[1] == {
        "name": "code",
        "type": "VARCHAR(8)",
        "nullable": False,
        "primary_key": False,
        "automatic": False,
    }
    assert [statement["sql"] for statement in target.statements] == [sql.partition("\n-- $1")[0] for sql in target.plan_sql]


def test_the_fields_are_the_documented_ones() -> None:
    told = declare().preview().to_dict()
    documented = (
        "pipeline_name schedule mode source_connection_name source_connection_info source_sql targets is_dry_run notes transforms_post"
    )
    assert " ".join(told) == documented
    of_target = (
        "schema_qualified_name mode path path_reason augmented_columns declared_columns merge_keys merge_keys_reason compare_columns "
        "compare_columns_reason target_connection_name target_connection_info plan_sql plan_sql_label dry_run_rows_affected dry_run_error dry_run_changes "
        "statements decisions"
    )
    assert " ".join(told["targets"][0]) == of_target


def test_two_previews_are_equal_to_the_byte_and_hold_no_password() -> None:
    wrapped = declare(target=Versions, mode="scd2", ttl=timedelta(days=30), handle_deletes="soft")
    first, second = wrapped.preview(), pipeline.preview("orders")
    assert first.to_json() == second.to_json()
    assert json.loads(first.to_json()) == first.to_dict()
    assert "secret" not in first.to_json() + str(first) + first._repr_html_()


@pytest.mark.parametrize(
    ("options", "keys", "reason", "compared", "why"),
    [
        ({"keys": ["id"]}, ["id"], "from explicit keys=", ["code", "at"], "auto-derived (non-key non-metadata)"),
        ({}, ["code"], "from natural_key() / __unique_constraints__", ["id", "at"], "auto-derived (non-key non-metadata)"),
        ({"update_columns": ["at"]}, ["code"], "from natural_key() / __unique_constraints__", ["at"], "from explicit update_columns="),
        ({"target": Versions}, ["id"], "from primary_key=True", ["note"], "auto-derived (non-key non-metadata)"),
        (
            {"target": Versions, "mode": "scd2", "compare_columns": ["note"]},
            ["id"],
            "from primary_key=True",
            ["note"],
            "from explicit compare_columns=",
        ),
        (
            {"mode": None, "strategy": MergeUpsert(keys=["id"])},
            ["id"],
            "from explicit keys=",
            ["code", "at"],
            "auto-derived (non-key non-metadata)",
        ),
        (
            {"mode": None, "strategy": TruncateReplace(replace="diff")},
            ["id"],
            "from primary_key=True",
            ["code", "at"],
            "auto-derived (non-key non-metadata)",
        ),
        ({"mode": "append"}, [], "", [], ""),
        ({"mode": "truncate"}, [], "", [], ""),
    ],
)
def test_keys_and_compared_columns_have_their_reasons(
    options: dict[str, Any], keys: list[str], reason: str, compared: list[str], why: str
) -> None:
    target = declare(**options).preview().targets[0]
    assert (target.merge_keys, target.merge_keys_reason) == (keys, reason)
    assert (target.compare_columns, target.compare_columns_reason) == (compared, why)


def test_keys_of_a_class_attribute_have_their_reason_and_the_warning_is_a_note() -> None:
    class Chosen(ManagedTable):
        __schema__, __tablename__, __merge_keys__ = "dwh", "chosen", ("code",)
        __unique_constraints__ = (("code",),)
        id = Column(BigInt, primary_key=True)
        code = Column(BigInt)

    result = declare(target=Chosen).preview()
    assert result.targets[0].merge_keys_reason == "from __merge_keys__"
    assert result.notes == [
        "The pipeline 'orders' takes its keys (code) from __merge_keys__ of Chosen; they differ from its primary key (id). Give keys= to silence this."
    ]


@pytest.mark.parametrize(
    ("options", "path", "reason"),
    [
        ({}, "same_db", "source and target use the same connection"),
        ({"source_connection": "same"}, "same_db", "source and target are one database: host, port, dbname and user are equal"),
        ({"source_connection": "reader"}, "cross_db", "source and target differ in user"),
        ({"source_connection": "shop"}, "cross_db", "source and target differ in host, port, dbname and user"),
        ({"source_connection": "gone"}, "cross_db", "source and target use different connections, 'gone' and 'default'"),
        ({"source_connection": "gone", "target_connection": "gone"}, "same_db", "source and target use the same connection"),
        (
            {"source_connection": "shop", "force_path": "same_db"},
            "same_db",
            "force_path='same_db': the query runs on the target's connection",
        ),
        ({"force_path": "cross_db"}, "cross_db", "force_path='cross_db'"),
        (
            {"source_connection": "private", "target_connection": "shop"},
            "cross_db",
            "source and target use different connections, and where a private server listens is known when it runs",
        ),
        (
            {"source_connection": "private", "target_connection": "own"},
            "same_db",
            "source and target are one database: host, port, dbname and user are equal",
        ),
    ],
)
def test_the_path_has_its_reason(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], path: str, reason: str) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_SAME", "postgres://loader@db.example:5432/dwh?sslmode=disable")
    monkeypatch.setenv("EMATIX_FLOW_DSN_READER", "postgres://reader@db.example/dwh")
    monkeypatch.setenv("EMATIX_FLOW_DSN_SHOP", "postgres://app@/shop?host=/run/postgresql&port=5433")
    monkeypatch.setenv("EMATIX_FLOW_DSN_PRIVATE", "embedded://here")
    monkeypatch.setenv("EMATIX_FLOW_DSN_OWN", "embedded://here")
    target = declare(**options).preview().targets[0]
    assert (target.path, target.path_reason) == (path, reason)


def test_a_private_server_is_described_and_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    from ematix_flow import embedded

    monkeypatch.setenv("EMATIX_FLOW_DSN", "embedded://here")
    monkeypatch.setattr(embedded, "start", lambda name: pytest.fail("it was started"))
    assert declare().preview().source_connection_info == {"host": "embedded://here", "port": None, "dbname": None, "user": None}


def test_a_connection_that_is_not_configured_is_one_note() -> None:
    result = declare(source_connection="oltp", target_connection="oltp", keys=["id"]).preview()
    (note,) = result.notes
    assert note.startswith("The connection 'oltp' cannot be used: There is no connection \"oltp\". Searched, in this order:\n  1. ")
    assert "EMATIX_FLOW_DSN_OLTP" in note
    assert result.source_connection_info is None
    assert result.targets[0].plan_sql


def test_a_dsn_in_the_place_of_a_name_is_shown_without_its_password() -> None:
    wrapped = declare(source_connection="postgresql://u:canary-word@h/d", target_connection="host=h password='canary-word'", keys=["id"])
    for result in (wrapped.preview(), wrapped.dry_run(), wrapped.preview(live=True)):
        assert "canary-word" not in result.to_json() + str(result) + result._repr_html_() + repr(result)
    assert "canary-word" not in repr(pipeline.validate("orders"))


def test_warnings_of_the_users_own_code_stay_warnings() -> None:
    def orders(conn: Any) -> str:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn("odd", UserWarning, stacklevel=1)
        return "SELECT 1"

    with pytest.warns(DeprecationWarning, match="old"):
        assert declare(orders, keys=["id"]).preview().notes == ["odd"]


# The function


REFUSED = (
    "A preview sends no statement, and the connection 'default' that the function is given cannot be queried. "
    "dry_run gives it a real one, and rolls the load back."
)


@pytest.mark.parametrize(
    "ask",
    [
        lambda conn: conn.execute("SELECT 1"),
        lambda conn: conn.fetch_scalar_int("SELECT 1"),
        lambda conn: conn.execute_in_transaction(["SELECT 1"]),
        lambda conn: conn.read_arrow("SELECT 1"),
        lambda conn: conn.ping(),
        lambda conn: conn.dsn(),
        lambda conn: conn.read_watermark("x"),
        lambda conn: pipeline.sync(target=Orders, source=Source(conn, "SELECT 1"), target_connection=conn),
    ],
)
def test_the_stand_in_refuses_to_be_queried(ask: Callable[[Any], Any], asked: list[str]) -> None:
    result = declare(lambda conn: ask(conn), keys=["id"]).preview()
    text = f"The function of the pipeline raised RuntimeError: {REFUSED}"
    assert result.notes == [text]
    assert result.source_sql == f"-- {text}"
    assert result.targets[0].plan_sql  # the rest of the plan is shown
    assert sorted(set(asked)) == ["describe_dsn", "plan", "resolve_connection"]


def test_the_stand_in_says_where_it_leads() -> None:
    seen = []

    def orders(conn: Any) -> str:
        assert isinstance(conn, Connection)
        seen.append((conn.connection_info(), repr(conn)))
        conn.close()
        return "SELECT 2"

    assert declare(orders).preview().source_sql == "SELECT 2"
    info = {"host": "db.example", "port": 5432, "dbname": "dwh", "user": "loader"}
    assert seen == [(info, "<Connection host=db.example port=5432 dbname=dwh user=loader>")]


def test_functions_that_return_something_else() -> None:
    async def later(conn: Any) -> str:
        return "SELECT 3"

    result = declare(later, keys=["id"]).preview()
    assert (result.source_sql, result.notes) == ("SELECT 3", [])
    pipeline._REGISTRY.clear()
    result = declare(lambda src, tgt: Source(src, "SELECT 4"), source_connection="default", keys=["id"]).preview()
    assert (result.source_sql, result.notes, result.targets[0].path) == ("SELECT 4", [], "same_db")
    pipeline._REGISTRY.clear()
    result = declare(lambda conn: {"done": True}, keys=["id"]).preview()
    assert (result.source_sql, result.notes) == (
        "-- The function returned a dict: nothing is loaded.",
        ["The function returned a dict: nothing is loaded."],
    )
    pipeline._REGISTRY.clear()
    result = declare(lambda conn: 7, keys=["id"]).preview()
    (note,) = result.notes
    assert note == (
        "There is no source query: The pipeline 'orders' returned an object of type int. "
        "It returns SQL (str), an ematix_flow.Source, a dict, or None with source_table=."
    )
    pipeline._REGISTRY.clear()
    assert declare(lambda: None, source_table="shop.orders").preview().source_sql == "SELECT id, code, at FROM shop.orders"


def test_what_cannot_be_planned_is_a_note() -> None:
    result = declare(keys=["nope"]).preview()
    assert result.notes == ['dwh.orders cannot be planned: keys names the column "nope", which dwh.orders does not declare.']
    assert (result.targets[0].plan_sql, result.targets[0].path) == ([], "same_db")


def test_a_number_as_watermark_is_warned_of() -> None:
    assert declare(mode="append", incremental_column="id").preview().notes == [
        (
            'dwh.orders: incremental_column="id" is a number: sequence values commit out of order, and one that is committed late lies '
            'below the watermark and is never loaded: mode="merge" with lag= reads back over it.'
        )
    ]
    pipeline._REGISTRY.clear()
    assert declare(incremental_column="id", lag=100).preview().notes[1:] == []
    pipeline._REGISTRY.clear()
    assert declare(incremental_column="at").preview().targets[0].decisions[0] == {
        "about": "watermark",
        "text": "by at (TIMESTAMPTZ); reads what is equal to or greater than the stored watermark: reading a row twice changes nothing; "
        "cap: it stays one second behind the start of the source's oldest transaction, which may still commit older rows",
    }


def test_what_has_no_preview_is_refused() -> None:
    pipeline.register(name="plain", schedule=None)(dict)
    pipeline.Pipeline(
        "data", pipeline.Source("default", "SELECT 1 AS id"), pipeline.Target("default", "w", "t"), "append", schedule="@daily"
    )
    for call in (pipeline.preview, pipeline.dry_run, pipeline.validate):
        with pytest.raises(KeyError, match="nope"):
            call("nope")
        with pytest.raises(TypeError, match="'plain' is a plain function"):
            call("plain")
        with pytest.raises(TypeError, match="'data' is described as data"):
            call("data")


# Text and HTML


def bare(**fields: Any) -> TargetPlan:
    return TargetPlan(**{"schema_qualified_name": "w.t", "mode": "merge", "path": "same_db", "path_reason": "why"} | fields)


ODD = "SELECT '[bold red]', \"a]\"   [1:2] \\[x] {0} %s <b>" + 120 * "x" + "</b>"


def test_text_of_one_target() -> None:
    result = PreviewResult(
        "sync_customers",
        schedule="0 * * * *",
        mode="merge",
        source_connection_name="oltp",
        source_connection_info={"host": "db.example", "port": 5432, "dbname": "main", "user": "u"},
        targets=[
            bare(
                augmented_columns=[{"name": "id"}, {"name": "_batch_id", "automatic": True}],
                merge_keys=["id"],
                merge_keys_reason="from primary_key=True",
                compare_columns=["[email]"],
                compare_columns_reason="auto-derived (non-key non-metadata)",
                plan_sql=[ODD + "\n  FROM t", "SELECT 2"],
                statements=[
                    {"name": "one", "why": "[why] " + 20 * "long ", "when": "", "side": "source", "locks": []},
                    {"name": "two", "why": "w", "when": "if", "side": "target", "locks": [{"mode": "SHARE", "relation": "w.t"}] * 4},
                ],
                decisions=[{"about": "delete guard", "text": "on"}],
            )
        ],
        notes=["first\nsecond"],
        transforms_post=[TransformPlan("sql", "ANALYZE w.t")],
    )
    text = f"""\
PREVIEW  sync_customers  schedule: 0 * * * *
mode: merge
source connection: oltp (db.example/main)

Target: w.t
  Path: same_db  why
  Columns:
    id
    _batch_id (auto)
  Merge keys: (id) [from primary_key=True]
  Compare columns: ([email]) [auto-derived (non-key non-metadata)]
  Delete guard: on
  SQL plan (2 statement(s)):
    [1/2] one, on the source
    -- [why] long long long long long long long long long long long long long
    -- long long long long long long long
    {ODD}
      FROM t

    [2/2] two (if)
    -- w
    -- locks: SHARE on w.t; SHARE on w.t; SHARE on w.t; SHARE on w.t
    SELECT 2

Transforms (post):
  1. sql: ANALYZE w.t
Notes:
  • first
    second"""
    assert render_text(result) == text.replace("\nNotes:", "\n\nNotes:")
    assert str(result) == render_text(result, verbose=True)


def test_text_of_several_targets() -> None:
    result = PreviewResult(
        "both",
        targets=[
            bare(merge_keys=["a", "b"], dry_run_rows_affected={"rows_inserted": 3, "rows_updated": 0}),
            bare(schema_qualified_name="other.longer", mode="append", path="cross_db", dry_run_error=70 * "e" + "\nhint"),
        ],
    )
    hint = "--verbose (-v) shows each target in full: columns, reasons, SQL and locks."
    assert (
        render_text(result)
        == f"""\
PREVIEW  both  schedule: —

targets (2):
  • w.t           mode=merge   keys=(a, b)  path=same_db
  • other.longer  mode=append  keys=—       path=cross_db

{hint}"""
    )
    result.is_dry_run = True
    assert (
        render_text(result)
        == f"""\
DRY RUN  both  schedule: —

targets (2):
  • w.t           mode=merge   keys=(a, b)  path=same_db
      ✓ (rows_inserted=3, rows_updated=0)
  • other.longer  mode=append  keys=—       path=cross_db
      ✗ {70 * "e"}

{hint}"""
    )
    assert (
        render_text(result, verbose=True)
        == f"""\
DRY RUN  both  schedule: —

[1/2] w.t
  Mode: merge
  Path: same_db  why
  Merge keys: (a, b) []
  Dry-run rows affected: rows_inserted=3, rows_updated=0

[2/2] other.longer
  Mode: append
  Path: cross_db  why
  Dry-run error: {70 * "e"}
    hint"""
    )


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    result = PreviewResult("both", targets=[bare(plan_sql=["SELECT 1"], dry_run_error="no")], is_dry_run=True)
    plain = render_text(result)
    assert "\x1b" not in plain
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    coloured = render_text(result)
    assert coloured.startswith("\x1b[1mDRY RUN\x1b[0m  \x1b[1mboth\x1b[0m")
    assert "\x1b[31m  Dry-run error: no\x1b[0m" in coloured
    assert render_text(result, use_color=False) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert render_text(result) == plain


def test_live_lines() -> None:
    live = {
        "source_rows": 1200.0,
        "target_exists": True,
        "target_rows": 1,
        "differences": ["a differs"],
        "alter": "ALTER TABLE w.t\n    ADD COLUMN a BIGINT",
        "missing_guards": ["CREATE INDEX"],
        "watermark": "5",
        "locks": [
            {
                "relation": "w.t",
                "mode": "ROW EXCLUSIVE",
                "conflicting": [
                    {"pid": 7, "application": "psql", "mode": "SHARE", "granted": True, "seconds": 5},
                    {"pid": 0, "application": "", "mode": "SHARE", "granted": False, "seconds": -1},
                ],
            },
            {"relation": "w.t__closures", "mode": "ROW EXCLUSIVE", "conflicting": []},
        ],
        "notes": ["n"],
    }
    lines = render_text(PreviewResult("p", targets=[bare(live=live)])).split("\n")
    assert lines[4:] == [
        "  Live:",
        "    source: about 1,200 rows (the planner's estimate)",
        "    target: is there, about 1 row",
        "    difference: a differs",
        "    alter: ALTER TABLE w.t ADD COLUMN a BIGINT (ACCESS EXCLUSIVE)",
        "    guard to add: CREATE INDEX",
        "    watermark: 5",
        "    locks: process 7 (psql) holds SHARE in a transaction open for 5 s, in the",
        "      way of ROW EXCLUSIVE on w.t",
        "    locks: a prepared transaction waits for SHARE, in the way of ROW EXCLUSIVE",
        "      on w.t",
        "    locks: nobody is in the way of ROW EXCLUSIVE on w.t__closures",
        "    note: n",
    ]
    assert bare(live=live).to_dict()["live"] == live
    assert "live" not in bare().to_dict()


def test_the_html_escapes_everything() -> None:
    odd = "<script>alert(1)</script>"
    result = PreviewResult(
        odd,
        schedule=odd,
        mode=odd,
        source_connection_name=odd,
        source_sql=odd,
        notes=[odd],
        transforms_post=[TransformPlan("sql", odd)],
        targets=[
            bare(
                schema_qualified_name=odd,
                path_reason=odd,
                merge_keys=[odd],
                plan_sql=[odd],
                dry_run_error=odd,
                augmented_columns=[{"name": odd, "type": odd, "nullable": True, "primary_key": True, "automatic": True}],
                statements=[{"name": odd, "why": odd, "when": odd, "side": "source", "locks": [{"mode": odd, "relation": odd}]}],
                decisions=[{"about": odd, "text": odd}],
                live={"notes": [odd]},
            )
        ],
    )
    html = result._repr_html_()
    assert html.startswith('<div class="ematix"><style>')
    assert "<script>" not in html
    assert html.count("&lt;script&gt;") == 22


def test_the_command_asks_nothing_of_a_database(
    asked: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ematix_flow.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "no_pipelines_here.py").write_text("", encoding="utf-8")
    wrapped = declare()
    assert main(["preview", "orders", "--module", "no_pipelines_here", "--format", "json"]) == 0
    assert capsys.readouterr() == (wrapped.preview().to_json() + "\n", "")
    assert main(["preview", "--module", "no_pipelines_here", "orders", "-v", "--no-color"]) == 0
    assert capsys.readouterr() == (render_text(wrapped.preview()) + "\n", "")
    assert sorted(set(asked)) == ["describe_dsn", "plan", "resolve_connection"]
    assert config.EMBEDDED == "embedded:"
