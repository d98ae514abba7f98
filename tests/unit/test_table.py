from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow.table import ManagedTable
from ematix_flow.types import BigInt, Column, String, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine


class Customers(ManagedTable):
    __schema__ = "warehouse"
    __tablename__ = "customers"
    __unique_constraints__ = (("email",), ("region", "code"))

    region = Column(String(2), nullable=False, primary_key=True)
    code = Column(BigInt, nullable=False, primary_key=True)
    email = Column(Text)


def test_declared_columns_in_order() -> None:
    assert [name for name, _ in Customers._columns()] == ["region", "code", "email"]
    assert Customers.__columns__ == Customers._columns()
    assert Customers.email.name == "email"
    assert Customers._primary_keys() == ["region", "code"]
    assert Customers._unique_constraints() == [["email"], ["region", "code"]]


def test_spec() -> None:
    assert Customers._to_spec() == {
        "schema": "warehouse",
        "name": "customers",
        "columns": [
            {"name": "region", "type": {"kind": "string", "length": 2}, "nullable": False, "primary_key": True},
            {"name": "code", "type": {"kind": "big_int"}, "nullable": False, "primary_key": True},
            {"name": "email", "type": {"kind": "text"}, "nullable": True, "primary_key": False},
        ],
        "unique_constraints": [["email"], ["region", "code"]],
    }


def test_made_with_type_a_column_may_have_any_name() -> None:
    orders = type("Orders", (ManagedTable,), {"__schema__": "s", "__tablename__": "Orders", "Order Date": Column(Text)})
    assert [name for name, _ in orders._columns()] == ["Order Date"]  # type: ignore[attr-defined]


def test_schema_and_name_may_be_inherited() -> None:
    class Base(ManagedTable):
        __abstract__ = True
        __schema__ = "warehouse"

    class Orders(Base):
        __tablename__ = "orders"
        id = Column(BigInt)

    class MoreOrders(Orders):
        id2 = Column(BigInt)

    assert (Orders._to_spec()["schema"], Orders._to_spec()["name"]) == ("warehouse", "orders")
    assert [name for name, _ in MoreOrders._columns()] == ["id2"]


def test_one_column_object_in_two_classes() -> None:
    shared = Column(BigInt)
    one = type("One", (ManagedTable,), {"__schema__": "s", "__tablename__": "one", "a": shared})
    two = type("Two", (ManagedTable,), {"__schema__": "s", "__tablename__": "two", "b": shared, "c": shared})
    assert [name for name, _ in one._columns()] == ["a"]  # type: ignore[attr-defined]
    assert [name for name, _ in two._columns()] == ["b", "c"]  # type: ignore[attr-defined]


def test_given_name_of_a_column_stays() -> None:
    orders = type("Orders", (ManagedTable,), {"__schema__": "s", "__tablename__": "t", "order_date": Column(Text, name="Order Date")})
    assert orders._to_spec()["columns"][0]["name"] == "Order Date"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"__tablename__": "t", "id": Column(BigInt)},
            'The table class T lacks __schema__, the schema. Write __schema__ = "..." in its body.',
        ),
        (
            {"__schema__": "s", "id": Column(BigInt)},
            'The table class T lacks __tablename__, the table name. Write __tablename__ = "..." in its body.',
        ),
        (
            {"__schema__": "s", "__tablename__": "t"},
            "The table class T has no Column of its own. Declare at least one: id = Column(BigInt, primary_key=True).",
        ),
        ({"__schema__": 1, "__tablename__": "t", "id": Column(BigInt)}, "__schema__ of the table class T is a str, not int."),
        (
            {"__schema__": "s", "__tablename__": "t", "id": Column(BigInt), "__unique_constraints__": ("id",)},
            "a member of __unique_constraints__ of the table class T is a sequence of column names, not the text 'id'. Write ('id',).",
        ),
        (
            {"__schema__": "s", "__tablename__": "t", "id": Column(BigInt), "__merge_keys__": "id"},
            "__merge_keys__ of the table class T is a sequence of column names, not the text 'id'. Write ('id',).",
        ),
        (
            {"__schema__": "s", "__tablename__": "t", "id": Column(BigInt), "__merge_keys__": [1]},
            "__merge_keys__ of the table class T holds 1, which is no column name.",
        ),
    ],
)
def test_incomplete_class_is_refused(body: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as raised:
        type("T", (ManagedTable,), body)
    assert str(raised.value) == message


def test_abstract_class_is_not_checked() -> None:
    class Base(ManagedTable):
        __abstract__ = True

    with pytest.raises(TypeError, match="__schema__"):
        type("Below", (Base,), {})


def test_normalized_spec_comes_from_the_engine(engine: Engine) -> None:
    engine.answers["parse_table_spec"] = '{"fingerprint": "abc"}'
    assert Customers._to_normalized_spec() == {"fingerprint": "abc"}
    ((message,),) = [engine.asked("parse_table_spec")]
    assert json.loads(message["spec"]) == Customers._to_spec()


def test_ensure_sends_the_declared_columns(engine: Engine, connect: Callable[[], Any]) -> None:
    engine.answers["ensure_table"] = {"action": "created", "differences": []}
    assert Customers.ensure(connect(), on_drift="warn") == {"action": "created", "differences": []}
    assert engine.asked("ensure_table") == [{"connection": 1, "spec": json.dumps(Customers._to_spec()), "on_drift": "warn"}]
