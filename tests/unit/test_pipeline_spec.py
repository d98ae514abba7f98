from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, get_args

import pytest

from ematix_flow import EmatixError, UnknownConnection, pipeline
from ematix_flow.pipeline import Mode, Pipeline, ScheduledPipeline, Source, Target

if TYPE_CHECKING:
    from tests.unit.conftest import Engine

ORDERS = Pipeline(
    "orders", Source("postgresql://a@h/shop", "SELECT 1"), Target("postgresql://b@h/dwh", "warehouse", "orders"), "merge", ("id", "day")
)
SPEC: dict[str, Any] = {
    "name": "orders",
    "source": {"connection": "postgresql://a@h/shop", "query": "SELECT 1"},
    "target": {"connection": "postgresql://b@h/dwh", "schema": "warehouse", "table": "orders"},
    "mode": "merge",
    "keys": ["id", "day"],
}


def test_spec() -> None:
    assert ORDERS.to_spec_dict() == SPEC
    assert Pipeline("x", ORDERS.source, ORDERS.target, "append").to_spec_dict()["keys"] == []


def test_normalised_by_the_engine(engine: Engine) -> None:
    engine.answers["parse_spec"] = lambda args: args["spec"]
    assert ORDERS.to_normalized_dict() == SPEC


def test_modes() -> None:
    assert get_args(Mode) == ("append", "truncate", "merge", "scd1", "scd2")


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        ORDERS.name = "x"  # type: ignore[misc]


def test_registered_with_a_schedule_or_by_register() -> None:
    assert pipeline.list_pipelines() == []
    assert ORDERS.register() is ORDERS
    assert ORDERS.register() is ORDERS
    nightly = dataclasses.replace(ORDERS, name="nightly", schedule="@daily")
    assert pipeline.list_pipelines() == [ScheduledPipeline("orders", None, ORDERS.run), ScheduledPipeline("nightly", "@daily", nightly.run)]
    assert nightly.to_spec_dict() == SPEC | {"name": "nightly"}


def test_a_second_one_of_a_name_is_refused() -> None:
    ORDERS.register()
    for second in (lambda: dataclasses.replace(ORDERS, schedule="@daily"), lambda: dataclasses.replace(ORDERS).register()):
        with pytest.raises(ValueError, match=r"^A pipeline named 'orders' is registered already"):
            second()
    assert pipeline.get_pipeline("orders") == ScheduledPipeline("orders", None, ORDERS.run)


@pytest.mark.parametrize("text", ["postgresql:/u:canary@h/d", "host=h password=canary", "mysql://u:canary@h/d", "canary@h"])
def test_what_is_no_usable_url_is_not_shown(text: str) -> None:
    with pytest.raises(EmatixError) as refused:
        dataclasses.replace(ORDERS, target=Target(text, "warehouse", "orders")).run()
    assert "canary" not in str(refused.value)


def test_a_name_is_looked_up() -> None:
    with pytest.raises(UnknownConnection, match="my warehouse"):
        dataclasses.replace(ORDERS, target=Target("my warehouse", "warehouse", "orders")).run()


@pytest.mark.parametrize(("change", "named"), [({"keys": ()}, "key"), ({"mode": "upsert"}, "upsert"), ({"name": " "}, "name")])
def test_a_description_that_is_not_valid_does_not_run(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        dataclasses.replace(ORDERS, **change).run()
