from __future__ import annotations

import warnings
from typing import Any

import pytest

from ematix_flow.pipeline import _resolve_merge_keys
from ematix_flow.table import ManagedTable
from ematix_flow.types import BigInt, Column


def table(**body: Any) -> Any:
    columns = {
        "id": Column(BigInt, nullable=False, primary_key=True),
        "region": Column(BigInt, nullable=False, primary_key=True),
        "code": Column(BigInt),
    }
    return type("Orders", (ManagedTable,), {"__schema__": "s", "__tablename__": "orders", **columns, **body})


@pytest.mark.parametrize(
    ("body", "passed", "keys"),
    [
        ({"__merge_keys__": ("code",), "__unique_constraints__": (("region",),)}, ["id", "code"], ["id", "code"]),
        ({"__merge_keys__": ("region", "id")}, None, ["region", "id"]),
        ({"__unique_constraints__": (("region", "id"), ("code",))}, None, ["region", "id"]),
        ({}, None, ["id", "region"]),
        ({}, ("code",), ["code"]),
    ],
)
def test_first_way_that_is_given_without_a_warning(body: dict[str, Any], passed: Any, keys: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _resolve_merge_keys(table(**body), passed=passed) == keys


@pytest.mark.parametrize(
    ("body", "origin"),
    [
        ({"__merge_keys__": ("code",), "__unique_constraints__": (("region",),)}, "__merge_keys__"),
        ({"__unique_constraints__": (("code",), ("region",))}, "its first unique constraint"),
    ],
)
def test_warning_where_the_primary_key_differs(body: dict[str, Any], origin: str) -> None:
    with pytest.warns(UserWarning, match="primary key") as warned:
        assert _resolve_merge_keys(table(**body), passed=None, pipeline_name="nightly") == ["code"]
    assert [str(warning.message) for warning in warned] == [
        (
            f"The pipeline 'nightly' takes its keys (code) from {origin} of Orders; they differ from its primary key (id, region). "
            "Give keys= to silence this."
        )
    ]
    assert warned[0].filename == __file__


def test_warning_names_the_table_without_a_pipeline() -> None:
    with pytest.warns(UserWarning, match=r"^The pipeline 's\.orders' takes"):
        _resolve_merge_keys(table(__merge_keys__=("code",)), passed=None)


@pytest.mark.parametrize("passed", [[], ()])
def test_empty_keys_count_as_given(passed: Any) -> None:
    with pytest.raises(ValueError, match="keys") as raised:
        _resolve_merge_keys(table(), passed=passed)
    assert str(raised.value) == (
        "The load into s.orders has no key columns. Give keys=, or declare __merge_keys__, a unique constraint (natural_key()) "
        "or a primary key (pk()) on the table class."
    )


def test_one_text_is_no_list_of_keys() -> None:
    with pytest.raises(TypeError, match=r"^keys is a sequence of column names, not the text 'id'\. Write \('id',\)\.$"):
        _resolve_merge_keys(table(), passed="id")
