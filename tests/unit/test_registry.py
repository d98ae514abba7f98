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
        (lambda: pipeline.is_due("* * * * *", None, 60), "is_due"),  # type: ignore[arg-type]
        (lambda: pipeline.preview("x"), "preview"),
        (lambda: pipeline.dry_run("x"), "dry_run"),
        (lambda: pipeline.validate("x"), "validate"),
        (lambda: pipeline.run_transform("x"), "run_transform"),
        (lambda: pipeline.list_feature_views(), "list_feature_views"),
    ],
)
def test_later_work_is_named(call: Any, named: str) -> None:
    with pytest.raises(NotImplementedError) as raised:
        call()
    assert str(raised.value) == f"pipeline.{named} is not implemented yet."
