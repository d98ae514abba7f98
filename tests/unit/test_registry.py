from __future__ import annotations

from typing import Any

import pytest

from ematix_flow import pipeline
from ematix_flow.pipeline import RegistryEntry, ScheduledPipeline


def nothing() -> dict[str, Any]:
    return {}


def test_register_returns_the_function_and_keeps_the_order() -> None:
    assert pipeline.register(name="b", schedule="0 3 * * *")(nothing) is nothing
    pipeline.register(name="a", schedule=None)(nothing)
    assert pipeline.list_pipelines() == [ScheduledPipeline("b", "0 3 * * *", nothing), ScheduledPipeline("a", None, nothing)]
    assert pipeline.get_pipeline("b") == ScheduledPipeline("b", "0 3 * * *", nothing)
    assert list(pipeline._REGISTRY) == ["b", "a"]


def test_second_function_of_a_name_is_refused() -> None:
    pipeline.register(name="orders", schedule=None)(nothing)
    with pytest.raises(ValueError, match=r"^A pipeline named 'orders' is registered already"):
        pipeline.register(name="orders", schedule=None)(lambda: 1)
    assert pipeline.get_pipeline("orders").fn is nothing


CELL = """
@pipeline.register(name="orders", schedule=None)
def orders():
    return {answer}
"""
DECLARED = """
@ematix.table(schema="shop")
class Orders:
    id: Annotated[BigInt, pk()]

@ematix.pipeline(target=Orders, mode="append", schedule={answer!r})
def orders(conn):
    return "SELECT 1::bigint AS id"
"""


def session(module: str = "__main__", **names: Any) -> dict[str, Any]:
    """The namespace of a notebook, or of a module."""
    scope: dict[str, Any] = {"__name__": module, **names}
    exec("from typing import Annotated\nfrom ematix_flow import ematix, pipeline, pk\nfrom ematix_flow.types import BigInt", scope)
    return scope


@pytest.mark.parametrize("cell", [CELL, DECLARED])
def test_a_notebook_cell_that_runs_again_replaces_its_function(cell: str) -> None:
    notebook = session()
    for number, answer in enumerate(("1", "2")):
        exec(compile(cell.format(answer=answer), f"<cell {number}>", "exec"), notebook)
        if number == 0:
            pipeline.register(name="later", schedule=None)(nothing)
    assert [entry.name for entry in pipeline.list_pipelines()] == ["orders", "later"]
    assert pipeline.get_pipeline("orders").fn is notebook["orders"]


def test_a_script_that_is_run_again_in_a_notebook_replaces_its_functions() -> None:
    for answer in ("1", "2"):
        exec(compile(CELL.format(answer=answer), "orders.py", "exec"), session(__file__="orders.py"))
    assert pipeline.run_pipeline("orders") == 2


@pytest.mark.parametrize(
    ("scope", "second"),
    [
        (session("orders"), CELL),  # a module that is loaded twice
        (session(), CELL.replace("def orders", "def invoices")),
        (session(__file__="orders.py"), CELL),  # a script that has the name twice
        (session(), "pipeline.register(name='orders', schedule=None)(lambda: {answer})"),
    ],
)
def test_anything_else_of_the_same_name_is_refused(scope: dict[str, Any], second: str) -> None:
    exec(compile(CELL.format(answer=1), "orders.py", "exec"), scope)
    with pytest.raises(ValueError, match=r"'orders' is registered already. Give one of the two another name="):
        exec(compile(second.format(answer=2), "orders.py", "exec"), scope)
    assert pipeline.run_pipeline("orders") == 1


def test_two_lambdas_at_a_prompt_are_two_functions() -> None:
    prompt = session()
    exec("pipeline.register(name='orders', schedule=None)(lambda: 1)", prompt)
    with pytest.raises(ValueError, match="registered already"):
        exec("pipeline.register(name='orders', schedule=None)(lambda: 2)", prompt)


def test_cron_text_is_not_read_here() -> None:
    pipeline.register(name="x", schedule="whenever")(nothing)


def test_run_gives_the_result_and_the_errors_of_the_function() -> None:
    pipeline.register(name="good", schedule=None)(lambda: {"rows": 1})
    pipeline.register(name="bad", schedule=None)(lambda: 1 // 0)
    assert pipeline.run_pipeline("good") == {"rows": 1}
    with pytest.raises(ZeroDivisionError):
        pipeline.run_pipeline("bad")


@pytest.mark.parametrize("look_up", [pipeline.get_pipeline, pipeline.run_pipeline])
def test_unknown_name(look_up: Any) -> None:
    with pytest.raises(KeyError, match="no pipeline named 'nope'"):
        look_up("nope")


def test_entries_of_both_kinds_sorted() -> None:
    pipeline.register(name="b", schedule="@daily")(nothing)
    pipeline._TRANSFORMS_REGISTRY["c"] = RegistryEntry("c", "transform", None)
    pipeline._TRANSFORMS_REGISTRY["a"] = RegistryEntry("a", "transform", "@hourly")
    transforms = [RegistryEntry("a", "transform", "@hourly"), RegistryEntry("c", "transform", None)]
    assert pipeline.list_entries() == [transforms[0], RegistryEntry("b", "pipeline", "@daily"), transforms[1]]
    assert pipeline.list_transforms() == transforms


@pytest.mark.parametrize("arguments", [{"name": 1, "schedule": None}, {"name": "x", "schedule": 5}, {"name": "x"}])
def test_wrong_types_are_refused(arguments: Any) -> None:
    with pytest.raises(TypeError):
        pipeline.register(**arguments)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: pipeline.run_transform("x"), "run_transform"),
        (lambda: pipeline.list_feature_views(), "list_feature_views"),
    ],
)
def test_later_work_is_named(call: Any, named: str) -> None:
    with pytest.raises(NotImplementedError) as raised:
        call()
    assert str(raised.value) == f"pipeline.{named} is not implemented yet."
