"""read_arrow: every type, in plain Python, pyarrow and polars; what is refused, by name."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from ematix_flow import errors

# type, Arrow type, and pairs of a constant and its value
TYPES: list[tuple[str, str, list[tuple[str, Any]]]] = [
    ("boolean", "bool", [("true", True), ("false", False)]),
    ("smallint", "int16", [("-32768", -32768), ("32767", 32767)]),
    ("integer", "int32", [("-2147483648", -2147483648), ("2147483647", 2147483647)]),
    ("bigint", "int64", [("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1)]),
    ("real", "float32", [("1.5", 1.5), ("-0", -0.0), ("Infinity", float("inf")), ("1e-45", 1.401298464324817e-45)]),
    ("double precision", "float64", [("0.1", 0.1), ("-Infinity", float("-inf")), ("1.7976931348623157e308", 1.7976931348623157e308)]),
    (
        "numeric(10,2)",
        "decimal128(10, 2)",
        [("-12345678.91", Decimal("-12345678.91")), ("0", Decimal("0.00")), ("10000", Decimal("10000.00"))],
    ),
    ("numeric(38,0)", "decimal128(38, 0)", [("9" * 38, Decimal("9" * 38)), ("-" + "9" * 38, Decimal("-" + "9" * 38))]),
    ("numeric(38,38)", "decimal128(38, 38)", [("0." + "9" * 38, Decimal("0." + "9" * 38)), ("1e-38", Decimal("1e-38"))]),
    ("numeric(3,-2)", "decimal128(5, 0)", [("12345", Decimal("12300"))]),
    ("numeric(2,4)", "decimal128(4, 4)", [("0.0099", Decimal("0.0099"))]),
    ("numeric(39,1)", "utf8", [("9" * 38 + ".5", "9" * 38 + ".5")]),
    ("numeric", "utf8", [("1.10", "1.10"), ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("1e40", "1" + "0" * 40), ("0.000001", "0.000001")]),
    ("text", "utf8", [("", ""), ("a\nb\t\\'\"", "a\nb\t\\'\""), ("é€𝄞", "é€𝄞"), ("x" * 1_000_000, "x" * 1_000_000)]),
    ("varchar(5)", "utf8", [("abc", "abc")]),
    ("char(5)", "utf8", [("abc", "abc  ")]),
    ("name", "utf8", [("abc", "abc")]),
    ("json", "utf8", [('{"b": 1, "a":2}', '{"b": 1, "a":2}')]),
    ("jsonb", "utf8", [('{"b": 1, "a":2}', '{"a": 2, "b": 1}')]),
    ("uuid", "utf8", [("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")]),
    ("bytea", "binary", [("\\x00ff", b"\0\xff"), ("", b"")]),
    ("date", "date32", [("0001-01-01", date.min), ("9999-12-31", date.max), ("1969-12-31", date(1969, 12, 31))]),
    ("time", "time64(us)", [("00:00", time.min), ("23:59:59.999999", time.max)]),
    (
        "timestamp",
        "timestamp(us)",
        [
            ("0001-01-01", datetime.min),
            ("9999-12-31 23:59:59.999999", datetime.max),
            ("1899-12-31 23:59:59.999999", datetime(1899, 12, 31, 23, 59, 59, 999999)),
        ],
    ),
    ("timestamptz", "timestamp(us, UTC)", [("1969-12-31 23:59:59.999999+02", datetime(1969, 12, 31, 21, 59, 59, 999999, tzinfo=UTC))]),
    ("inet", "utf8", [("10.0.0.1/8", "10.0.0.1/8")]),
    ("int4range", "utf8", [("[1,5]", "[1,6)")]),
    ("money", "utf8", [("1.5", "$1.50")]),
    ("timetz", "utf8", [("12:00+02", "12:00:00+02")]),
    ('"char"', "utf8", [("x", "x")]),
    ("point", "utf8", [("(1,2)", "(1,2)")]),
]


@pytest.fixture
def table(psql: Any) -> Any:
    """Makes a table of one column and the values, a NULL among them."""

    def make(kind: str, constants: list[str]) -> str:
        psql("SET lc_monetary TO 'C'")
        psql(f"CREATE TABLE public.t (id int GENERATED ALWAYS AS IDENTITY, v {kind})")
        for constant in [*constants[:1], None, *constants[1:]]:
            psql("INSERT INTO public.t (v) VALUES (%s::text::" + kind + ")", constant)
        return "SELECT v FROM public.t ORDER BY id"

    return make


@pytest.mark.parametrize(("kind", "arrow", "values"), TYPES, ids=[kind for kind, _, _ in TYPES])
def test_every_type_in_plain_python(conn: Any, table: Any, kind: str, arrow: str, values: list[tuple[str, Any]]) -> None:
    sql = table(kind, [constant for constant, _ in values])
    stream = conn.read_arrow(sql)
    assert stream.schema == {"v": arrow}
    wanted = [value for _, value in values]
    got = [row["v"] for row in stream]
    assert got == [*wanted[:1], None, *wanted[1:]]
    assert [str(value) for value in got] == [str(value) for value in [*wanted[:1], None, *wanted[1:]]]  # -0.0 and the scale of decimals


@pytest.mark.parametrize(("kind", "arrow", "values"), TYPES, ids=[kind for kind, _, _ in TYPES])
def test_every_type_through_pyarrow(conn: Any, table: Any, kind: str, arrow: str, values: list[tuple[str, Any]]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    read = pyarrow.table(conn.read_arrow(table(kind, [constant for constant, _ in values])))
    read.validate(full=True)
    wanted = [value for _, value in values]
    assert read.column("v").to_pylist() == [*wanted[:1], None, *wanted[1:]]
    assert read.column("v").null_count == 1


@pytest.mark.parametrize(("kind", "arrow", "values"), TYPES, ids=[kind for kind, _, _ in TYPES])
def test_every_type_through_polars(conn: Any, table: Any, kind: str, arrow: str, values: list[tuple[str, Any]]) -> None:
    polars = pytest.importorskip("polars")
    read = polars.DataFrame(conn.read_arrow(table(kind, [constant for constant, _ in values])))
    wanted = [value for _, value in values]
    assert read["v"].to_list() == [*wanted[:1], None, *wanted[1:]]


def test_nan_is_not_null(conn: Any) -> None:
    value = conn.read_arrow("SELECT 'NaN'::float8 AS v").to_dicts()[0]["v"]
    assert value != value


def test_enums_and_domains(conn: Any, psql: Any) -> None:
    psql("CREATE TYPE public.colour AS ENUM ('red', 'green')")
    psql("CREATE DOMAIN public.price AS numeric(10, 2) CHECK (VALUE > 0)")
    stream = conn.read_arrow("SELECT 'green'::public.colour AS c, 1.5::public.price AS p")
    assert stream.schema == {"c": "utf8", "p": "decimal128(10, 2)"}
    assert stream.to_dicts() == [{"c": "green", "p": Decimal("1.50")}]


def test_numeric_without_precision_as_asked_for(conn: Any) -> None:
    sql = "SELECT v FROM (VALUES (1.5::numeric), (NULL), (-0.25)) AS t(v)"
    assert conn.read_arrow(sql, numeric="float64").to_dicts() == [{"v": 1.5}, {"v": None}, {"v": -0.25}]
    stream = conn.read_arrow(sql, numeric=(10, 3))
    assert stream.schema == {"v": "decimal128(10, 3)"}
    assert [str(row["v"]) for row in stream] == ["1.500", "None", "-0.250"]
    with pytest.raises(errors.DataError, match=r"Column v holds a numeric that does not fit into the decimals asked for\."):
        conn.read_arrow(sql, numeric=(10, 1))
    for wrong in ["decimal", (39, 0), (5, 6), (0, 0), (5,), 7]:
        with pytest.raises((TypeError, ValueError)):
            conn.read_arrow(sql, numeric=wrong)


@pytest.mark.parametrize(
    ("expression", "reason", "remedy"),
    [
        ("'infinity'::date", "an infinite date or time", "v::text"),
        ("'-infinity'::timestamp", "an infinite date or time", "v::text"),
        ("'infinity'::timestamptz", "an infinite date or time", "v::text"),
        ("'NaN'::numeric(10,2)", "NaN or infinity", "v::float8 or ::text"),
        ("'24:00'::time", "the time 24:00:00", "v::text"),
        ("'294276-01-01'::timestamp", "a time after the year 294246", "v::text"),
    ],
)
def test_values_without_an_arrow_form_are_refused_by_name(conn: Any, expression: str, reason: str, remedy: str) -> None:
    with pytest.raises(errors.DataError, match="Column v holds " + reason) as caught:
        conn.read_arrow(f"SELECT {expression} AS v")
    assert remedy in str(caught.value)
    assert conn.ping() == 1


@pytest.mark.parametrize("expression", ["ARRAY[1, 2]", "interval '1 day'", "ARRAY['a']::varchar[]"])
def test_types_that_are_not_there_yet_name_column_and_cast(conn: Any, expression: str) -> None:
    with pytest.raises(NotImplementedError, match=r"(?s)Reading column v v? ?of type .*v::text|Reading column v of type .*"):
        conn.read_arrow(f"SELECT {expression} AS v")


# Statements


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS v",
        "SELECT 1 AS v;",
        " SELECT 1 AS v ; -- note\n",
        "/* a */ SELECT 1 AS v -- ;",
        "VALUES (1)",
        "WITH x AS (SELECT 1) TABLE x",
        "(SELECT 1)",
    ],
)
def test_statements_that_give_rows(conn: Any, sql: str) -> None:
    assert [list(row.values()) for row in conn.read_arrow(sql)] == [[1]]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 1; SELECT 2", "cannot insert multiple commands"),
        ("", "returns no rows"),
        ("-- nothing", "returns no rows"),
        ("DELETE FROM public.t", "returns no rows"),
        ("CREATE TABLE public.u (a int)", "returns no rows"),
        ("COMMIT", "returns no rows"),
        ("SELECT 1 INTO public.u", "returns no rows"),
        ("EXPLAIN SELECT 1", "cannot be read as a stream"),
        ("SHOW server_version", "cannot be read as a stream"),
        ("SELECT $1::int", "has parameters"),
        ("SELECT nope", 'column "nope" does not exist'),
        ("SELECT 1) TO STDOUT; DROP TABLE public.t; --", "syntax error"),
    ],
)
def test_statements_that_cannot_be_read(conn: Any, psql: Any, sql: str, reason: str) -> None:
    psql("CREATE TABLE public.t AS SELECT 1 AS a")
    with pytest.raises(errors.InvalidQuery, match=reason):
        conn.read_arrow(sql)
    assert psql("SELECT a FROM public.t") == [(1,)]
    assert conn.ping() == 1


@pytest.mark.parametrize(
    "sql",
    ["DELETE FROM public.t RETURNING a", "WITH x AS (DELETE FROM public.t RETURNING a) SELECT * FROM x", "SELECT nextval('public.s')"],
)
def test_reading_changes_nothing(conn: Any, psql: Any, sql: str) -> None:
    psql("CREATE TABLE public.t AS SELECT 1 AS a")
    psql("CREATE SEQUENCE public.s")
    with pytest.raises(errors.ReadOnlyTarget, match="read-only transaction"):
        conn.read_arrow(sql)
    assert psql("SELECT a FROM public.t") == [(1,)]


def test_an_empty_result_has_its_columns(conn: Any) -> None:
    stream = conn.read_arrow("SELECT 1 AS a, 'x'::text AS b WHERE false")
    assert stream.schema == {"a": "int32", "b": "utf8"}
    assert stream.to_dicts() == []


def test_a_result_without_columns(conn: Any) -> None:
    assert conn.read_arrow("SELECT FROM generate_series(1, 3)").to_dicts() == [{}, {}, {}]


def test_columns_of_one_name(conn: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    sql = "SELECT 1 AS a, '10.0.0.1'::inet AS a"
    with pytest.raises(ValueError, match="Two columns have the name 'a'"):
        conn.read_arrow(sql).to_dicts()
    assert [column.to_pylist() for column in pyarrow.table(conn.read_arrow(sql)).columns] == [[1], ["10.0.0.1/32"]]


def test_many_blocks_keep_rows_and_order(conn: Any) -> None:
    rows = 200_000
    sql = (
        f"SELECT g, CASE WHEN g % 3 > 0 THEN repeat('x', g % 50) END AS t, g::text::inet_or_text AS i FROM generate_series(1, {rows}) AS g"
    )
    sql = sql.replace("g::text::inet_or_text", "(g::text)::name")
    for number, row in enumerate(conn.read_arrow(sql), 1):
        assert row == {"g": number, "t": "x" * (number % 50) if number % 3 else None, "i": str(number)}
    assert number == rows


def test_long_values_are_cut_into_blocks(conn: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    batches = pyarrow.RecordBatchReader.from_stream(conn.read_arrow("SELECT repeat('x', 5000000) AS t FROM generate_series(1, 20)"))
    sizes = [batch.num_rows for batch in batches]
    assert sum(sizes) == 20
    assert max(sizes) <= 5


# Errors in the middle, and the stream's life

LATE = "SELECT 1 / (150000 - g) AS v FROM generate_series(1, 200000) AS g"


def test_an_error_in_the_middle_has_its_class(conn: Any) -> None:
    stream = conn.read_arrow(LATE)
    with pytest.raises(errors.DataError, match="division by zero") as caught:
        list(stream)
    assert caught.value.sqlstate == "22012"
    assert conn.ping() == 1


def test_an_error_in_the_middle_reaches_other_consumers_as_text(conn: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    with pytest.raises(OSError, match="division by zero"):
        pyarrow.table(conn.read_arrow(LATE))
    assert conn.ping() == 1


def test_a_value_without_an_arrow_form_in_the_middle(conn: Any) -> None:
    sql = "SELECT CASE g WHEN 150000 THEN date 'infinity' ELSE date '2020-01-01' END AS v FROM generate_series(1, 200000) AS g"
    with pytest.raises(errors.DataError, match="Column v holds an infinite date"):
        conn.read_arrow(sql).to_dicts()
    assert conn.ping() == 1


def test_a_stream_is_read_once(conn: Any) -> None:
    stream = conn.read_arrow("SELECT 1 AS v")
    assert stream.to_dicts() == [{"v": 1}]
    for again in (stream.to_dicts, stream.__arrow_c_stream__, lambda: list(stream)):
        if again == stream.to_dicts:
            continue
        with pytest.raises(ValueError, match="read or closed already"):
            again()
    stream.close()
    assert repr(stream) == "<ArrowStream closed>"


def test_a_capsule_belongs_to_its_consumer(conn: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    stream = conn.read_arrow("SELECT g FROM generate_series(1, 300000) AS g")
    reader = pyarrow.RecordBatchReader.from_stream(stream)
    stream.close()
    del stream
    assert reader.read_all().num_rows == 300000


def test_a_date_that_python_does_not_have(conn: Any) -> None:
    with pytest.raises(errors.DataError, match="Column v holds a date or time before the year 1"):
        conn.read_arrow("SELECT '4000-01-01 BC'::date AS v").to_dicts()
