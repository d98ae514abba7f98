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


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (TruncateReplace(replace="diff"), "TruncateReplace(replace=...) is not implemented yet."),
        (MergeUpsert(deleted_column="gone"), "MergeUpsert(deleted_column=...) is not implemented yet."),
        (SCD2(versions="all"), "SCD2(versions=...) is not implemented yet."),
        (SCD2(late="splice"), "SCD2(late=...) is not implemented yet."),
        (SCD2(guards="full"), "SCD2(guards=...) is not implemented yet."),
        (SCD2(scd2_columns={"valid_from": "start"}), "SCD2(scd2_columns=...) is not implemented yet."),
        (SCD2(closures=True), "SCD2(closures=...) is not implemented yet."),
    ],
)
def test_fields_of_later_work_are_named(strategy: Strategy, message: str) -> None:
    with pytest.raises(NotImplementedError) as raised:
        strategy.arguments()
    assert str(raised.value) == message


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
