from __future__ import annotations

from typing import Any

import pytest

from ematix_flow import natural_key, nullable, pk
from ematix_flow.markers import _NaturalKeyMarker, _NullableMarker, _PkMarker


def test_equal_markers_are_one() -> None:
    assert {pk(), pk(autoincrement=True)} == {pk()}
    assert {natural_key(), natural_key(""), natural_key("a"), natural_key(group="a")} == {natural_key(), natural_key("a")}
    assert {nullable(), nullable()} == {nullable()}
    assert natural_key() != natural_key("x")


def test_classes() -> None:
    assert isinstance(pk(), _PkMarker)
    assert isinstance(nullable(), _NullableMarker)
    marker = natural_key("email")
    assert isinstance(marker, _NaturalKeyMarker)
    assert marker.group == "email"


def test_repr_reads_like_the_call() -> None:
    shown: list[Any] = [pk(), natural_key(), natural_key("x"), nullable()]
    assert list(map(repr, shown)) == ["pk()", "natural_key()", "natural_key('x')", "nullable()"]


def test_group_is_text() -> None:
    with pytest.raises(TypeError, match=r"^natural_key\(group\) takes a str, not int\.$"):
        natural_key(1)  # type: ignore[arg-type]
