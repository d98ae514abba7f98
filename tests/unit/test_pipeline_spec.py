from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, get_args

import pytest

from ematix_flow.pipeline import Mode, Pipeline, Source, Target

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


def test_later_work_is_named() -> None:
    with pytest.raises(NotImplementedError, match=r"^Pipeline\.run\(\) is not implemented yet"):
        ORDERS.run()
    with pytest.raises(NotImplementedError, match=r"^Pipeline\.register\(\) is not implemented yet"):
        ORDERS.register()
    with pytest.raises(NotImplementedError, match=r"^Pipeline\(schedule=\.\.\.\) is not implemented yet"):
        dataclasses.replace(ORDERS, schedule="@daily")
