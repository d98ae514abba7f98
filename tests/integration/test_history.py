"""``Connection.history``: runs as they were recorded, and the versions of a key against the plain model of the oracle."""

from __future__ import annotations

import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import polars
import pyarrow
import pytest

from ematix_flow import InvalidIdentifier, InvalidSpec, PermissionDenied, Source, _core, ematix, pipeline, pk
from ematix_flow.strategy import SCD2, AppendOnly, MergeUpsert
from ematix_flow.types import JSON, BigInt, Boolean, Bytes, Double, Integer, Numeric, Text, TimestampTZ
from tests.oracle.history import History

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    yield
    pipeline._REGISTRY.clear()


def tables() -> Any:
    @ematix.table(schema="warehouse")
    class Customers:
        id: Annotated[BigInt, pk()]
        tier: Text | None
        balance: Numeric[12, 2] | None  # type: ignore[type-arg]
        seen: TimestampTZ

    return Customers


def query(rows: list[dict[str, Any]]) -> str:
    values = ", ".join(f"({row['id']}, {quoted(row['tier'])}, {quoted(row['balance'])}, '{row['seen'].isoformat()}')" for row in rows)
    text = f"SELECT id::bigint, tier::text, balance::numeric(12,2), seen::timestamptz FROM (VALUES {values}) AS v (id, tier, balance, seen)"
    return text if rows else "SELECT 1::bigint AS id, ''::text AS tier, 0::numeric(12,2) AS balance, now() AS seen WHERE false"


def quoted(value: object) -> str:
    return "NULL" if value is None else f"'{value}'"


def load(conn: Any, target: Any, sql: str, **options: Any) -> Any:
    return pipeline.sync(target=target, source=Source(connection=conn, query=sql), target_connection=conn, **options)


RENAMED = {"valid_from": "since", "valid_to": "until", "is_current": "holds", "row_hash": "print"}
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "soft deletes": ({"handle_deletes": "soft"}, {"soft": True}),
    "renamed": ({"handle_deletes": "soft", "scd2_columns": RENAMED}, {"soft": True, "names": RENAMED}),
    "splice": (
        {"event_timestamp_column": "seen", "versions": "all", "late": "splice", "closures": True},
        {"event": "seen", "versions": "all", "late": "splice"},
    ),
    "ttl": (
        {"event_timestamp_column": "seen", "late": "ignore", "ttl": timedelta(days=36500), "closures": True},
        {"event": "seen", "late": "ignore", "ttl": timedelta(days=36500)},
    ),
    "everything expires": (
        {"event_timestamp_column": "seen", "late": "ignore", "ttl": timedelta(days=2), "closures": True},
        {"event": "seen", "late": "ignore", "ttl": timedelta(days=2)},
    ),
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.replace(" ", "_"))
def test_the_versions_of_every_key_are_those_of_the_model(conn: Any, psql: Any, way: str) -> None:
    options, modelled = WAYS[way]
    target, drawn = tables(), random.Random(way)
    compared = ("tier", "balance") if "event" in modelled else ("tier", "balance", "seen")
    model = History(keys=("id",), columns=("tier", "balance", "seen"), compare=compared, **modelled)
    loaded_at: dict[str, datetime] = {}
    for number in range(8):
        rows = [
            {
                "id": key,
                "tier": drawn.choice(["gold", "silver", None]),
                "balance": drawn.choice([Decimal("1.50"), Decimal("2.00"), None]),
                "seen": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=drawn.randrange(24 * (number + 1))),
            }
            for key in range(1, 5)
            if drawn.random() < 0.8 or number == 0
        ]
        run = load(conn, target, query(rows), strategy=SCD2(**options), max_delete_fraction=1.0 if model.soft else None)["run_id"]
        at = psql.value("SELECT loaded_at FROM ematix_flow.run_history WHERE run_id = %s", run)
        loaded_at[run] = at
        model.load(rows, at, run)
    several = 0
    for key, versions in model.stored.items():
        found = conn.history("warehouse.customers", key[0])
        dicts = found.to_dicts()
        several += len(dicts) > 2
        assert [(one["valid_from"], one["valid_to"], one["is_current"]) for one in dicts] == [
            (v.start, v.end, v.end is None) for v in versions
        ]
        assert [tuple(one["values"].values()) for one in dicts] == [(*key, *v.values) for v in versions]
        assert [(one["run_id"], one["loaded_at"], one["mode"], one["pipeline"]) for one in dicts] == [
            (v.run, v.at, "scd2", "warehouse.customers") for v in versions
        ]
        for before, one in zip([None, *dicts], dicts, strict=False):
            assert one["changes"] == (
                []
                if before is None
                else [
                    {"column": name, "before": before["values"][name], "after": value}
                    for name, value in one["values"].items()
                    if before["values"][name] != value
                ]
            )
        ends = {v.start: [(end, run) for k, start, end, run in model.closures if k == key and start == v.start] for v in versions}
        for one in dicts:
            recorded = [(end["valid_to"], end["run_id"]) for end in one["ends"]]
            assert recorded == (ends[one["valid_from"]] if options.get("closures") else [])
            assert [end["known_since"] for end in one["ends"]] == [loaded_at[run] for _, run in recorded]
    assert several >= (0 if way == "everything expires" else 2)
    assert conn.doctor("warehouse.customers").healthy


def test_arrow_gives_the_rows_with_what_is_known_of_them(conn: Any) -> None:
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    target = tables()
    for tier in ("gold", "silver"):
        load(conn, target, query([{"id": 1, "tier": tier, "balance": Decimal("1.50"), "seen": seen}]), strategy=SCD2(closures=True))
    history = conn.history("warehouse.customers", 1)
    frame = polars.DataFrame(history)
    stored = polars.DataFrame(conn.read_arrow("SELECT * FROM warehouse.customers ORDER BY valid_from"))
    assert frame.select(stored.columns).equals(stored)
    assert frame.select("_version", "_pipeline", "_mode", "_changed").rows() == [
        (1, "warehouse.customers", "scd2", ""),
        (2, "warehouse.customers", "scd2", "tier"),
    ]
    first, second = history.to_dicts()
    assert frame["_end_run_id"].to_list() == [second["run_id"], None]
    assert pyarrow.table(history).num_rows == 2
    runs = pyarrow.table(conn.history())
    assert runs.to_pylist() == conn.history().to_dicts()
    assert [one["loaded_at"] for one in runs.to_pylist()] == [second["loaded_at"], first["loaded_at"]]


def test_values_of_every_kind(conn: Any) -> None:
    @ematix.table(schema="warehouse")
    class Kinds:
        id: Annotated[Integer, pk()]
        yes: Boolean
        size: Double
        raw: Bytes
        about: JSON
        at: TimestampTZ

    sql = "SELECT 1 AS id, true AS yes, 'NaN'::float8 AS size, '\\x0102'::bytea AS raw, '{{\"a\": {}}}'::json AS about, '{}'::timestamptz AS at"
    load(conn, Kinds, sql.format(1, "infinity"), mode="scd2")
    load(conn, Kinds, sql.format(2, "0044-03-15 BC"), mode="scd2")
    history = conn.history("warehouse.kinds", 1)
    first, second = history.to_dicts()
    assert {name: value for name, value in first["values"].items() if name != "size"} == {
        "id": 1, "yes": True, "raw": b"\x01\x02", "about": '{"a": 1}', "at": "infinity",
    }  # fmt: skip
    assert second["changes"] == [
        {"column": "about", "before": '{"a": 1}', "after": '{"a": 2}'},
        {"column": "at", "before": "infinity", "after": "0044-03-15 00:00:00+00 BC"},
    ]
    with pytest.raises(ValueError, match="infinite date or time"):
        polars.DataFrame(history)
    json.dumps([str(one) for one in history])


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("json[]", "ARRAY['1']::json[]", "ARRAY['2']::json[]"),
        ("h.pair", "ROW(1, '1')", "ROW(1, '2')"),
        ("box", "'(0,0),(2,2)'", "'(5,5),(7,7)'"),  # whose = compares areas
        ("pg_snapshot", "'10:20:'", "'10:30:'"),
        ("h.hstore", "'a=>1'", "'a=>2'"),
    ],
)
def test_changes_of_types_whose_equality_says_little(conn: Any, psql: Any, kind: str, first: str, second: str) -> None:
    psql("CREATE SCHEMA h; CREATE TYPE h.pair AS (a int, b json)")
    if kind == "h.hstore":
        psql("CREATE EXTENSION hstore SCHEMA h")
    psql(f"CREATE TABLE h.t (id int, value {kind}, valid_from timestamptz, valid_to timestamptz, is_current boolean)")
    psql(f"INSERT INTO h.t VALUES (1, {first}, '2026-01-01', '2026-01-02', false), (1, {first}, '2026-01-02', '2026-01-03', false)")
    psql(f"INSERT INTO h.t VALUES (1, {second}, '2026-01-03', NULL, true)")
    changes = [version["changes"] for version in conn.history("h.t", {"id": 1}).to_dicts()]
    assert [[change["column"] for change in changed] for changed in changes[1:]] == [[], ["value"]]


def test_keys_of_several_columns_and_of_no_value(conn: Any, psql: Any) -> None:
    psql("CREATE SCHEMA h")
    history = "valid_from timestamptz NOT NULL, valid_to timestamptz, is_current boolean NOT NULL"
    psql(f'CREATE TABLE h."Lines" (region text, "Order" varchar(3), note text, {history})')
    psql('CREATE UNIQUE INDEX ON h."Lines" ("Order", region) NULLS NOT DISTINCT WHERE is_current')
    psql("""INSERT INTO h."Lines" VALUES ('eu', 'abc', 'a', '2026-01-01', NULL, true), (NULL, 'abc', 'b', '2026-01-01', NULL, true)""")
    for key, note in [
        (("abc", "eu"), "a"),
        ({"region": "eu", "Order": "abc"}, "a"),
        (("abc", None), "b"),
        ({"Order": "abc", "region": None}, "b"),
    ]:
        assert [one["values"]["note"] for one in conn.history('h."Lines"', key)] == [note]
    assert conn.history('h."Lines"', ("abcd", "eu")).to_dicts() == []  # not cut to the length of the column
    assert conn.history('h."Lines"', ("x' OR true --", "eu")).to_dicts() == []


def test_tables_without_versions_show_their_row(conn: Any) -> None:
    target = tables()
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    load(conn, target, query([{"id": 1, "tier": "gold", "balance": None, "seen": seen}]), strategy=MergeUpsert(), pipeline_name="nightly")
    history = conn.history("warehouse.customers", 1)
    (row,) = history.to_dicts()
    assert (history.kind, row["pipeline"], row["mode"], row["valid_from"], row["is_current"]) == ("rows", "nightly", "merge", None, None)
    assert history.notes == ["The table keeps no versions: this is what it holds now, and the run that wrote it last."]


def test_rows_of_an_append_are_all_shown(conn: Any) -> None:
    @ematix.table(schema="warehouse")
    class Events:
        id: Annotated[BigInt, pk()]
        kind: Text

    load(conn, Events, "SELECT 1 AS id, 'a' AS kind UNION ALL SELECT 2, 'a'", strategy=AppendOnly())
    found = conn.history("warehouse.events", {"id": 2})
    assert [one["values"] for one in found] == [{"id": 2, "kind": "a"}]
    assert str(found).splitlines()[:3] == ["warehouse.events, id = 2: 1 row, times in UTC", "", "row 1"]


@pytest.mark.parametrize("guards", ["off", "current"])
def test_renamed_columns_without_guards_are_asked_for(conn: Any, guards: Any) -> None:
    target = tables()
    names = {"valid_from": "since", "valid_to": "until", "is_current": "holds"}
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    load(conn, target, query([{"id": 1, "tier": "gold", "balance": None, "seen": seen}]), strategy=SCD2(scd2_columns=names, guards=guards))
    if guards == "off":
        with pytest.raises(InvalidSpec) as refused:
            conn.history("warehouse.customers", 1)
        assert str(refused.value) == (
            "The columns of warehouse.customers that say when a version holds cannot be told from its guards.\n"
            'Name them: scd2_columns={"valid_from": ..., "valid_to": ..., "is_current": ...}, '
            "or --scd2-columns valid_from=...,valid_to=...,is_current=..."
        )
    given = conn.history("warehouse.customers", 1, scd2_columns=names)
    report = conn.doctor("warehouse.customers", scd2_columns=names)
    assert (report.rows, [one["name"] for one in report.to_dicts()]) == (1, ["no_guard", "no_check"] if guards == "off" else [])
    with pytest.raises(InvalidSpec) as refused:
        conn.doctor("warehouse.customers", made_by="dbt", scd2_columns=names)
    assert str(refused.value) == "The names of the validity columns are given both as those of dbt and one by one.\nLeave one of them out."
    assert [one["is_current"] for one in given] == [True]


@pytest.mark.parametrize(
    ("table", "key", "options", "error", "message"),
    [
        ("warehouse.nope", 1, {}, InvalidSpec, "There is no table warehouse.nope in the database.\nCheck the name and the connection."),
        (
            "wharehouse.customers",
            1,
            {},
            InvalidSpec,
            "There is no table wharehouse.customers in the database.\nCheck the name and the connection; there is warehouse.customers.",
        ),
        (
            "customers",
            1,
            {},
            InvalidSpec,
            "The table customers is named without its schema.\nWrite schema.table; there is warehouse.customers.",
        ),
        (
            "db.warehouse.customers",
            1,
            {},
            InvalidSpec,
            "The name db.warehouse.customers has 3 parts.\nWrite schema.table; there is warehouse.customers.",
        ),
        (
            "warehouse.customers; DROP TABLE x",
            1,
            {},
            InvalidIdentifier,
            (
                '"warehouse.customers; DROP TABLE x" is no name of a table.\n'
                'A table is written schema.table; a part with capitals, dots or other characters stands in double quotes: sales."Order Lines".'
            ),
        ),
        (
            "warehouse.customers",
            {"nam": 1},
            {},
            InvalidSpec,
            (
                'The table warehouse.customers has no column "nam".\n'
                "It has id, tier, balance, seen, valid_from, valid_to, is_current, row_hash, _loaded_at, _batch_id."
            ),
        ),
        (
            "warehouse.customers",
            {"id": 1, "tier": "gold"},
            {},
            InvalidSpec,
            'The column "tier" is not in the key of warehouse.customers, which is (id).\nGive the columns of the key and no others.',
        ),
        (
            "warehouse.customers",
            (1, 2),
            {},
            InvalidSpec,
            (
                "The key of warehouse.customers is (id), 1 values, and 2 were given.\n"
                'Give each by name: key={"column": value}, or --key COLUMN=VALUE.'
            ),
        ),
        ("warehouse.customers", "canary", {}, InvalidSpec, 'The value that was given for "id" of warehouse.customers is no bigint.'),
        (
            "warehouse.customers",
            1,
            {"scd2_columns": {"valid_from": "tier"}},
            InvalidSpec,
            (
                'The column "tier" of warehouse.customers is of the type text, which cannot say when a version holds.\n'
                "Name columns of the type timestamptz, timestamp or date."
            ),
        ),
        (
            "warehouse.customers",
            object(),
            {},
            TypeError,
            "A value of key is a str, number, bool, date or time, UUID, bytes or None, not object.",
        ),
        ("warehouse.customers", {}, {}, TypeError, "key is a value, a tuple of values, or a dict of column names to values, at least one."),
        ("warehouse.customers", 1, {"limit": 0}, TypeError, "limit is a whole number from 1 on, or None."),
        ("warehouse.customers", None, {"scd2_columns": {}}, TypeError, "scd2_columns= belongs to the history of a key: give key= too."),
        (
            "nope",
            None,
            {},
            InvalidSpec,
            (
                'No run is recorded under the name "nope", nor is it a table of the database.\n'
                "Runs are found by the name of their pipeline, or by schema.table."
            ),
        ),
    ],
)
def test_requests_that_cannot_be_answered(conn: Any, table: str, key: Any, options: Any, error: type[Exception], message: str) -> None:
    load(conn, tables(), query([{"id": 1, "tier": "gold", "balance": None, "seen": datetime(2026, 1, 1, tzinfo=UTC)}]), mode="scd2")
    with pytest.raises(error) as refused:
        conn.history(table, key, **options)
    assert str(refused.value) == message


def test_asking_makes_nothing(conn: Any, psql: Any) -> None:
    psql("CREATE SCHEMA h; CREATE TABLE h.t (id int PRIMARY KEY)")
    for found in (conn.history(), conn.history("h.t"), conn.history("any name")):
        assert (found.to_dicts(), found.notes, str(found)) == ([], ["No run has been recorded in this database."], "no runs")
        assert polars.DataFrame(found).height == 0
    assert conn.history("h.t", 1).to_dicts() == []
    assert conn.doctor("h.t").healthy
    assert psql("SELECT nspname FROM pg_namespace WHERE nspname = 'ematix_flow'") == []


def running(psql: Any, run: str, started: str = "2 minutes") -> None:
    psql(
        "INSERT INTO ematix_flow.run_history (run_id, pipeline_name, target_schema, target_table, mode, path, started_at, status)"
        f" VALUES ('{run}', 'p', 'h', 't', 'merge', 'same_db', now() - interval '{started}', 'running')"
    )


def lock_of(run: str) -> int:
    digest = hashlib.sha256(b"ematix-flow\0run\0" + run.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


DEAD, ALIVE, YOUNG = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "123")


@pytest.fixture
def three_runs(conn: Any, psql: Any) -> Iterator[dict[str, str]]:
    load(conn, tables(), query([]), mode="merge")
    psql("DELETE FROM ematix_flow.run_history")
    running(psql, DEAD)
    running(psql, ALIVE)
    running(psql, YOUNG, "1 second")
    psql("SELECT pg_advisory_lock(%s)", lock_of(ALIVE))
    yield {DEAD: "lost", ALIVE: "running", YOUNG: "running"}
    psql("SELECT pg_advisory_unlock_all()")


def statuses(history: Any) -> dict[str, str]:
    return {one["run_id"]: one["status"] for one in history}


def recorded(psql: Any) -> dict[str, str]:
    return dict(psql("SELECT run_id::text, status FROM ematix_flow.run_history"))


def test_runs_that_died_are_marked_lost(conn: Any, psql: Any, three_runs: dict[str, str]) -> None:
    assert statuses(conn.history()) == three_runs
    assert recorded(psql) == three_runs
    assert statuses(conn.history("h.t", limit=1)) == {YOUNG: "running"}


def test_more_dead_runs_than_the_server_has_locks_for(conn: Any, psql: Any, three_runs: dict[str, str]) -> None:
    psql(
        "INSERT INTO ematix_flow.run_history (run_id, pipeline_name, target_schema, target_table, mode, path, started_at, status)"
        " SELECT gen_random_uuid(), 'p', 'x', 'y', 'merge', 'same_db', now() - interval '1 day', 'running' FROM generate_series(1, 30000)"
    )
    assert statuses(conn.history())[DEAD] == "lost"
    assert psql("SELECT count(*) FROM ematix_flow.run_history WHERE status = 'lost'") == [(999,)]  # one lives


def test_a_read_only_connection_shows_lost_runs_and_marks_none(psql: Any, three_runs: dict[str, str]) -> None:
    psql(f"ALTER DATABASE {psql.name} SET default_transaction_read_only = on")
    with _core.connect(psql.dsn) as readonly:
        assert statuses(readonly.history()) == three_runs
    assert recorded(psql) == dict.fromkeys(three_runs, "running")


def test_a_role_that_may_only_read(psql: Any, server: Any, three_runs: dict[str, str]) -> None:
    role = f"reader_{psql.name}"
    psql(f"CREATE ROLE {role} LOGIN PASSWORD 'canary'")
    url = psql.dsn.replace(f"{server.user}:{server.password}@", f"{role}:canary@")
    try:
        psql(f"GRANT USAGE ON SCHEMA warehouse TO {role}; GRANT SELECT ON warehouse.customers TO {role}")
        with _core.connect(url) as reader:
            with pytest.raises(PermissionDenied, match="permission denied for schema ematix_flow"):
                reader.history()
            assert reader.history("warehouse.customers", 1).to_dicts() == []
            psql(f"GRANT USAGE ON SCHEMA ematix_flow TO {role}; GRANT SELECT ON ematix_flow.run_history TO {role}")
            assert statuses(reader.history()) == three_runs
        assert recorded(psql) == dict.fromkeys(three_runs, "running")
    finally:
        psql(f"DROP OWNED BY {role}")
        psql(f"DROP ROLE {role}")


def test_runs_are_found_by_pipeline_target_and_target_of_a_pipeline(conn: Any) -> None:
    target = tables()
    for name in ("nightly", "fan::warehouse.customers", None):
        load(conn, target, query([]), mode="merge", pipeline_name=name)
    names = [[one["pipeline_name"] for one in conn.history(asked)] for asked in ("nightly", "fan", "Warehouse.Customers", None)]
    assert names == [["nightly"], ["fan::warehouse.customers"], *[["warehouse.customers", "fan::warehouse.customers", "nightly"]] * 2]
    assert conn.history(limit=2).notes == ["These are the newest 2 of 3 runs."]
