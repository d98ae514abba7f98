"""Arrow streams into tables: every type from polars and pyarrow, matching by name, refusals, and streams that lie."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import ematix_flow
from ematix_flow import errors

polars = pytest.importorskip("polars")
pyarrow = pytest.importorskip("pyarrow")

PACKAGE = Path(ematix_flow.__file__).parent.parent

ID = uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")

# type of the column, values (NULL is added) as psycopg shows them
TYPES: list[tuple[str, list[Any]]] = [
    ("smallint", [-32768, 32767]),
    ("integer", [-(2**31), 2**31 - 1]),
    ("bigint", [-(2**63), 2**63 - 1]),
    ("real", [1.5, -0.25]),
    ("double precision", [0.1, float("inf"), 5e-324]),
    ("numeric(20,4)", [Decimal("1.5000"), Decimal("-1234567890123456.7891")]),
    ("numeric", [Decimal("0.000001"), Decimal("12345678901234567890.100000")]),
    ("boolean", [True, False]),
    ("text", ["", "é€𝄞\n\\", "x" * 100_000]),
    ("varchar(3)", ["abc", ""]),
    ("date", [date.min, date.max]),
    ("time", [time.min, time.max]),
    ("timestamp", [datetime(1899, 12, 31, 23, 59, 59, 999999), datetime.max]),
    ("timestamptz", [datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)]),
    ("bytea", [b"", b"\0\xff" * 1000]),
]


@pytest.fixture
def write(conn: Any, psql: Any) -> Any:
    """Makes ``public.t`` of the given columns, writes rows and returns what the table then holds."""

    def do(columns: str, rows: Any) -> list[tuple[Any, ...]]:
        psql("DROP TABLE IF EXISTS public.t")
        psql(f"CREATE TABLE public.t ({columns})")
        count = conn._write_arrow(rows, "public", "t")
        psql("SET TimeZone TO 'UTC'")
        assert count == psql.value("SELECT count(*) FROM public.t")
        return list(psql("SELECT * FROM public.t"))

    return do


@pytest.mark.parametrize(("kind", "values"), TYPES, ids=[kind for kind, _ in TYPES])
def test_every_type_from_polars(write: Any, kind: str, values: list[Any]) -> None:
    wanted = [*values, None]
    assert sorted(map(repr, write(f"v {kind}", polars.DataFrame({"v": wanted})))) == sorted(repr((value,)) for value in wanted)


@pytest.mark.parametrize(("kind", "values"), TYPES, ids=[kind for kind, _ in TYPES])
def test_every_type_from_pyarrow(write: Any, kind: str, values: list[Any]) -> None:
    wanted = [None, *values]
    assert sorted(map(repr, write(f"v {kind}", pyarrow.table({"v": wanted})))) == sorted(repr((value,)) for value in wanted)


def test_json_uuid_enum_and_domain(write: Any, psql: Any) -> None:
    psql("CREATE TYPE public.colour AS ENUM ('red', 'green')")
    psql("CREATE DOMAIN public.price AS numeric(10, 2) CHECK (VALUE > 0)")
    rows = {"j": ['{"a":  1}'], "b": ['{"a":  1}'], "u": [str(ID)], "c": ["green"], "p": [Decimal("1.5")]}
    got = write("j json, b jsonb, u uuid, c public.colour, p public.price", polars.DataFrame(rows))
    assert got == [({"a": 1}, {"a": 1}, ID, "green", Decimal("1.50"))]
    assert psql("SELECT j::text, b::text FROM public.t") == [('{"a":  1}', '{"a": 1}')]


@pytest.mark.parametrize(
    ("column", "array", "wanted"),
    [
        ("integer", pyarrow.array([1, 2], pyarrow.uint8()), [1, 2]),
        ("smallint", pyarrow.array([3, None], pyarrow.float32()), [3, None]),
        ("integer", pyarrow.array([Decimal("7.00")]), [7]),
        ("double precision", pyarrow.array([1, None], pyarrow.int64()), [1.0, None]),
        ("numeric", pyarrow.array([2**64 - 1], pyarrow.uint64()), [Decimal(2**64 - 1)]),
        ("numeric", pyarrow.array([0.1, 1e22]), [Decimal("0.1"), Decimal(10**22)]),
        ("numeric(4,1)", pyarrow.array([Decimal("1.25")]), [Decimal("1.3")]),  # as any assignment
        ("numeric", pyarrow.array([Decimal("1.5")], pyarrow.decimal256(60, 5)), [Decimal("1.50000")]),
        ("text", pyarrow.array(["a", None, "b", "a"]).dictionary_encode(), ["a", None, "b", "a"]),
        ("text", pyarrow.array(["a", "x" * 50], pyarrow.large_string()), ["a", "x" * 50]),
        ("text", pyarrow.array(["a", "x" * 50], pyarrow.string_view()), ["a", "x" * 50]),
        ("text", pyarrow.nulls(2), [None, None]),
        ("bytea", pyarrow.array([b"ab", None], pyarrow.binary(2)), [b"ab", None]),
        ("bytea", pyarrow.array([b"a"], pyarrow.large_binary()), [b"a"]),
        ("uuid", pyarrow.array([ID.bytes], pyarrow.binary(16)), [ID]),
        ("uuid", pyarrow.array([ID.hex.upper()]), [ID]),
        ("date", pyarrow.array([date(2020, 2, 29)], pyarrow.date64()), [date(2020, 2, 29)]),
        (
            "timestamp",
            pyarrow.array([-1, 1999], pyarrow.timestamp("ns")),
            [datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1970, 1, 1, 0, 0, 0, 1)],
        ),
        ("timestamp", pyarrow.array([-1], pyarrow.timestamp("s")), [datetime(1969, 12, 31, 23, 59, 59)]),
        ("timestamptz", pyarrow.array([0], pyarrow.timestamp("ms", "Asia/Tokyo")), [datetime(1970, 1, 1, tzinfo=UTC)]),
        ("time", pyarrow.array([1], pyarrow.time32("ms")), [time(0, 0, 0, 1000)]),
    ],
    ids=lambda value: str(getattr(value, "type", value)) if not isinstance(value, list) else "",
)
def test_forms_of_arrow(write: Any, column: str, array: Any, wanted: list[Any]) -> None:
    assert write(f"v {column}", pyarrow.table({"v": array})) == [(value,) for value in wanted]


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("smallint", [1, 70_000], r"Column v, row 2 holds a number outside the range"),
        ("integer", [1.0, 2.0, 2.5], r"Column v, row 3 holds a number with a fraction"),
        ("integer", [float("nan")], r"Column v, row 1 holds NaN or infinity"),
        ("double precision", [2**53 + 1], r"Column v, row 1 holds a whole number that a floating-point column cannot hold exactly"),
        ("real", [1e300], r"Column v, row 1 holds a number too large for real"),
        ("text", ["a", "b\0c"], r"Column v, row 2 holds text with a NUL character"),
        ("varchar(3)", ["abc", "abcd"], r"value too long for type character varying\(3\) \(column v, row 2\)"),
        ("uuid", ["x"], r"Column v, row 1 holds text that is no UUID"),
        ("jsonb", ["{}", "{x"], r"invalid input syntax for type json \(column v, row 2\)"),
        ("numeric(4,2)", [Decimal("100")], r"numeric field overflow \(column v, row 1\)"),
        ("integer NOT NULL", [1, None], r'null value in column "v"'),
    ],
)
def test_values_that_do_not_fit_are_refused_by_place_and_nothing_is_written(
    write: Any, conn: Any, psql: Any, column: str, values: list[Any], reason: str
) -> None:
    with pytest.raises(errors.DataError, match=reason) as caught:
        write(f"v {column}", polars.DataFrame({"v": values}))
    assert "abcd" not in str(caught.value)
    assert psql("SELECT * FROM public.t") == []
    assert conn.ping() == 1


@pytest.mark.parametrize(
    ("column", "array", "names"),
    [
        ("text", pyarrow.array([1]), "column v of type text from Arrow's int64"),
        ("integer", pyarrow.array(["1"]), "column v of type integer from Arrow's utf8"),
        ("text", pyarrow.array([[1]]), "column v of type text from Arrow's list"),
        ("integer[]", pyarrow.array([[1]]), r"column v of type integer\[\]"),
        ("interval", pyarrow.array([timedelta(1)]), "column v of type interval"),
        ("timestamptz", pyarrow.array([0], pyarrow.timestamp("us")), "column v of type timestamp with time zone from"),
        ("timestamp", pyarrow.array([0], pyarrow.timestamp("us", "UTC")), "column v of type timestamp without time zone from"),
    ],
)
def test_types_without_a_way_are_named(write: Any, column: str, array: Any, names: str) -> None:
    with pytest.raises(NotImplementedError, match=names):
        write(f"v {column}", pyarrow.table({"v": array}))


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({"a": [1], "x": [1], "y": [1]}, r'public\.t has no columns "x", "y"'),
        ({"b": [1]}, r'The rows lack the column "a"'),
        ({"a": [1], "g": [1]}, r"Column g of public\.t is generated"),
        ({}, r"The rows have no columns"),
    ],
)
def test_columns_that_do_not_match(write: Any, rows: dict[str, Any], reason: str) -> None:
    with pytest.raises(errors.InvalidSpec, match=reason):
        write("a int NOT NULL, b int, g int GENERATED ALWAYS AS (a + 1) STORED", pyarrow.table(rows))


def test_columns_are_matched_by_name_and_others_get_their_defaults(write: Any) -> None:
    columns = '"Ä b" int, id int GENERATED ALWAYS AS IDENTITY, d int NOT NULL DEFAULT 7, "select" text'
    assert write(columns, polars.DataFrame({"select": ["x"], "Ä b": [1]})) == [(1, 1, 7, "x")]


def test_what_is_no_table(conn: Any, psql: Any) -> None:
    rows = polars.DataFrame({"a": [1]})
    psql("CREATE VIEW public.v AS SELECT 1 AS a")
    for name, reason in [("nope", r"There is no table public\.nope"), ("v", r"public\.v is not a table")]:
        with pytest.raises(errors.TargetNotLoadable, match=reason):
            conn._write_arrow(rows, "public", name)
    with pytest.raises(errors.InvalidIdentifier):
        conn._write_arrow(rows, "public", "x" * 64)


def test_many_batches_and_the_way_back(conn: Any, psql: Any) -> None:
    count = 200_000
    frame = polars.DataFrame(
        {"id": range(count), "t": [None if i % 7 == 0 else "x" * (i % 60) for i in range(count)], "f": [i / 7 for i in range(count)]}
    )
    psql("CREATE TABLE public.t (f double precision, t text, id bigint)")
    assert conn._write_arrow(frame, "public", "t") == count
    assert polars.DataFrame(conn.read_arrow("SELECT id, t, f FROM public.t ORDER BY id")).equals(frame)


def test_a_stream_of_ours_goes_straight_back(conn: Any, psql: Any) -> None:
    psql("CREATE TABLE public.t (id int, n numeric(10,2))")
    rows = conn.read_arrow("SELECT g AS id, (g / 3.0)::numeric(10,2) AS n FROM generate_series(1, 100000) AS g")
    assert conn._write_arrow(rows, "public", "t") == 100_000
    assert psql.value("SELECT sum(id) FROM public.t WHERE n = (id / 3.0)::numeric(10,2)") == 100_000 * 100_001 // 2


def test_a_used_stream_is_refused(conn: Any) -> None:
    capsule = polars.DataFrame({"a": [1]}).__arrow_c_stream__()
    pyarrow.RecordBatchReader._import_from_c_capsule(capsule)

    class Used:
        def __arrow_c_stream__(self, requested_schema: object = None) -> object:
            return capsule

    with pytest.raises(ValueError, match="has been read already"):
        conn._write_arrow(Used(), "public", "t")


def test_an_error_of_the_producer_ends_the_write(conn: Any, psql: Any) -> None:
    psql("CREATE TABLE public.t (a bigint)")
    schema = pyarrow.schema({"a": pyarrow.int64()})

    def batches() -> Any:
        yield pyarrow.record_batch({"a": [1, 2]}, schema)
        raise RuntimeError("the producer's own words")

    with pytest.raises(errors.DataError, match="the producer's own words"):
        conn._write_arrow(pyarrow.RecordBatchReader.from_batches(schema, batches()), "public", "t")
    assert psql("SELECT * FROM public.t") == []
    assert conn.ping() == 1


LIES = """
    import ctypes, sys
    import pyarrow as pa
    from ematix_flow import _arrow_c as c, _core, errors
    from ctypes import POINTER, byref, cast, c_void_p, pointer, pythonapi, py_object, c_char_p

    conn = _core.connect(sys.argv[1])
    new = pythonapi.PyCapsule_New
    new.restype, new.argtypes = py_object, [c_void_p, c_char_p, c_void_p]

    class Lie:
        "A table of one column whose array is tampered with."
        def __init__(self, values, tamper):
            self.batch, self.tamper, self.given = pa.record_batch({"v": values}), tamper, False
        def __arrow_c_stream__(self, requested_schema=None):
            kinds = dict(c._Stream._fields_)
            def get_schema(stream, out):
                self.batch.schema._export_to_c(ctypes.addressof(out.contents)); return 0
            def get_next(stream, out):
                ctypes.memset(out, 0, ctypes.sizeof(c._Array))
                if not self.given:
                    self.given = True
                    self.batch._export_to_c(ctypes.addressof(out.contents))
                    self.tamper(out.contents.children[0].contents)
                return 0
            def release(stream):
                stream.contents.release = kinds["release"]()
            self.stream = c._Stream(kinds["get_schema"](get_schema), kinds["get_next"](get_next),
                                    kinds["get_last_error"](lambda stream: None), kinds["release"](release), None)
            return new(ctypes.addressof(self.stream), b"arrow_array_stream", None)

    def null(number):
        def tamper(array): array.buffers[number] = None
        return tamper
    def field(name, value):
        def tamper(array): setattr(array, name, value)
        return tamper

    ints, texts = pa.array([1, 2, None]), pa.array(["a", "bc", None])
    for column, values, tamper in [
        ("i", ints, null(1)), ("t", texts, null(1)), ("t", texts, null(2)), ("i", ints, field("n_buffers", 1)), ("t", texts, field("n_buffers", 0)),
        ("i", ints, field("length", -1)), ("t", texts, field("n_buffers", 7)),
    ]:
        lie = Lie(values, tamper)
        lie.batch = lie.batch.rename_columns([column])
        try:
            conn._write_arrow(lie, "public", "t")
            print("taken")
        except errors.DataError as error:
            print("refused", error.kind)
        except errors.InternalError as error:
            print("internal", error)
    print(conn.ping())
"""


def test_streams_that_lie_are_refused_and_the_process_lives(psql: Any, dsn: str) -> None:
    psql("CREATE TABLE public.t (i bigint, t text)")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", textwrap.dedent(LIES), dsn],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PYTHONPATH": str(PACKAGE)},
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["1"]), done.stderr
    assert "internal" not in done.stdout
    assert psql("SELECT * FROM public.t WHERE i IS NOT NULL AND i NOT IN (1, 2)") == []


def test_zones_do_not_shift_times(conn: Any, psql: Any) -> None:
    psql("CREATE TABLE public.t (tz timestamptz, ts timestamp)")
    instant = datetime(2020, 7, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    rows = polars.DataFrame({"tz": [instant], "ts": [datetime(2020, 7, 1, 12)]})
    psql("ALTER DATABASE " + psql.name + " SET TimeZone TO 'America/New_York'")
    conn._write_arrow(rows, "public", "t")
    assert psql("SELECT tz AT TIME ZONE 'UTC', ts FROM public.t") == [(datetime(2020, 7, 1, 3), datetime(2020, 7, 1, 12))]
