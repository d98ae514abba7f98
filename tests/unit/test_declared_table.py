from __future__ import annotations

import dataclasses
import sys
import types
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Optional

import pytest

from ematix_flow import ManagedTable, ematix, natural_key, nullable, pk
from ematix_flow.types import BigInt, Column, ColumnType, Date, Numeric, String, Text

Email = Annotated[String[256], natural_key()]


@ematix.table(schema="warehouse")
class CustomerDim:
    """Customers."""

    __merge_keys__ = ["id"]  # noqa: RUF012
    SOURCE: ClassVar[str] = "crm"

    id: Annotated[BigInt, pk()]
    email: Email
    nick: String(64) | None  # type: ignore[valid-type]
    balance: Annotated[Numeric[12, 2], nullable()]  # type: ignore[type-arg]
    born: Optional[Date]  # noqa: UP045
    died: Date | None
    note: Annotated[Text, nullable()] | None

    @classmethod
    def greeting(cls) -> str:
        return f"{cls.__tablename__} of {cls.SOURCE}"


def spec(table: Any) -> Any:
    return [(name, repr(column.type), column.nullable, column.primary_key) for name, column in table._columns()]


def test_annotations_become_columns() -> None:
    assert issubclass(CustomerDim, ManagedTable)
    assert spec(CustomerDim) == [
        ("id", "BigInt()", False, True),
        ("email", "String(256)", False, False),
        ("nick", "String(64)", True, False),
        ("balance", "Numeric(12, 2)", True, False),
        ("born", "Date()", True, False),
        ("died", "Date()", True, False),
        ("note", "Text()", True, False),
    ]
    assert CustomerDim._unique_constraints() == [["email"]]
    assert CustomerDim.__merge_keys__ == ("id",)
    assert (CustomerDim.__schema__, CustomerDim.__tablename__) == ("warehouse", "customer_dim")
    assert all(column.normalizers == () for _, column in CustomerDim._columns())


def test_the_class_keeps_its_identity() -> None:
    assert (CustomerDim.__name__, CustomerDim.__qualname__, CustomerDim.__module__) == ("CustomerDim", "CustomerDim", __name__)
    assert CustomerDim.__doc__ == "Customers."
    assert CustomerDim.greeting() == "customer_dim of crm"  # type: ignore[attr-defined]


def test_same_spec_as_a_written_class() -> None:
    class Written(ManagedTable):
        __schema__ = "s"
        __tablename__ = "orders"
        __unique_constraints__ = (("number",),)
        id = Column(BigInt, nullable=False, primary_key=True)
        number = Column(Text, nullable=False)
        day = Column(Date)

    @ematix.table(schema="s")
    class Orders:
        id: Annotated[BigInt, pk()]
        number: Annotated[Text, natural_key()]
        day: Date | None

    assert Orders._to_spec() == Written._to_spec()


def test_defaults_of_loads() -> None:
    @ematix.table(schema="s", name="Other Name", mode="scd2", event_timestamp_column="at", ttl=timedelta(days=1))
    class Orders:
        id: BigInt

    assert (Orders.__tablename__, Orders.__mode__, Orders.__event_timestamp_column__, Orders.__ttl__) == (
        "Other Name",
        "scd2",
        "at",
        timedelta(days=1),
    )
    assert (CustomerDim.__mode__, CustomerDim.__event_timestamp_column__, CustomerDim.__ttl__) == (None, None, None)


def test_natural_keys_by_label_sorted() -> None:
    @ematix.table(schema="s")
    class Orders:
        b: Annotated[BigInt, natural_key("z"), natural_key()]
        a: Annotated[BigInt, natural_key("z")]
        c: Annotated[BigInt, natural_key("a"), natural_key()]

    assert Orders.__unique_constraints__ == (("b", "c"), ("c",), ("b", "a"))


def test_constraints_of_the_body_win() -> None:
    @ematix.table(schema="s")
    class Orders:
        __unique_constraints__ = [["b"]]  # noqa: RUF012
        a: Annotated[BigInt, natural_key()]
        b: BigInt

    assert Orders.__unique_constraints__ == (("b",),)


def test_names_of_the_enclosing_function_resolve() -> None:
    Key = Annotated[BigInt, pk()]
    Code = String[7]

    @ematix.table(schema="s")
    class Orders:
        id: Key
        code: Code | None
        other: "Code"  # noqa: UP037

    assert spec(Orders) == [("id", "BigInt()", False, True), ("code", "String(7)", True, False), ("other", "String(7)", False, False)]


def test_annotations_that_are_no_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("declared_without_future")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    source = """
from typing import Annotated, Optional
from ematix_flow import ematix, pk
from ematix_flow.types import BigInt, Numeric, String, Text

@ematix.table(schema="s")
class Orders:
    id: Annotated[BigInt, pk()]
    a: String[5] | None
    b: String(5)
    c: Optional[Numeric[12, 2]]
    d: Annotated[Text | None, "BigInt" and pk()]
    e: Optional["Text"]
    f: "Text"
    g: None | String[5]
    h: Annotated[String[5] | None, pk()]
"""
    exec(compile(source, "declared_without_future.py", "exec", dont_inherit=True), vars(module))
    assert spec(vars(module)["Orders"]) == [
        ("id", "BigInt()", False, True),
        ("a", "String(5)", True, False),
        ("b", "String(5)", False, False),
        ("c", "Numeric(12, 2)", True, False),
        ("d", "Text()", True, True),
        ("e", "Text()", True, False),
        ("f", "Text()", False, False),
        ("g", "String(5)", True, False),
        ("h", "String(5)", True, True),
    ]


def test_mixins_stay() -> None:
    class Greeting:
        def hello(self) -> str:
            return "hello"

    @ematix.table(schema="s")
    class Orders(Greeting):
        id: BigInt

    assert [base.__name__ for base in Orders.__mro__] == ["Orders", "Greeting", "ManagedTable", "object"]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (int, "The column T.c: int is no column type. Use one of ematix_flow.types, such as BigInt, Text or String[64]."),
        (5, "The column T.c: 5 is no column type. Use one of ematix_flow.types, such as BigInt, Text or String[64]."),
        (String, "The column T.c: String needs a length: String[64]."),
        (Numeric, "The column T.c: Numeric needs precision and scale: Numeric[12, 2]."),
        (ColumnType, "The column T.c: ColumnType is no column type. Use one of ematix_flow.types, such as BigInt, Text or String[64]."),
        (Annotated[BigInt, pk], "The column T.c: the marker pk is not called. Write pk()."),
        (Annotated[BigInt, 5], "The column T.c: 5 is no marker. Only String and Numeric take numbers, as in Annotated[String, 64]."),
        ("Nowhere", "The column T.c is annotated 'Nowhere', which cannot be read: name 'Nowhere' is not defined."),
    ],
)
def test_other_annotations_are_refused(annotation: Any, message: str) -> None:
    with pytest.raises(TypeError) as raised:
        ematix.table(schema="s")(type("T", (), {"__annotations__": {"c": annotation}, "__module__": __name__}))
    assert str(raised.value) == message


def test_union_of_two_types_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^The column T\.c is annotated .*: a column has one type, `\| None` when it may be NULL\.$"):
        ematix.table(schema="s")(type("T", (), {"__annotations__": {"c": BigInt | Text}}))


def test_default_value_is_refused() -> None:
    with pytest.raises(TypeError) as raised:
        ematix.table(schema="s")(type("T", (), {"__annotations__": {"c": BigInt}, "c": 5}))
    assert str(raised.value) == "The column T.c has a value. Columns have no defaults: the values come from the source."


def test_column_object_is_refused() -> None:
    with pytest.raises(TypeError) as raised:
        ematix.table(schema="s")(type("T", (), {"c": Column(BigInt)}))
    assert str(raised.value) == "The column T.c is a Column object. With @ematix.table, columns are annotations: c: BigInt."


def test_class_without_columns_is_refused() -> None:
    with pytest.raises(TypeError) as raised:
        ematix.table(schema="s")(type("T", (), {}))
    assert str(raised.value) == "The table class T declares no Column. Annotate at least one: id: Annotated[BigInt, pk()]."


@pytest.mark.parametrize(
    ("bases", "body", "library"),
    [
        ((), {"__pydantic_fields__": {}}, "pydantic (BaseModel)"),
        ((type("BaseModel", (), {}),), {"__fields__": {}}, "pydantic (BaseModel)"),
        ((), {"__attrs_attrs__": ()}, "attrs"),
    ],
)
def test_classes_of_other_libraries_are_refused(bases: tuple[type, ...], body: dict[str, Any], library: str) -> None:
    with pytest.raises(TypeError) as raised:
        ematix.table(schema="s")(type("T", bases, {"__annotations__": {"c": BigInt}, **body}))
    assert str(raised.value) == f"The class T is already made by {library}. A table class is a plain class: keep the two apart."


def test_dataclass_is_refused() -> None:
    with pytest.raises(TypeError, match="dataclass"):

        @ematix.table(schema="s")
        @dataclasses.dataclass
        class Orders:
            id: BigInt


def test_a_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^@ematix\.table decorates a class, not an object of type function\.$"):
        ematix.table(schema="s")(lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("arguments", [{}, {"schema": 1}, {"schema": None}, {"schema": "s", "name": 1}])
def test_schema_is_required_and_text(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"schema|name"):
        ematix.table(**arguments)
