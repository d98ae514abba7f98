from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from ematix_flow.strategy import SCD2, AppendOnly, MergeUpsert, Strategy, TruncateReplace, merged_with


@pytest.mark.parametrize(
    ("strategy", "arguments"),
    [
        (AppendOnly(), {"mode": "append"}),
        (AppendOnly(incremental_column="at"), {"mode": "append", "incremental_column": "at"}),
        (TruncateReplace(), {"mode": "truncate"}),
        (MergeUpsert(), {"mode": "merge"}),
        (MergeUpsert(keys=("id",), update_columns=()), {"mode": "merge", "keys": ("id",), "update_columns": ()}),
        (
            SCD2(keys=["id"], compare_columns=["a"], event_timestamp_column="at", ttl=timedelta(1), handle_deletes="soft"),
            {
                "mode": "scd2",
                "keys": ["id"],
                "compare_columns": ["a"],
                "event_timestamp_column": "at",
                "ttl": timedelta(1),
                "handle_deletes": "soft",
            },
        ),
    ],
)
def test_a_strategy_says_what_the_arguments_say(strategy: Strategy, arguments: dict[str, Any]) -> None:
    assert strategy.arguments() == arguments


def test_options_of_another_strategy_are_refused() -> None:
    with pytest.raises(TypeError, match="compare_columns"):
        MergeUpsert(compare_columns=["a"])  # type: ignore[call-arg]


def test_strategies_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        MergeUpsert().keys = ("id",)  # type: ignore[misc]


def test_without_strategy_nothing_changes() -> None:
    assert merged_with(None, "merge", {"keys": ("id",)}) == ("merge", {"keys": ("id",)})


def test_option_given_both_ways_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^keys is given both as keys= and as MergeUpsert\(keys=\.\.\.\)\. Leave one of them out\.$"):
        merged_with(MergeUpsert(keys=("id",)), None, {"keys": ("id",)})


def test_contradicting_mode_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^mode='merge' and strategy=SCD2\(\.\.\.\) contradict each other"):
        merged_with(SCD2(), "merge", {})


@pytest.mark.parametrize("strategy", ["scd2", SCD2, Strategy()])
def test_what_is_no_strategy_is_refused(strategy: Any) -> None:
    with pytest.raises(TypeError, match=r"^strategy takes an instance of AppendOnly, TruncateReplace, MergeUpsert or SCD2, not "):
        merged_with(strategy, None, {})
