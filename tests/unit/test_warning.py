"""Every warning of a load stands at the line of the user that ran it, however the load was reached."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import Source, config, ematix, pipeline, pk
from ematix_flow.types import BigInt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine


@ematix.table(schema="warehouse")
class Orders:
    __merge_keys__ = ("number",)
    id: Annotated[BigInt, pk()]
    number: BigInt


KEYS = "takes its keys (number) from __merge_keys__ of Orders; they differ from its primary key (id). Give keys= to silence this."


@pytest.fixture
def conn(engine: Engine, monkeypatch: pytest.MonkeyPatch, connect: Callable[[], Any]) -> Any:
    engine.answers["sync"] = lambda _: {"status": "success", "warnings": ["the clock stands still"], "differences": ["lacks number"]}
    monkeypatch.setattr(config, "connect", lambda name="default", *, url=None: connect())
    return connect()


def seen(call: Callable[[], object]) -> list[str]:
    """The warnings of a call; every one has to be shown at the line of the call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    line = inspect.getsourcelines(call)[1]
    assert {(each.filename, each.lineno, each.category) for each in caught} == {(__file__, line, UserWarning)}
    return [str(each.message) for each in caught]


def declare(**options: Any) -> Any:
    return ematix.pipeline(**{"target": Orders, "mode": "merge", "schedule": None, "name": "x", **options})(lambda conn: "SELECT 1")


OF_THE_LOAD = ["the clock stands still", "The table warehouse.orders is not as declared: lacks number."]


def test_once_for_each_run_at_the_line_that_ran_it(conn: Any) -> None:
    declared = declare()
    for _ in range(2):
        assert seen(lambda: declared()) == [f"The pipeline 'x' {KEYS}", *OF_THE_LOAD]
    assert seen(lambda: pipeline.run_pipeline("x")) == [f"The pipeline 'x' {KEYS}", *OF_THE_LOAD]


def test_of_sync(conn: Any) -> None:
    assert seen(lambda: pipeline.sync(target=Orders, source=Source(conn, "SELECT 1"), target_connection=conn, mode="scd2")) == [
        f"The pipeline 'warehouse.orders' {KEYS}",
        *OF_THE_LOAD,
    ]


def test_of_each_target(conn: Any) -> None:
    declared = declare(target=None, mode=None, targets=[ematix.target(Orders, mode="merge")])
    assert seen(lambda: declared()) == [f"The pipeline 'x::warehouse.orders' {KEYS}", *OF_THE_LOAD]


def test_in_a_notebook(conn: Any) -> None:
    async def query(conn: object) -> str:
        return "SELECT 1"

    declared = ematix.pipeline(target=Orders, mode="merge", schedule=None)(query)

    async def cell() -> list[str]:
        return seen(lambda: declared())

    assert asyncio.run(cell()) == [f"The pipeline 'query' {KEYS}", *OF_THE_LOAD]


@pytest.mark.parametrize("options", [{"keys": ["number"]}, {"mode": "append"}, {"keys": ("id",)}])
def test_explicit_keys_silence_it(conn: Any, options: dict[str, Any]) -> None:
    declared = declare(**options)
    assert seen(lambda: declared()) == OF_THE_LOAD


def test_of_a_described_pipeline(conn: Any, engine: Engine) -> None:
    engine.answers["parse_spec"] = lambda args: args["spec"]
    engine.answers["reflect_table"] = {"spec": "{}", "exact": True}
    described = pipeline.Pipeline(
        "x", pipeline.Source("a", "SELECT 1"), pipeline.Target("a", "warehouse", "orders"), "append", schedule="@daily"
    )
    assert seen(lambda: described.run()) == ["the clock stands still"]
    assert seen(lambda: pipeline.run_pipeline("x")) == ["the clock stands still"]
