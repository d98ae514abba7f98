"""``pipeline.Pipeline(...).run()``: loads into tables that are there."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import InvalidQuery, InvalidSpec, TargetNotLoadable
from ematix_flow.pipeline import Pipeline, Source, Target

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def load(dsn: str, psql: Any) -> Callable[..., Any]:
    psql("CREATE SCHEMA dwh")

    def run(mode: str, query: str, *keys: str, table: str = "t") -> Any:
        return Pipeline("orders", Source(dsn, query), Target(dsn, "dwh", table), mode, keys).run()  # type: ignore[arg-type]

    return run


def test_merge_by_a_primary_key_fills_the_metadata_columns(load: Any, psql: Any) -> None:
    psql('CREATE TABLE dwh.t (id int PRIMARY KEY, "Name" varchar(10), _loaded_at timestamptz, _batch_id uuid NOT NULL)')
    result = load("merge", "SELECT 1 AS id, 'Ada' AS \"Name\", 2 AS more", "id")
    assert (result["rows_inserted"], result["path"], result["pipeline"]) == (1, "same_db", "orders")
    assert psql('SELECT id, "Name", _loaded_at <= clock_timestamp(), _batch_id::text FROM dwh.t') == [(1, "Ada", True, result["run_id"])]
    result = load("scd1", "VALUES (1, 'Ada'), (2, 'Edgar')".join(('SELECT id, n AS "Name" FROM (', ") AS v (id, n)")), "id")
    assert (result["rows_inserted"], result["rows_updated"], result["rows_unchanged"]) == (1, 0, 1)
    assert "differences" not in result


def test_a_table_without_metadata_columns_is_loaded_as_it_is(load: Any, psql: Any) -> None:
    psql("CREATE TABLE dwh.t (id int PRIMARY KEY, v numeric(6,2))")
    assert load("append", "SELECT 1 AS id, 1.5 AS v")["rows_inserted"] == 1
    assert load("truncate", "SELECT 2 AS id, 2.5 AS v")["rows_inserted"] == 1
    assert psql("TABLE dwh.t") == [(2, Decimal("2.50"))]


def test_history(load: Any, psql: Any) -> None:
    psql(
        "CREATE TABLE dwh.t (id int NOT NULL, v text, valid_from timestamptz, valid_to timestamptz, is_current boolean NOT NULL DEFAULT true,"
        " row_hash bytea NOT NULL, PRIMARY KEY (id, valid_from))"
    )
    load("scd2", "SELECT 1 AS id, 'a' AS v", "id")
    assert load("scd2", "SELECT 1 AS id, 'b' AS v", "id")["rows_closed"] == 1
    assert psql("SELECT v, is_current, valid_to IS NULL FROM dwh.t ORDER BY valid_from") == [("a", False, False), ("b", True, True)]


@pytest.mark.parametrize("mode", ["append", "truncate"])
@pytest.mark.parametrize("columns", ["id int NOT NULL, v text", "id int UNIQUE NOT NULL, v text", "v text, id int NOT NULL"])
def test_a_load_without_keys_needs_no_primary_key(load: Any, psql: Any, mode: str, columns: str) -> None:
    psql(f"CREATE TABLE dwh.t ({columns})")
    assert load(mode, "SELECT 1 AS id, NULL AS v")["rows_inserted"] == 1
    assert psql("SELECT id, v FROM dwh.t") == [(1, None)]


def test_a_unique_constraint_serves_as_the_key(load: Any, psql: Any) -> None:
    psql("CREATE TABLE dwh.t (code text NOT NULL UNIQUE, v int)")
    load("merge", "SELECT 'a' AS code, 1 AS v", "code")
    assert load("merge", "SELECT 'a' AS code, 2 AS v", "code")["rows_updated"] == 1
    assert psql("TABLE dwh.t") == [("a", 2)]


GENERATED = (
    "CREATE TABLE dwh.t (n bigint GENERATED {kind} AS IDENTITY PRIMARY KEY, id int UNIQUE NOT NULL, v int,"
    " doubled int GENERATED ALWAYS AS (v * 2) STORED, made date DEFAULT '2026-01-05', kind text[] DEFAULT '{{}}')"
)


@pytest.mark.parametrize("kind", ["ALWAYS", "BY DEFAULT"])
def test_what_the_server_gives_is_left_to_it(load: Any, psql: Any, kind: str) -> None:
    psql(GENERATED.format(kind=kind))
    for mode in ("append", "truncate", "merge"):
        result = load(mode, "SELECT 7 AS id, 21 AS v", *(("id",) if mode == "merge" else ()))
        assert result["rows_unchanged" if mode == "merge" else "rows_inserted"] == 1
    assert load("merge", "SELECT 7 AS id, 22 AS v", "id")["rows_updated"] == 1
    assert psql("SELECT id, v, doubled, made::text, kind FROM dwh.t") == [(7, 22, 44, "2026-01-05", [])]


def test_a_default_gives_way_to_the_query(load: Any, psql: Any) -> None:
    psql("CREATE TABLE dwh.t (id bigserial PRIMARY KEY, made date NOT NULL DEFAULT '2026-01-05')")
    load("append", "SELECT 5 AS id, DATE '2025-12-31' AS made")
    load("append", "SELECT 6 AS id")
    load("append", "SELECT DATE '2025-12-30' AS made")
    assert psql("SELECT id, made::text FROM dwh.t ORDER BY made") == [(1, "2025-12-30"), (5, "2025-12-31"), (6, "2026-01-05")]


@pytest.mark.parametrize(
    ("table", "mode", "keys", "error", "message"),
    [
        ("CREATE TABLE dwh.other (id int)", "append", (), TargetNotLoadable, "There is no table dwh.t in the target database."),
        ("CREATE VIEW dwh.t AS SELECT 1 AS id", "append", (), TargetNotLoadable, "dwh.t cannot be loaded."),
        (
            "CREATE TABLE dwh.t (id int PRIMARY KEY, tags text[])",
            "append",
            (),
            TargetNotLoadable,
            'its column "tags" is of the type text[]',
        ),
        (
            "CREATE TABLE dwh.t (id int PRIMARY KEY, a numeric)",
            "merge",
            ("id",),
            TargetNotLoadable,
            'its column "a" is of the type numeric',
        ),
        ("CREATE TABLE dwh.t (id int)", "append", (), TargetNotLoadable, "all its columns may be NULL"),
        (
            "CREATE TABLE dwh.t (id int NOT NULL)",
            "merge",
            ("id",),
            TargetNotLoadable,
            "it has no primary key that the load writes, and no unique",
        ),
        ("CREATE TABLE dwh.t (id int UNIQUE)", "merge", ("id",), TargetNotLoadable, "no unique constraint on columns that cannot be NULL"),
        (
            "CREATE TABLE dwh.t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)",
            "merge",
            ("id",),
            TargetNotLoadable,
            'its column "id", which the',
        ),
        (
            "CREATE TABLE dwh.t (id int PRIMARY KEY, _loaded_at date)",
            "append",
            (),
            TargetNotLoadable,
            '"_loaded_at", which the load fills, is DATE',
        ),
        ("CREATE TABLE dwh.t (id int PRIMARY KEY, v int)", "merge", ("v",), InvalidSpec, "needs a primary key or unique constraint"),
        ("CREATE TABLE dwh.t (id int PRIMARY KEY, v int)", "merge", ("nope",), InvalidSpec, 'keys names the column "nope"'),
        ("CREATE TABLE dwh.t (id int PRIMARY KEY, v int)", "scd2", ("id",), InvalidSpec, 'The load needs the column "valid_from"'),
        ("CREATE TABLE dwh.t (id int PRIMARY KEY, w int)", "append", (), InvalidQuery, 'The source query lacks the column "w" of dwh.t'),
    ],
)
def test_what_cannot_be_loaded_is_named(
    load: Any, psql: Any, table: str, mode: str, keys: tuple[str, ...], error: type, message: str
) -> None:
    psql(table)
    with pytest.raises(error) as refused:
        load(mode, "SELECT 1 AS id", *keys)
    assert message in str(refused.value)
    assert psql("SELECT count(*) FROM pg_class WHERE relnamespace = 'dwh'::regnamespace AND relkind = 'r' AND relname = 't'") == [
        (int("TABLE dwh.t" in table),)
    ]


def test_a_query_that_is_not_valid_is_told_by_the_load(load: Any, psql: Any) -> None:
    psql("CREATE TABLE dwh.t (id int PRIMARY KEY)")
    with pytest.raises(InvalidQuery, match=r"^The source query cannot be run\. .*nowhere"):
        load("append", "SELECT id FROM nowhere.at_all")


def test_from_another_database(load: Any, dsn: str, other_dsn: str, other_database: Any, psql: Any) -> None:
    psql("CREATE TABLE dwh.t (id int PRIMARY KEY, v text DEFAULT 'x', n int GENERATED ALWAYS AS (id + 1) STORED)")
    other_database("CREATE TABLE public.orders (id int); INSERT INTO public.orders VALUES (1), (2)")
    orders = Pipeline("orders", Source(other_dsn, "SELECT id FROM public.orders"), Target(dsn, "dwh", "t"), "merge", ("id",))
    result = orders.run()
    assert (result["rows_inserted"], result["path"]) == (2, "cross_db")
    assert psql("TABLE dwh.t") == [(1, "x", 2), (2, "x", 3)]


def test_two_urls_of_one_database(load: Any, dsn: str, psql: Any) -> None:
    psql("CREATE TABLE dwh.t (id int PRIMARY KEY)")
    with_option = dsn + ("&" if "?" in dsn else "?") + "connect_timeout=9"
    assert Pipeline("p", Source(with_option, "SELECT 1 AS id"), Target(dsn, "dwh", "t"), "append").run()["path"] == "same_db"


def test_connections_by_name(load: Any, dsn: str, psql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_DWH", dsn)
    psql("CREATE TABLE dwh.t (id int PRIMARY KEY)")
    described = Pipeline("p", Source("dwh", "SELECT 1 AS id"), Target("dwh", "dwh", "t"), "append")
    assert described.run()["rows_inserted"] == 1
    assert psql("SELECT pipeline_name, status FROM ematix_flow.run_history") == [("p", "success")]


def test_run_by_name_from_the_command_line(dsn: str, psql: Any, tmp_path: Path) -> None:
    psql("CREATE TABLE public.t (id int PRIMARY KEY)")
    (tmp_path / "described.py").write_text(
        "from ematix_flow.pipeline import Pipeline, Source, Target\n"
        f"Pipeline('nightly', Source({dsn!r}, 'SELECT 1 AS id'), Target({dsn!r}, 'public', 't'), 'merge', ('id',), schedule='0 3 * * *')\n"
    )
    words = ["run-due", "--module", "described", "--now", "2026-01-05T03:00Z"]
    done = subprocess.run([sys.executable, "-m", "ematix_flow.cli", *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "firing: nightly\n")
    (ran,) = json.loads(done.stdout)["ran"]
    assert (ran["_pipeline"], ran["rows_inserted"]) == ("nightly", 1)
