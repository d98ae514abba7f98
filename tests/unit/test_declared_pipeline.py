from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import Source, config, ematix, pipeline, pk
from ematix_flow.strategy import SCD2, MergeUpsert, TruncateReplace
from ematix_flow.types import BigInt, String, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine


@ematix.table(schema="warehouse")
class Orders:
    id: Annotated[BigInt, pk()]
    note: Text


@ematix.table(schema="warehouse", mode="scd2", event_timestamp_column="at", ttl=timedelta(hours=1))
class Versions:
    id: Annotated[BigInt, pk()]
    note: Text


@pytest.fixture
def opened(engine: Engine, monkeypatch: pytest.MonkeyPatch, connect: Callable[[], Any]) -> list[str]:
    """The names of the connections that were asked for, in order; the first one gets the id 1."""
    engine.answers["sync"] = {"status": "success"}
    names: list[str] = []

    def open_named(name: str = "default", *, url: str | None = None) -> Any:
        names.append(name)
        return connect()

    monkeypatch.setattr(config, "connect", open_named)
    return names


def declare(fn: Any, **options: Any) -> Any:
    return ematix.pipeline(**{"target": Orders, "mode": "append", "schedule": None, **options})(fn)


def test_registered_under_its_name() -> None:
    def orders(conn: object) -> str:
        """Loads the orders."""
        return "SELECT 1"

    wrapped = declare(orders, schedule="0 3 * * *")
    assert pipeline.list_pipelines() == [pipeline.ScheduledPipeline("orders", "0 3 * * *", wrapped)]
    assert (wrapped.__name__, wrapped.__doc__, wrapped.__wrapped__, wrapped.__module__) == ("orders", "Loads the orders.", orders, __name__)
    assert repr(declare(orders, name="other")) == "<pipeline 'other' into warehouse.orders>"


def test_runs_on_one_connection(engine: Engine, opened: list[str]) -> None:
    seen = []

    def orders(conn: Any) -> str:
        seen.append(conn)
        return "SELECT 2"

    assert declare(orders, on_drift="warn", lock_timeout=1)() == {"status": "success"}
    (message,) = engine.asked("sync")
    assert (message["connection"], message["source"], message["query"], message["pipeline_name"]) == (1, None, "SELECT 2", "orders")
    assert (message["mode"], message["on_drift"], message["lock_timeout_ms"]) == ("append", "warn", 1000)
    assert opened == ["default"]
    assert [connection._id for connection in seen] == [1]
    assert engine.messages[-1] == ("disconnect", {"connection": 1})


@pytest.mark.parametrize(
    ("strategy", "sent"),
    [
        (SCD2(event_timestamp_column="at", versions="all", late="splice"), {"mode": "scd2", "versions": "all", "late": "splice"}),
        (MergeUpsert(handle_deletes="soft", deleted_column="gone"), {"mode": "merge", "handle_deletes": "soft", "deleted_column": "gone"}),
        (TruncateReplace(replace="delete"), {"mode": "truncate", "replace": "delete"}),
    ],
)
def test_a_strategy_goes_through_with_all_its_options(engine: Engine, opened: list[str], strategy: Any, sent: dict[str, Any]) -> None:
    declare(lambda conn: "SELECT 1", mode=None, strategy=strategy, lag=5, max_delete_fraction=0.5)()
    (message,) = engine.asked("sync")
    assert message | sent | {"lag_number": "5", "max_delete_fraction": 0.5} == message


@pytest.mark.parametrize(
    ("arity", "options", "names", "ids"),
    [
        (1, {}, ["default"], (1, None)),
        (1, {"target_connection": "dwh"}, ["dwh"], (1, None)),
        (1, {"target_connection": "dwh", "source_connection": "shop"}, ["dwh", "shop"], (1, 2)),
        (0, {"target_connection": "dwh", "source_connection": "shop"}, ["dwh", "shop"], (1, 2)),
        (1, {"target_connection": "dwh", "source_connection": "dwh"}, ["dwh"], (1, None)),
        (2, {}, ["default"], (1, None)),
        (2, {"target_connection": "dwh"}, ["dwh", "default"], (1, 2)),
        (2, {"source_connection": "shop"}, ["default", "shop"], (1, 2)),
    ],
)
def test_connections_by_arity(
    engine: Engine, opened: list[str], arity: int, options: dict[str, str], names: list[str], ids: tuple[int, int | None]
) -> None:
    seen: list[int] = []

    def none() -> None:
        return None

    def one(conn: Any) -> str:
        seen.append(conn._id)
        return "SELECT 1"

    def two(source: Any, target: Any, *rest: Any, more: int = 1) -> str:
        seen.extend([source._id, target._id])
        return "SELECT 1"

    declare((none, one, two)[arity], source_table="shop.orders", **options)()
    assert opened == names
    (message,) = engine.asked("sync")
    assert (message["connection"], message["source"]) == ids
    source = ids[1] or ids[0]
    assert seen == [[], [source], [source, ids[0]]][arity]


def test_connections_are_closed_after_a_failure(engine: Engine, opened: list[str]) -> None:
    def orders(source: Any, target: Any) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        declare(orders, target_connection="dwh")()
    assert [args["connection"] for args in engine.asked("disconnect")] == [2, 1]


def test_declaring_opens_nothing(opened: list[str]) -> None:
    declare(lambda conn: "SELECT 1", name="x")
    assert opened == []


def test_source_table_is_selected(engine: Engine, opened: list[str]) -> None:
    @ematix.table(schema="warehouse")
    class Wide:
        id: Annotated[BigInt, pk()]
        order_date: Text

    def load() -> None:
        return None

    declare(load, target=Wide, source_table="shop.Orders", column_map={"order_date": "Order Date", "id": "id"})()
    assert engine.asked("sync")[0]["query"] == 'SELECT id, "Order Date" AS order_date FROM shop."Orders"'


def test_sql_wins_over_source_table(engine: Engine, opened: list[str]) -> None:
    def load() -> str:
        return "SELECT 7"

    declare(load, source_table="shop.orders")()
    assert engine.asked("sync")[0]["query"] == "SELECT 7"


def test_source_is_used_as_it_is(engine: Engine, opened: list[str], connect: Callable[[], Any]) -> None:
    own = connect()
    declare(lambda conn: Source(own, "SELECT 8"), name="x")()
    (message,) = engine.asked("sync")
    assert (message["source"], message["query"]) == (own._id, "SELECT 8")


def test_dict_is_the_result(engine: Engine, opened: list[str]) -> None:
    result = {"done": True}
    assert declare(lambda conn: result, name="x")() is result
    assert engine.asked("sync") == []


def test_none_without_source_table(opened: list[str]) -> None:
    with pytest.raises(RuntimeError) as raised:
        declare(lambda conn: None, name="x")()
    assert str(raised.value) == (
        "The pipeline 'x' returned None and has no source_table=. Return the SQL of the source, or give source_table=."
    )


def test_another_result_is_refused(opened: list[str]) -> None:
    with pytest.raises(TypeError) as raised:
        declare(lambda conn: 5, name="x")()
    assert str(raised.value) == (
        "The pipeline 'x' returned an object of type int. It returns SQL (str), an ematix_flow.Source, a dict, or None with source_table=."
    )


def test_defaults_of_the_class(engine: Engine, opened: list[str]) -> None:
    declare(lambda conn: "SELECT 1", name="a", target=Versions, mode=None)()
    declare(lambda conn: "SELECT 1", name="b", target=Versions, mode=None, ttl=timedelta(seconds=5), event_timestamp_column="note")()
    declare(lambda conn: "SELECT 1", name="c", target=Versions, mode="merge")()
    sent = [(message["mode"], message["event_timestamp_column"], message["ttl_seconds"]) for message in engine.asked("sync")]
    assert sent == [("scd2", "at", 3600), ("scd2", "note", 5), ("merge", None, None)]


def test_strategy_gives_mode_and_options(engine: Engine, opened: list[str]) -> None:
    declare(lambda conn: "SELECT 1", name="a", mode=None, strategy=MergeUpsert(update_columns=["note"]))()
    declare(lambda conn: "SELECT 1", name="b", target=Versions, mode=None, strategy=SCD2(ttl=timedelta(seconds=5)))()
    sent = [(message["mode"], message["update_columns"], message["ttl_seconds"]) for message in engine.asked("sync")]
    assert sent == [("merge", ["note"], None), ("scd2", None, 5)]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"target": None},
            TypeError,
            "@ematix.pipeline lacks target=, the table class to load, or targets=, a list of ematix.target(...).",
        ),
        ({"targets": [1]}, TypeError, "@ematix.pipeline takes target= or targets=, not both."),
        ({"target": None, "targets": []}, TypeError, "targets= of @ematix.pipeline is a non-empty list of ematix.target(...)."),
        (
            {"target": None, "targets": [Orders], "mode": None},
            TypeError,
            f"targets= of @ematix.pipeline is a non-empty list of ematix.target(...), and holds {Orders!r}.",
        ),
        (
            {"target": None, "targets": [ematix.target(Orders, mode="append")]},
            TypeError,
            "mode= belongs to a target: give it to ematix.target(...), not beside targets=.",
        ),
        (
            {"target": None, "mode": None, "targets": [ematix.target(Orders, mode="append"), ematix.target(Orders, mode="merge")]},
            ValueError,
            "targets= has warehouse.orders more than once; results and run history are kept by its name. Declare a second pipeline.",
        ),
        (
            {"target": "orders"},
            TypeError,
            "target is a table class (@ematix.table or a subclass of ManagedTable), not an object of type str.",
        ),
        ({"mode": None}, TypeError, "@ematix.pipeline(target=Orders) lacks mode=. Give it here or on the table class."),
        ({"source_table": "orders"}, ValueError, "source_table='orders' is not of the form schema.table."),
        ({"source_table": "a.b.c"}, ValueError, "source_table='a.b.c' is not of the form schema.table."),
        ({"source_table": ".orders"}, ValueError, "source_table='.orders' is not of the form schema.table."),
        ({"source_table": "shop."}, ValueError, "source_table='shop.' is not of the form schema.table."),
        ({"source_table": 5}, TypeError, "source_table is a str of the form schema.table, not int."),
        (
            {"source_table": "shop.orders", "column_map": {"nope": "x"}},
            ValueError,
            "column_map names 'nope', which is no column of warehouse.orders: id, note.",
        ),
        (
            {"column_map": {"id": "x"}},
            ValueError,
            "column_map needs source_table=: it says which column of that table each target column comes from.",
        ),
        ({"column_map": ["id"]}, TypeError, "column_map is a mapping of target column to source column, both str."),
        ({"source_connection": 5}, TypeError, "source_connection is a str, not int."),
        ({"transforms_pre": [object()]}, NotImplementedError, "transforms_pre= is not implemented yet."),
        ({"transforms_post": [object()]}, NotImplementedError, "transforms_post= is not implemented yet."),
        ({"continue_on_failure": 1}, TypeError, "continue_on_failure is True or False, not int."),
        ({"continue_on_failure_post": True}, NotImplementedError, "continue_on_failure_post= is not implemented yet."),
        ({"progress": "loud"}, ValueError, "progress is 'auto', 'rich', 'log' or 'none', not 'loud'."),
    ],
)
def test_refused_at_decoration(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        declare(lambda conn: "SELECT 1", name="x", **options)
    assert str(raised.value) == message
    assert pipeline.list_pipelines() == []


def test_async_functions_are_run_to_their_end(engine: Engine, opened: list[str]) -> None:
    async def orders(conn: object) -> str:
        await asyncio.sleep(0)
        return "SELECT 'awaited'"

    wrapped = declare(orders)
    wrapped()

    async def in_a_notebook() -> Any:
        return wrapped()

    assert asyncio.run(in_a_notebook()) == {"status": "success"}
    assert [args["query"] for args in engine.asked("sync")] == ["SELECT 'awaited'"] * 2


def test_errors_of_async_functions_come_through(opened: list[str]) -> None:
    async def orders(conn: object) -> str:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        declare(orders)()


@pytest.mark.parametrize(
    ("fn", "error", "message"),
    [
        (lambda: "x", TypeError, "The pipeline 'x' takes no connection, so its rows have to come from source_table=."),
        (lambda a, b, c: "x", TypeError, "it takes 0, 1, or 2"),
        (lambda a, b=1, c=2: "x", TypeError, "it takes 0, 1, or 2"),
        (lambda a, *, b: "x", TypeError, "needs b=, which nobody gives it"),
        (5, TypeError, "@ematix.pipeline decorates a function, not an object of type int."),
    ],
)
def test_functions_that_are_refused(fn: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        declare(fn, name="x")
    assert message in str(raised.value)


def test_options_of_later_work_that_ask_for_nothing() -> None:
    nothing = {"transforms_pre": [], "transforms_post": (), "continue_on_failure": False, "lag": None}
    assert declare(lambda conn: "SELECT 1", name="x", **nothing).__wrapped__ is not None


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: ematix.table(Orders), "@ematix.table is written with parentheses and named arguments: @ematix.table(schema=...). It "),
        (
            lambda: ematix.pipeline(len),
            "@ematix.pipeline is written with parentheses and named arguments: @ematix.pipeline(schedule=...). ",
        ),
        (lambda: ematix.table(name="x"), "@ematix.table lacks schema=. It is the name of the schema in PostgreSQL."),
        (
            lambda: ematix.pipeline(target=Orders),
            "@ematix.pipeline lacks schedule=. Give a cron text, or schedule=None: it runs when it is ",
        ),
    ],
)
def test_a_decorator_without_its_arguments_says_how_it_is_written(declare: Callable[[], object], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        declare()
    assert str(raised.value).startswith(message)


def test_schedule_has_to_be_given() -> None:
    with pytest.raises(TypeError, match="schedule"):
        ematix.pipeline(target=Orders, mode="append")  # type: ignore[call-arg]


def test_second_pipeline_of_a_name_is_refused() -> None:
    declare(lambda conn: "SELECT 1", name="x")
    with pytest.raises(ValueError, match="'x' is registered already"):
        declare(lambda conn: "SELECT 1", name="x")


def several(**options: Any) -> Any:
    targets = [
        ematix.target(Orders, mode="merge", keys=["id"], lag=5),
        ematix.target(Versions, mode="scd2", target_connection="history", on_busy="skip", column_map=options.pop("own_map", None)),
    ]
    return declare(
        options.pop("fn", lambda conn: "SELECT 1"), **{"target": None, "mode": None, "targets": targets, "name": "both", **options}
    )


def test_targets_load_one_after_another(engine: Engine, opened: list[str]) -> None:
    engine.answers["sync"] = lambda args: {"status": "success", "mode": args["mode"]}
    pipelined = several(on_drift="warn", incremental_column="id", lock_timeout=2)
    assert repr(pipelined) == "<pipeline 'both' into warehouse.orders, warehouse.versions>"
    assert pipelined() == {
        "warehouse.orders": {"status": "success", "mode": "merge"},
        "warehouse.versions": {"status": "success", "mode": "scd2"},
    }
    first, second = engine.asked("sync")
    assert opened == ["default", "history"]
    assert (first["connection"], first["source"], first["pipeline_name"]) == (1, None, "both::warehouse.orders")
    assert (second["connection"], second["source"], second["pipeline_name"]) == (2, 1, "both::warehouse.versions")
    assert [(each["on_drift"], each["incremental_column"], each["lock_timeout_ms"]) for each in (first, second)] == [
        ("warn", "id", 2000)
    ] * 2
    assert (first["keys"], first["on_busy"], first["lag_number"]) == (["id"], "wait", "5")
    assert (second["on_busy"], second["event_timestamp_column"], second["ttl_seconds"], "lag_number" in second) == (
        "skip",
        "at",
        3600,
        False,
    )


def test_each_target_selects_its_columns(engine: Engine, opened: list[str]) -> None:
    several(fn=lambda: None, source_table="shop.orders", column_map={"note": "text"}, own_map={"note": "old"}, source_connection="shop")()
    assert [each["query"] for each in engine.asked("sync")] == [
        "SELECT id, text AS note FROM shop.orders",
        "SELECT id, old AS note FROM shop.orders",
    ]
    assert opened == ["shop", "default", "history"]


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_target_that_fails(engine: Engine, opened: list[str], goes_on: bool) -> None:
    def answer(args: dict[str, Any]) -> dict[str, Any]:
        if args["mode"] == "merge":
            raise ValueError("refused")
        return {"status": "success"}

    engine.answers["sync"] = answer
    pipelined = several(continue_on_failure=goes_on)
    if goes_on:
        assert pipelined() == {"results": {"warehouse.versions": {"status": "success"}}, "errors": {"warehouse.orders": "refused"}}
    else:
        with pytest.raises(ValueError, match="refused"):
            pipelined()
        assert len(engine.asked("sync")) == 1


pickled = ematix.pipeline(target=Orders, mode="append", schedule=None, name="pickled")(lambda conn: "SELECT 1")
pickled.__qualname__ = "pickled"  # type: ignore[attr-defined]
pipeline._REGISTRY.clear()


def test_pickled_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("pickled_pipelines")
    module.pickled = pickled  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pickled_pipelines", module)
    monkeypatch.setattr(pickled, "__module__", "pickled_pipelines")
    assert pickle.loads(pickle.dumps(pickled)) is pickled


def test_target_keeps_its_arguments() -> None:
    target = ematix.target(Orders, mode="merge", target_connection="dwh", keys=["id"], column_map={"note": "text"}, ttl=timedelta(1))
    assert (target.target_class, target.mode, target.target_connection, target.keys, target.column_map, target.ttl) == (
        Orders,
        "merge",
        "dwh",
        ["id"],
        {"note": "text"},
        timedelta(1),
    )
    with pytest.raises(TypeError, match="mode"):
        ematix.target(Orders)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="table class"):
        ematix.target(String, mode="merge")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: ematix.feature_view(schema="s", feature_version=1), "feature_view"),
        (lambda: ematix.transform(schedule=None), "transform"),
        (lambda: ematix.transform_ref("x"), "transform_ref"),
        (lambda: ematix.training_set(None, spine="", feature_views=[]), "training_set"),
    ],
)
def test_later_methods_are_named(call: Any, named: str) -> None:
    with pytest.raises(NotImplementedError) as raised:
        call()
    assert str(raised.value) == f"ematix.{named} is not implemented yet."
