from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from ematix_flow import types
from ematix_flow.types import BigInt, Column, ColumnType, Numeric, String, Text

KINDS = {
    "SmallInt": "small_int",
    "Integer": "integer",
    "BigInt": "big_int",
    "Float": "float",
    "Double": "double",
    "Boolean": "boolean",
    "Text": "text",
    "Date": "date",
    "Timestamp": "timestamp",
    "TimestampTZ": "timestamp_tz",
    "JSON": "json",
    "JSONB": "jsonb",
    "UUID": "uuid",
    "Bytes": "bytes",
}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_type_without_parameters(name: str, kind: str) -> None:
    cls = getattr(types, name)
    assert cls.__name__ == name
    assert cls().to_spec() == {"kind": kind}
    assert repr(cls()) == f"{name}()"
    assert cls() == cls()
    assert len({cls(), cls(), *(getattr(types, other)() for other in KINDS)}) == len(KINDS)


def test_types_with_parameters() -> None:
    assert String(256).to_spec() == {"kind": "string", "length": 256}
    assert Numeric(12, 2).to_spec() == {"kind": "numeric", "precision": 12, "scale": 2}
    assert (String[256], Numeric[12, 2]) == (String(256), Numeric(12, 2))
    assert (repr(String[256]), repr(Numeric[12, 2])) == ("String(256)", "Numeric(12, 2)")
    assert (String[256].length, Numeric[12, 2].precision, Numeric[12, 2].scale) == (256, 12, 2)
    assert String(1) != String(2)
    assert Numeric(5, 0) != Numeric(5, 1)
    assert String(1) != Text()
    assert String(1) != "String(1)"
    assert len({String(1), String(1), String(2), Numeric(5, 0), Numeric(5, 0)}) == 3


def test_specs_are_independent() -> None:
    kind = String(3)
    kind.to_spec()["length"] = 4
    assert kind.to_spec() == {"kind": "string", "length": 3}


def test_types_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        String(3).length = 4  # type: ignore[misc]
    with pytest.raises(AttributeError):
        BigInt().anything = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [BigInt(), String(5), Numeric(5, 2), String(5) | None, Column(String(5), name="a")])
def test_types_can_be_copied(kind: Any) -> None:
    assert copy.deepcopy(kind) == kind
    assert pickle.loads(pickle.dumps(kind)) == kind


@pytest.mark.parametrize("length", [0, -1])
def test_string_length_is_positive(length: int) -> None:
    with pytest.raises(ValueError, match=rf"^String\({length}\): the length must be greater than 0\.$"):
        String(length)


@pytest.mark.parametrize(("precision", "scale"), [(0, 0), (-1, 0), (5, 6), (5, -1)])
def test_numeric_bounds(precision: int, scale: int) -> None:
    with pytest.raises(ValueError, match=rf"^Numeric\({precision}, {scale}\): the (precision|scale) must be "):
        Numeric(precision, scale)


def test_numeric_bounds_are_inclusive() -> None:
    assert Numeric(1, 0).scale == 0
    assert Numeric(1000, 1000).scale == 1000


@pytest.mark.parametrize("make", [lambda: String("5"), lambda: String(True), lambda: Numeric(5.0, 2), lambda: Numeric("5", "2")])
def test_parameters_are_whole_numbers(make: Any) -> None:
    with pytest.raises(TypeError, match=r"takes whole numbers, not \w+\.$"):
        make()


@pytest.mark.parametrize("arguments", [12, (12,), (12, 2, 1)])
def test_numeric_in_brackets_takes_two(arguments: Any) -> None:
    with pytest.raises(TypeError, match="exactly two values are needed"):
        Numeric[arguments]


def test_string_in_brackets_takes_one() -> None:
    with pytest.raises(TypeError, match="exactly one value is needed"):
        String[1, 2]  # type: ignore[index]


def test_base_has_no_spec() -> None:
    with pytest.raises(NotImplementedError, match="ColumnType is the base"):
        ColumnType().to_spec()


@pytest.mark.parametrize("nullable", [String[256] | None, None | String[256], (String[256] | None) | None])
def test_or_none_wraps_the_type(nullable: Any) -> None:
    assert nullable.inner == String(256)
    assert repr(nullable) == "String(256) | None"
    assert nullable == String(256) | None
    assert hash(nullable) == hash(String(256) | None)


@pytest.mark.parametrize("other", [int, Text(), 5, "None"])
def test_or_something_else_is_refused(other: Any) -> None:
    with pytest.raises(TypeError, match="is no column type"):
        String(256) | other
    with pytest.raises(TypeError, match="is no column type"):
        (String(256) | None) | other


def test_column_defaults_and_spec() -> None:
    column = Column(BigInt())
    assert (column.type, column.nullable, column.primary_key, column.name, column.normalizers) == (BigInt(), True, False, "", ())
    named = Column(String(5), False, True, "code")
    assert named.to_spec() == {"name": "code", "type": {"kind": "string", "length": 5}, "nullable": False, "primary_key": True}


def test_column_takes_a_class_without_parameters() -> None:
    assert Column(BigInt).type == BigInt()
    assert Column(BigInt) == Column(BigInt())


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (String, "String needs a length: String[64]."),
        (Numeric, "Numeric needs precision and scale: Numeric[12, 2]."),
        (int, "int is no column type. Use one of ematix_flow.types, such as BigInt, Text or String[64]."),
        (ColumnType, "ColumnType is no column type. Use one of ematix_flow.types, such as BigInt, Text or String[64]."),
        ("BigInt", "'BigInt' is no column type. Use one of ematix_flow.types, such as BigInt, Text or String[64]."),
    ],
)
def test_column_refuses_what_is_no_type(declared: Any, message: str) -> None:
    with pytest.raises(TypeError) as raised:
        Column(declared)
    assert str(raised.value) == message
