"""Loads from Python through the engine into a server."""

from __future__ import annotations

import json
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import (
    DuplicateKeys,
    EmatixError,
    InvalidQuery,
    ManagedTable,
    SchemaDrift,
    Source,
    _core,
    ematix,
    natural_key,
    pipeline,
    pk,
)
from ematix_flow.strategy import SCD2, MergeUpsert
from ematix_flow.types import (
    JSON,
    JSONB,
    UUID,
    BigInt,
    Boolean,
    Bytes,
    Column,
    Date,
    Double,
    Float,
    Integer,
    Numeric,
    SmallInt,
    String,
    Text,
    Timestamp,
    TimestampTZ,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@ematix.table(schema="warehouse")
class Customers:
    id: Annotated[BigInt, pk()]
    name: String[64]  # type: ignore[type-arg,valid-type]
    balance: Numeric[12, 2] | None  # type: ignore[type-arg]


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    yield
    pipeline._REGISTRY.clear()


@pytest.fixture
def default(dsn: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test's database as the connection ``default``."""
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    return dsn


def rows(psql: Any, table: str = "warehouse.customers", columns: str = "id, name, balance") -> Any:
    return psql(f"SELECT {columns} FROM {table} ORDER BY 1, 2")


FIRST = "SELECT * FROM (VALUES (1, 'Ada', 1.5), (2, 'Edgar', NULL)) AS s (id, name, balance)"
SECOND = "SELECT * FROM (VALUES (1, 'Ada', 1.5), (2, 'Edgar', 2), (3, 'Grace', 3)) AS s (id, name, balance)"


def test_merge_counts_and_rows(conn: Any, psql: Any) -> None:
    def load(query: str) -> Any:
        return pipeline.sync(target=Customers, source=Source(conn, query), target_connection=conn, mode="merge")

    first = load(FIRST)
    assert {**first, "run_id": "", "duration_seconds": 0} == {
        "run_id": "",
        "status": "success",
        "path": "same_db",
        "pipeline": "warehouse.customers",
        "rows_inserted": 2,
        "rows_updated": 0,
        "rows_unchanged": 0,
        "duration_seconds": 0,
    }
    assert uuid.UUID(first["run_id"])
    second = load(SECOND)
    assert (second["rows_inserted"], second["rows_updated"], second["rows_unchanged"]) == (1, 1, 1)
    assert rows(psql) == [(1, "Ada", Decimal("1.50")), (2, "Edgar", Decimal("2.00")), (3, "Grace", Decimal("3.00"))]
    assert psql("SELECT id, _batch_id::text FROM warehouse.customers ORDER BY id") == [
        (1, first["run_id"]),
        (2, second["run_id"]),
        (3, second["run_id"]),
    ]
    assert str(second).startswith("success: 1 inserted, 1 updated, 1 unchanged (same_db, ")


def test_scd2_by_a_decorated_pipeline(default: str, psql: Any) -> None:
    query = [FIRST]

    @ematix.pipeline(target=Customers, strategy=SCD2(compare_columns=["balance"]), schedule=None)
    def history(conn: Any) -> str:
        return query[0]

    first = history()
    assert (first["status"], first["rows_inserted"], first["rows_closed"]) == ("success", 2, 0)
    query[0] = SECOND
    second = pipeline.run_pipeline("history")
    assert (second["rows_inserted"], second["rows_closed"]) == (2, 1)
    assert rows(psql, columns="id, is_current, balance") == [
        (1, True, Decimal("1.50")),
        (2, False, None),
        (2, True, Decimal("2.00")),
        (3, True, Decimal("3.00")),
    ]
    assert (
        psql("SELECT pipeline_name, mode, status FROM ematix_flow.run_history ORDER BY started_at") == [("history", "scd2", "success")] * 2
    )


def test_source_table_with_a_column_map(default: str, psql: Any) -> None:
    psql('CREATE SCHEMA shop CREATE TABLE "Orders" (id int, "Order Name" text, balance int, other int)')
    psql("""INSERT INTO shop."Orders" VALUES (1, 'x', 5, 6)""")

    @ematix.pipeline(target=Customers, mode="append", schedule=None, source_table="shop.Orders", column_map={"name": "Order Name"})
    def orders() -> None:
        return None

    assert orders()["rows_inserted"] == 1
    assert rows(psql) == [(1, "x", Decimal("5.00"))]


def test_names_of_a_source_table_that_need_quotes(default: str, psql: Any) -> None:
    @ematix.table(schema="warehouse")
    class Odd:
        order: Annotated[BigInt, pk()]
        Total: BigInt

    psql('CREATE SCHEMA "My Shop" CREATE TABLE "select" ("order" int, "grand total" int)')
    psql("""INSERT INTO "My Shop"."select" VALUES (1, 5)""")

    @ematix.pipeline(target=Odd, mode="merge", schedule=None, source_table="My Shop.select", column_map={"Total": "grand total"})
    def odd() -> None:
        return None

    assert odd()["rows_inserted"] == 1
    assert psql('SELECT "order", "Total" FROM warehouse.odd') == [(1, 5)]


@pytest.mark.parametrize("path", ["same_db", "cross_db"])
def test_a_source_table_that_lacks_a_column(default: str, psql: Any, path: str) -> None:
    psql("CREATE SCHEMA shop CREATE TABLE orders (id int, name text)")

    @ematix.pipeline(
        target=Customers, mode="merge", schedule=None, source_table="shop.orders", column_map={"balance": "amount"}, force_path=path
    )
    def orders() -> None:
        return None

    with pytest.raises(InvalidQuery) as raised:
        orders()
    assert str(raised.value) == 'The source query cannot be run. ERROR: column "amount" does not exist'


def test_truncate_and_source_object(default: str, psql: Any, conn: Any) -> None:
    @ematix.pipeline(target=Customers, mode="truncate", schedule=None)
    def replaced(source: Any, target: Any) -> Source:
        assert source is target
        return Source.postgres_query(target, FIRST + " ; -- all of them")

    for _ in range(2):
        assert replaced()["rows_inserted"] == 2
    assert rows(psql) == [(1, "Ada", Decimal("1.50")), (2, "Edgar", None)]


def test_dry_run_leaves_the_rows(conn: Any, psql: Any) -> None:
    given = {"target": Customers, "target_connection": conn, "mode": "merge"}
    pipeline.sync(**given, source=Source(conn, FIRST))
    tried = pipeline.sync(**given, source=Source(conn, SECOND), dry_run=True)
    assert (tried["status"], tried["rows_inserted"], tried["rows_updated"]) == ("dry_run", 1, 1)
    assert rows(psql) == [(1, "Ada", Decimal("1.50")), (2, "Edgar", None)]
    assert psql.value("SELECT count(*) FROM ematix_flow.run_history") == 1


def test_duplicate_keys_change_nothing_and_show_no_other_values(conn: Any, psql: Any) -> None:
    query = "SELECT * FROM (VALUES (7, 'canary-one', 1), (7, 'canary-two', 2)) AS s (id, name, balance)"
    with pytest.raises(DuplicateKeys, match="7") as raised:
        pipeline.sync(target=Customers, source=Source(conn, query), target_connection=conn, mode="merge")
    assert "canary" not in str(raised.value)
    assert psql.value("SELECT to_regclass('warehouse.customers')") is None
    assert psql("SELECT status FROM ematix_flow.run_history") == [("failed",)]


def test_drift_is_listed(conn: Any, psql: Any) -> None:
    psql("CREATE SCHEMA warehouse CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL)")
    with pytest.raises(SchemaDrift, match="balance") as raised:
        Customers.ensure(conn)  # type: ignore[attr-defined]
    assert "VARCHAR(64)" in str(raised.value)
    checked = Customers.ensure(conn, on_drift="warn")  # type: ignore[attr-defined]
    assert checked["action"] == "drift"
    assert len(checked["differences"]) == 2


def test_drift_that_is_only_warned_of(conn: Any, psql: Any) -> None:
    query = Source.postgres_query(conn, "SELECT 1 AS id, 'Ada' AS name, 2.5 AS balance")
    pipeline.sync(target=Customers, source=query, target_connection=conn, mode="truncate")
    conn.execute("ALTER TABLE warehouse.customers ALTER balance TYPE numeric(14,2)")
    with pytest.warns(UserWarning, match=r'"balance" is declared as NUMERIC\(12,2\) and is NUMERIC\(14,2\) in the table'):
        result = pipeline.sync(target=Customers, source=query, target_connection=conn, mode="truncate", on_drift="warn")
    assert result["status"] == "success"
    assert "differences" not in result


def test_drift_that_is_followed(conn: Any, psql: Any) -> None:
    psql("CREATE SCHEMA warehouse CREATE TABLE customers (id bigint PRIMARY KEY, name varchar(8) NOT NULL)")
    checked = Customers.ensure(conn, on_drift="evolve")  # type: ignore[attr-defined]
    assert checked["action"] == "evolved"
    assert len(checked["differences"]) == 2
    assert Customers.ensure(conn) == {"action": "matched", "differences": []}  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="on_drift"):
        Customers.ensure(conn, on_drift="grow")  # type: ignore[attr-defined]


def test_ensure_creates_then_matches(conn: Any) -> None:
    assert Customers.ensure(conn) == {"action": "created", "differences": []}  # type: ignore[attr-defined]
    assert Customers.ensure(conn) == {"action": "matched", "differences": []}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"mode": "upsert"}, NotImplementedError, "upsert"),
        ({"force_path": "magic"}, ValueError, "force_path"),
        ({"incremental_column": "id", "mode": "truncate"}, ValueError, "incremental_column"),
        ({"event_timestamp_column": "at"}, ValueError, "event_timestamp_column"),
        ({"handle_deletes": "maybe", "mode": "merge"}, ValueError, "handle_deletes"),
        ({"handle_deletes": "hard"}, ValueError, "handle_deletes"),
        ({"handle_deletes": "hard", "mode": "scd2"}, ValueError, "handle_deletes"),
        ({"on_drift": "ignore"}, ValueError, "on_drift"),
        ({"on_busy": "panic"}, ValueError, "on_busy"),
        ({"mode": "merge", "keys": []}, ValueError, "keys"),
        ({"mode": "merge", "keys": ["nope"]}, ValueError, "nope"),
        ({"mode": "scd2", "compare_columns": []}, ValueError, "compare"),
    ],
)
def test_arguments_are_checked(conn: Any, psql: Any, options: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        pipeline.sync(target=Customers, source=Source(conn, FIRST), target_connection=conn, **options)
    assert psql.value("SELECT to_regclass('warehouse.customers')") is None


def test_table_without_a_primary_key(conn: Any) -> None:
    keyless = type("Keyless", (ManagedTable,), {"__schema__": "s", "__tablename__": "t", "a": Column(BigInt)})
    for use in (
        keyless._to_normalized_spec,  # type: ignore[attr-defined]
        lambda: keyless.ensure(conn),  # type: ignore[attr-defined]
        lambda: pipeline.sync(target=keyless, source=Source(conn, "SELECT 1 AS a"), target_connection=conn),
    ):
        with pytest.raises(ValueError, match="primary"):
            use()


def test_decorated_and_written_class_are_one_table() -> None:
    class Written(ManagedTable):
        __schema__ = "s"
        __tablename__ = "orders"
        __unique_constraints__ = (("number",),)
        id = Column(BigInt, nullable=False, primary_key=True)
        number = Column(Text, nullable=False)

    @ematix.table(schema="s")
    class Orders:
        id: Annotated[BigInt, pk()]
        number: Annotated[Text, natural_key()]

    assert Orders._to_normalized_spec() == Written._to_normalized_spec()  # type: ignore[attr-defined]
    normalized = Written._to_normalized_spec()
    assert {key: normalized[key] for key in Written._to_spec()} == Written._to_spec()
    assert len(normalized["fingerprint"]) == 32


ALL_TYPES: dict[str, tuple[Any, str]] = {
    "a": (SmallInt(), "SMALLINT"),
    "b": (Integer(), "INTEGER"),
    "c": (BigInt(), "BIGINT"),
    "d": (Float(), "REAL"),
    "e": (Double(), "DOUBLE PRECISION"),
    "f": (Numeric(12, 2), "NUMERIC(12,2)"),
    "g": (Boolean(), "BOOLEAN"),
    "h": (Text(), "TEXT"),
    "i": (String(256), "VARCHAR(256)"),
    "j": (Date(), "DATE"),
    "k": (Timestamp(), "TIMESTAMP"),
    "l": (TimestampTZ(), "TIMESTAMPTZ"),
    "m": (JSON(), "JSON"),
    "n": (JSONB(), "JSONB"),
    "o": (UUID(), "UUID"),
    "p": (Bytes(), "BYTEA"),
}


def test_every_type_is_created_and_matched(conn: Any) -> None:
    columns = {name: Column(kind, primary_key=name == "c") for name, (kind, _) in ALL_TYPES.items()}
    table = type("AllTypes", (ManagedTable,), {"__schema__": "s", "__tablename__": "all_types", **columns})
    text = _core.create_table_sql(json.dumps(table._to_spec()))  # type: ignore[attr-defined]
    for name, (_, ddl) in ALL_TYPES.items():
        assert f"{name} {ddl}" in text
    assert table.ensure(conn)["action"] == "created"  # type: ignore[attr-defined]
    assert table.ensure(conn) == {"action": "matched", "differences": []}  # type: ignore[attr-defined]


def test_low_level_loads(conn: Any, psql: Any) -> None:
    declared = json.dumps(Customers._to_spec())  # type: ignore[attr-defined]
    plain, versions = _core.augment_table_spec(declared), _core.augment_table_spec_scd2(declared.replace('"customers"', '"versions"'))
    assert conn.run_append(plain, FIRST, "p")["rows_inserted"] == 2
    merged = conn.run_merge(plain, SECOND, "p", ["id"], ["balance"], "scd1")
    assert (merged["rows_inserted"], merged["rows_updated"], merged["rows_unchanged"]) == (1, 1, 1)
    assert conn.run_truncate(plain, FIRST, "p")["rows_inserted"] == 2
    assert conn.run_scd2(versions, FIRST, "p", ["id"], ["name", "balance"])["rows_inserted"] == 2
    assert psql("SELECT mode, path FROM ematix_flow.run_history ORDER BY started_at") == [
        ("append", "same_db"),
        ("scd1", "same_db"),
        ("truncate", "same_db"),
        ("scd2", "same_db"),
    ]
    with pytest.raises(ValueError, match="key"):
        conn.run_merge(plain, SECOND, "p", [], [], "merge")


def test_pipeline_specs_are_cleaned() -> None:
    described = pipeline.Pipeline(" p ", pipeline.Source("c", " SELECT 1 "), pipeline.Target("c", "s", "t"), "merge", ("id", "id "))
    assert described.to_normalized_dict() == {
        "name": "p",
        "source": {"connection": "c", "query": "SELECT 1"},
        "target": {"connection": "c", "schema": "s", "table": "t"},
        "mode": "merge",
        "keys": ["id"],
    }
    with pytest.raises(ValueError, match="query"):
        _core.parse_spec(json.dumps({**described.to_spec_dict(), "source": {"connection": "c", "query": " "}}))


def test_same_load_by_strategy_and_by_arguments(conn: Any) -> None:
    given = {"target": Customers, "source": Source(conn, FIRST), "target_connection": conn}
    assert pipeline.sync(**given, strategy=MergeUpsert(keys=["id"]))["rows_inserted"] == 2
    assert pipeline.sync(**given, mode="merge", keys=["id"])["rows_unchanged"] == 2


def test_a_bad_query_is_the_servers_error(conn: Any) -> None:
    with pytest.raises(EmatixError, match=r'relation "nowhere\.at_all" does not exist'):
        pipeline.sync(target=Customers, source=Source(conn, "SELECT * FROM nowhere.at_all"), target_connection=conn)
    assert conn.ping() == 1
