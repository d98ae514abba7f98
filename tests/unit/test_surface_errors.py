"""One table of what the declarative surface refuses: what is written, the class of the error and its whole text.

Everything in ``REFUSED`` is said when the declaration is made, before anything is called and without a connection.
"""

from __future__ import annotations

import dataclasses
import sys
import types
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import config, ematix, natural_key, pipeline, pk
from ematix_flow import types as column_types
from ematix_flow.strategy import SCD2
from ematix_flow.table import ManagedTable
from ematix_flow.types import BigInt, Column, Numeric, String, Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.conftest import Engine


@ematix.table(schema="warehouse")
class Orders:
    id: Annotated[BigInt, pk()]
    note: Text


def table(annotation: Any = BigInt, *, bases: tuple[type, ...] = (), **body: Any) -> Any:
    """A class ``T`` with the column ``c``, decorated."""
    return ematix.table(schema="s")(type("T", bases, {"__annotations__": {"c": annotation}, "__module__": __name__, **body}))


def declare(fn: Any = lambda conn: "SELECT 1", **options: Any) -> Any:
    return ematix.pipeline(**{"target": Orders, "mode": "append", "schedule": None, "name": "x", **options})(fn)


def several(*targets: Any, **options: Any) -> Any:
    return declare(target=None, mode=None, targets=list(targets), **options)


def twice() -> None:
    declare()
    declare()


def generator(conn: Any) -> Any:
    yield "SELECT 1"


async def async_generator(conn: Any) -> Any:
    yield "SELECT 1"


@dataclasses.dataclass
class Dataclass:
    c: BigInt


appended = partial(ematix.target, Orders, mode="append")
A_COLUMN_TYPE = "Use one of ematix_flow.types, such as BigInt, Text or String[64]."
SECOND_NAME = (
    "A pipeline named 'x' is registered already. Give one of the two another name=; its run history is kept by the name. "
    "If it is one function whose module was loaded twice, start Python anew."
)
OF_A_FUNCTION = "it takes 0, 1, or 2: none, the connection, or source and target."
STACKED = "A table class is a plain class: keep the two apart."

Refusal = tuple[str, "Callable[[], object]", type[Exception], str]

# fmt: off
PIPELINES: list[Refusal] = [
    ("no target", lambda: declare(target=None),
     TypeError, "@ematix.pipeline lacks target=, the table class to load, or targets=, a list of ematix.target(...)."),
    ("both kinds of targets", lambda: declare(targets=[appended()]),
     TypeError, "@ematix.pipeline takes target= or targets=, not both."),
    ("targets=[]", lambda: several(),
     TypeError, "targets= of @ematix.pipeline is a non-empty list of ematix.target(...)."),
    ("targets= one target", lambda: declare(target=None, mode=None, targets=appended()),
     TypeError, "targets= of @ematix.pipeline is a non-empty list of ematix.target(...)."),
    ("targets= of classes", lambda: several(Orders),
     TypeError, f"targets= of @ematix.pipeline is a non-empty list of ematix.target(...), and holds {Orders!r}."),
    ("a table twice", lambda: several(appended(), appended()),
     ValueError, "targets= has warehouse.orders more than once; results and run history are kept by its name. Declare a second pipeline."),
    ("an option of a target beside targets=", lambda: several(appended(), keys=["id"]),
     TypeError, "keys= belongs to a target: give it to ematix.target(...), not beside targets=."),
    ("target= no class", lambda: declare(target="orders"),
     TypeError, "target is a table class (@ematix.table or a subclass of ManagedTable), not an object of type str."),
    ("target= another class", lambda: declare(target=int),
     TypeError, "target is a table class (@ematix.table or a subclass of ManagedTable), not an object of type type."),
    ("no mode", lambda: declare(mode=None),
     TypeError, "@ematix.pipeline(target=Orders) lacks mode=. Give it here or on the table class."),
    ("no schedule", lambda: ematix.pipeline(target=Orders, mode="append"),  # type: ignore[call-arg]
     TypeError, "@ematix.pipeline lacks schedule=. Give a cron text, or schedule=None: it runs when it is called."),
    ("no parentheses", lambda: ematix.pipeline(len),  # type: ignore[misc,call-arg]
     TypeError, ("@ematix.pipeline is written with parentheses and named arguments: @ematix.pipeline(schedule=...). "
     "Give a cron text, or schedule=None: it runs when it is called.")),
    ("schedule= no text", lambda: declare(schedule=5),
     TypeError, "The schedule of the pipeline 'x' is a cron text (str) or None, not int."),
    ("source_table without dot", lambda: declare(source_table="orders"),
     ValueError, "source_table='orders' is not of the form schema.table."),
    ("source_table with two dots", lambda: declare(source_table="a.b.c"),
     ValueError, "source_table='a.b.c' is not of the form schema.table."),
    ("source_table without schema", lambda: declare(source_table=".orders"),
     ValueError, "source_table='.orders' is not of the form schema.table."),
    ("source_table without table", lambda: declare(source_table="shop."),
     ValueError, "source_table='shop.' is not of the form schema.table."),
    ("source_table= no text", lambda: declare(source_table=("shop", "orders")),
     TypeError, "source_table is a str of the form schema.table, not tuple."),
    ("column_map of no column", lambda: declare(source_table="shop.orders", column_map={"nope": "x"}),
     ValueError, "column_map names 'nope', which is no column of warehouse.orders: id, note."),
    ("column_map of a target, of no column", lambda: several(appended(column_map={"nope": "x"}), source_table="shop.orders"),
     ValueError, "column_map names 'nope', which is no column of warehouse.orders: id, note."),
    ("column_map without source_table", lambda: declare(column_map={"id": "x"}),
     ValueError, "column_map needs source_table=: it says which column of that table each target column comes from."),
    ("column_map= no mapping", lambda: declare(source_table="shop.orders", column_map=["id"]),
     TypeError, "column_map is a mapping of target column to source column, both str."),
    ("three parameters", lambda: declare(lambda a, b, c: ""),
     TypeError, f"The pipeline function <lambda> takes 3 parameters; {OF_A_FUNCTION}"),
    ("three parameters with defaults", lambda: declare(lambda a, b=1, c=2: ""),
     TypeError, f"The pipeline function <lambda> takes 3 parameters; {OF_A_FUNCTION}"),
    ("no parameter and no source_table", lambda: declare(lambda: ""),
     TypeError, ("The pipeline 'x' takes no connection, so its rows have to come from source_table=. "
     "Give source_table='schema.table', or a function with a parameter for the connection.")),
    ("only *args and no source_table", lambda: declare(lambda *args: ""),
     TypeError, ("The pipeline 'x' takes no connection, so its rows have to come from source_table=. "
     "Give source_table='schema.table', or a function with a parameter for the connection.")),
    ("a keyword that nobody gives", lambda: declare(lambda conn, *, day: ""),
     TypeError, "The pipeline function <lambda> needs day=, which nobody gives it. It is called with connections only."),
    ("a generator function", lambda: declare(generator),
     TypeError, "The pipeline function generator is a generator (it has a yield). It returns SQL, and the rows come from there."),
    ("an async generator function", lambda: declare(async_generator),
     TypeError, "The pipeline function async_generator is a generator (it has a yield). It returns SQL, and the rows come from there."),
    ("no function", lambda: declare(5),
     TypeError, "@ematix.pipeline decorates a function, not an object of type int."),
    ("a class", lambda: declare(Dataclass),
     TypeError, "@ematix.pipeline decorates a function, not the class Dataclass. A table class is made by @ematix.table."),
    ("a pipeline", lambda: declare(declare(), name="y"),
     TypeError, "<lambda> is a pipeline already. For several tables give one @ematix.pipeline several targets: targets=[...]."),
    ("a function without a name", lambda: declare(partial(lambda conn: ""), name=None),
     TypeError, "An object of type partial has no name that the pipeline could take. Give name=."),
    ("a name that is taken", twice, ValueError, SECOND_NAME),
    ("name= no text", lambda: declare(name=5), TypeError, "name is a str, not int."),
    ("source_connection= no text", lambda: declare(source_connection=5), TypeError, "source_connection is a str, not int."),
    ("target_connection= no text", lambda: declare(target_connection=5), TypeError, "target_connection is a str, not int."),
    ("keys= one text", lambda: declare(mode="merge", keys="id"),
     TypeError, "keys is a sequence of column names, not the text 'id'. Write ('id',)."),
    ("update_columns= no texts", lambda: declare(mode="merge", update_columns=[1]),
     TypeError, "update_columns holds 1, which is no column name."),
    ("compare_columns= of a target", lambda: several(ematix.target(Orders, mode="scd2", compare_columns="note")),
     TypeError, "compare_columns is a sequence of column names, not the text 'note'. Write ('note',)."),
    ("ttl= no timedelta", lambda: declare(mode="scd2", ttl=60), TypeError, "ttl is a datetime.timedelta, not int."),
    ("lag= no number", lambda: declare(mode="merge", lag="1 hour"),
     TypeError, "lag is a datetime.timedelta or a number, not str."),
    ("lock_timeout=0", lambda: declare(lock_timeout=0),
     ValueError, "lock_timeout is more than 0 and at most 2147483 seconds, not 0."),
    ("an option of another strategy", lambda: declare(mode=None, strategy=SCD2(replace="diff")),
     TypeError, "SCD2.__init__() got an unexpected keyword argument 'replace'"),
    ("an option given twice", lambda: declare(mode=None, strategy=SCD2(keys=["id"]), keys=["id"]),
     ValueError, "keys is given both as keys= and as SCD2(keys=...). Leave one of them out."),
    ("mode= and another strategy", lambda: declare(mode="merge", strategy=SCD2()),
     ValueError, "mode='merge' and strategy=SCD2(...) contradict each other: SCD2 is mode 'scd2'. Leave mode out."),
    ("continue_on_failure= no bool", lambda: declare(continue_on_failure="yes"),
     TypeError, "continue_on_failure is True or False, not str."),
    ("ematix.target of no table", lambda: ematix.target(int, mode="append"),
     TypeError, "ematix.target takes a table class, not <class 'int'>."),
    ("ematix.target without mode", lambda: ematix.target(Orders), TypeError, "ematix.target(Orders) lacks mode=."),
]

TABLES: list[Refusal] = [
    ("no schema", lambda: ematix.table(name="x"),  # type: ignore[call-arg]
     TypeError, "@ematix.table lacks schema=. It is the name of the schema in PostgreSQL."),
    ("no parentheses", lambda: ematix.table(Dataclass),  # type: ignore[misc,call-arg]
     TypeError, ("@ematix.table is written with parentheses and named arguments: @ematix.table(schema=...). "
     "It is the name of the schema in PostgreSQL.")),
    ("schema= no text", lambda: ematix.table(schema=5), TypeError, "schema of @ematix.table is a str, not int."),  # type: ignore[arg-type]
    ("name= no text", lambda: ematix.table(schema="s", name=5),  # type: ignore[arg-type]
     TypeError, "name of @ematix.table is a str, not int."),
    ("a function", lambda: ematix.table(schema="s")(len),  # type: ignore[type-var]
     TypeError, "@ematix.table decorates a class, not an object of type builtin_function_or_method."),
    ("a table class", lambda: ematix.table(schema="s")(Orders),
     TypeError, "The class Orders is a table class already. @ematix.table takes a plain class, once."),
    ("a class below a table class", lambda: type("T", (Orders,), {"__annotations__": {"c": BigInt}}),
     TypeError, ("The class T derives from the table class Orders, whose columns it does not get. "
     "Under @ematix.table write a plain class with all its columns.")),
    ("a dataclass", lambda: ematix.table(schema="s")(Dataclass),
     TypeError, f"The class Dataclass is already made by dataclass. {STACKED}"),
    ("an attrs class", lambda: table(__attrs_attrs__=()),
     TypeError, f"The class T is already made by attrs. {STACKED}"),
    ("a model of pydantic 2", lambda: table(__pydantic_fields__={}),
     TypeError, f"The class T is already made by pydantic (BaseModel). {STACKED}"),
    ("a model of pydantic 1", lambda: table(bases=(type("BaseModel", (), {}),), __fields__={}),
     TypeError, f"The class T is already made by pydantic (BaseModel). {STACKED}"),
    ("a dataclass of pydantic", lambda: table(__pydantic_fields__={}, __dataclass_fields__={}),
     TypeError, f"The class T is already made by pydantic (BaseModel). {STACKED}"),
    ("String without length", lambda: table(String), TypeError, "The column T.c: String needs a length: String[64]."),
    ("Numeric without digits", lambda: table(Numeric | None),
     TypeError, "The column T.c: Numeric needs precision and scale: Numeric[12, 2]."),
    ("another type", lambda: table(int), TypeError, f"The column T.c: int is no column type. {A_COLUMN_TYPE}"),
    ("another type or None", lambda: table(int | None), TypeError, f"The column T.c: int is no column type. {A_COLUMN_TYPE}"),
    ("a generic type", lambda: table(list[int]), TypeError, f"The column T.c: list[int] is no column type. {A_COLUMN_TYPE}"),
    ("two types", lambda: table(BigInt | Text),
     TypeError, ("The column T.c is annotated ematix_flow.types.BigInt | ematix_flow.types.Text: a column has one type, "
     "`| None` when it may be NULL.")),
    ("an unknown name", lambda: table("Nowhere"),
     TypeError, "The column T.c is annotated 'Nowhere', which cannot be read: name 'Nowhere' is not defined."),
    ("a marker that is not called", lambda: table(Annotated[BigInt, pk]),
     TypeError, "The column T.c: the marker pk is not called. Write pk()."),
    ("no marker", lambda: table(Annotated[BigInt, "pk"]),
     TypeError, "The column T.c: 'pk' is no marker. Markers are pk(), natural_key() and nullable()."),
    ("a number behind a type without", lambda: table(Annotated[BigInt, 8]),
     TypeError, "The column T.c: 8 is no marker. Only String and Numeric take numbers, as in Annotated[String, 64]."),
    ("one number of two", lambda: table(Annotated[Numeric, 12]),
     TypeError, "The column T.c: Numeric[12]: exactly two values are needed, precision and scale, as in Numeric[12, 2]."),
    ("a length of 0", lambda: table(Annotated[String, 0]),
     ValueError, "The column T.c: String(0): the length must be greater than 0."),
    ("a value", lambda: table(c=5),
     TypeError, "The column T.c has a value. Columns have no defaults: the values come from the source."),
    ("a Column", lambda: table(d=Column(BigInt)),
     TypeError, "The column T.d is a Column object. With @ematix.table, columns are annotations: d: BigInt."),
    ("an equals sign", lambda: table(d=Text),
     TypeError, "T.d is a column type as a value. A column is an annotation, with a colon: d: Text."),
    ("no column", lambda: ematix.table(schema="s")(type("T", (), {})),
     TypeError, "The table class T declares no Column. Annotate at least one: id: Annotated[BigInt, pk()]."),
    ("a hand-written class without schema", lambda: type("T", (ManagedTable,), {"__tablename__": "t", "c": Column(BigInt)}),
     TypeError, 'The table class T lacks __schema__, the schema. Write __schema__ = "..." in its body.'),
]

TYPES: list[Refusal] = [
    ("String(0)", lambda: String(0), ValueError, "String(0): the length must be greater than 0."),
    ("Numeric(0, 0)", lambda: Numeric(0, 0), ValueError, "Numeric(0, 0): the precision must be greater than 0."),
    ("Numeric(5, 6)", lambda: Numeric(5, 6), ValueError, "Numeric(5, 6): the scale must be between 0 and the precision."),
    ("Numeric(5, -1)", lambda: Numeric(5, -1), ValueError, "Numeric(5, -1): the scale must be between 0 and the precision."),
    ("Numeric[12]", lambda: Numeric[12],  # type: ignore[index]
     TypeError, "Numeric[12]: exactly two values are needed, precision and scale, as in Numeric[12, 2]."),
    ("String['5']", lambda: String["5"], TypeError, "String(length) takes whole numbers, not str."),  # type: ignore[index]
    ("a type or another", lambda: String(5) | Text(),
     TypeError, "String(5) | Text() is no column type: only `| None`, which makes a column nullable, can follow a type."),
    ("Column(int)", lambda: Column(int), TypeError, f"int is no column type. {A_COLUMN_TYPE}"),  # type: ignore[arg-type]
    ("natural_key(1)", lambda: natural_key(1), TypeError, "natural_key(group) takes a str, not int."),  # type: ignore[arg-type]
]

REGISTRY: list[Refusal] = [
    ("register: a name that is taken", lambda: pipeline.register(name=declare()._declaration.name, schedule=None)(dict),
     ValueError, SECOND_NAME),
    ("register: no text", lambda: pipeline.register(name=1, schedule=None),  # type: ignore[arg-type]
     TypeError, "The name of a pipeline is a str, not int."),
    ("get_pipeline of an unknown name", lambda: pipeline.get_pipeline("nope"), KeyError, "\"no pipeline named 'nope'\""),
    ("run_pipeline of an unknown name", lambda: pipeline.run_pipeline("nope"), KeyError, "\"no pipeline named 'nope'\""),
]
# fmt: on

REFUSED = PIPELINES + TABLES + TYPES + REGISTRY


@pytest.mark.parametrize(("declaration", "error", "text"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_when_it_is_declared(declaration: Callable[[], object], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        declaration()
    assert (type(raised.value), str(raised.value)) == (error, text)


# Said when the pipeline runs.
RETURNED: list[tuple[str, Any, type[Exception], str]] = [
    (
        "None without source_table",
        None,
        RuntimeError,
        "The pipeline 'x' returned None and has no source_table=. Return the SQL of the source, or give source_table=.",
    ),
    (
        "a number",
        5,
        TypeError,
        "The pipeline 'x' returned an object of type int. It returns SQL (str), an ematix_flow.Source, a dict, or None with source_table=.",
    ),
    (
        "the Source of another module",
        pipeline.Source("default", "SELECT 1"),
        TypeError,
        (
            "The pipeline 'x' returned an object of type ematix_flow.pipeline.spec.Source. "
            "It returns SQL (str), an ematix_flow.Source, a dict, or None with source_table=."
        ),
    ),
]


@pytest.fixture
def opened(engine: Engine, monkeypatch: pytest.MonkeyPatch, connect: Callable[[], Any]) -> list[str]:
    """The names of the connections that were asked for, in order."""
    engine.answers["sync"] = {"status": "success"}
    names: list[str] = []

    def open_named(name: str = "default", *, url: str | None = None) -> Any:
        names.append(name)
        return connect()

    monkeypatch.setattr(config, "connect", open_named)
    return names


@pytest.mark.parametrize(("returned", "error", "text"), [row[1:] for row in RETURNED], ids=[row[0] for row in RETURNED])
@pytest.mark.parametrize("of_several", [False, True])
def test_refused_when_it_is_returned(
    opened: list[str], engine: Engine, of_several: bool, returned: Any, error: type[Exception], text: str
) -> None:
    def fn(conn: Any) -> Any:
        return returned

    loaded = several_with(fn) if of_several else declare(fn)
    with pytest.raises(error) as raised:
        loaded()
    assert str(raised.value) == text
    assert engine.asked("sync") == []


def several_with(fn: Any) -> Any:
    """A wrong return value is no failure of a target: it is raised, whatever happens to targets that fail."""
    return declare(fn, target=None, mode=None, targets=[appended()], continue_on_failure=True)


# What is accepted, and easily refused by mistake.


def test_the_real_classes_of_other_libraries() -> None:
    attrs = pytest.importorskip("attrs")
    pydantic = pytest.importorskip("pydantic")
    from pydantic.dataclasses import dataclass

    made: list[tuple[Any, str]] = [
        (attrs.make_class("T", {"c": attrs.field()}), "attrs"),
        (pydantic.create_model("T", c=(int, 0)), "pydantic (BaseModel)"),
        (dataclass(type("T", (), {"__annotations__": {"c": int}})), "pydantic (BaseModel)"),
    ]
    for cls, library in made:
        with pytest.raises(TypeError) as raised:
            ematix.table(schema="s")(cls)
        assert str(raised.value) == f"The class T is already made by {library}. {STACKED}"


def test_a_class_that_only_resembles_a_model() -> None:
    plain = type("BaseModel", (), {})
    assert table(bases=(plain,)).__tablename__ == "t"
    assert table(__fields__={}).__tablename__ == "t"


@pytest.mark.parametrize(
    ("annotation", "column"),
    [
        (Annotated[String, 64], Column(String(64), nullable=False, name="c")),
        (Annotated[Numeric, 12, 2, pk()], Column(Numeric(12, 2), nullable=False, primary_key=True, name="c")),
        (Annotated[String, 64] | None, Column(String(64), nullable=True, name="c")),
        (None | String[64], Column(String(64), nullable=True, name="c")),
        (None | BigInt, Column(BigInt, nullable=True, name="c")),
    ],
)
def test_sizes_that_type_checkers_can_read(annotation: Any, column: Column) -> None:
    assert table(annotation).c == column


@pytest.mark.parametrize("future", ["from __future__ import annotations", ""])
def test_aliases_of_a_function_resolve(future: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("aliases")
    monkeypatch.setitem(sys.modules, "aliases", module)
    source = f"""{future}
from typing import Annotated
from ematix_flow import ematix, pk
from ematix_flow.types import BigInt, String

def make():
    Key = Annotated[BigInt, pk()]
    Name = String[7]
    @ematix.table(schema="s")
    class Orders:
        id: Key
        name: Name | None
        other: None | Name
        said: "Name"
    return Orders
"""
    exec(compile(source, "aliases.py", "exec", dont_inherit=True), vars(module))
    shown = [(name, repr(column.type), column.nullable) for name, column in vars(module)["make"]()._columns()]
    assert shown == [("id", "BigInt()", False), ("name", "String(7)", True), ("other", "String(7)", True), ("said", "String(7)", False)]


def test_every_type_is_accepted_bare_or_made() -> None:
    for name in column_types.__all__:
        cls = getattr(column_types, name)
        if name not in ("Column", "ColumnType", "String", "Numeric"):
            assert table(cls).c == table(cls()).c
