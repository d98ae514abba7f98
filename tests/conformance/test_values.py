"""Every declared type at its limits: exact on both paths, and a change exactly where PostgreSQL calls two values distinct."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

import pytest

from ematix_flow import _core
from ematix_flow.types import (
    JSON,
    JSONB,
    UUID,
    BigInt,
    Boolean,
    Bytes,
    ColumnType,
    Date,
    Double,
    Float,
    Integer,
    Numeric,
    SmallInt,
    String,
    Text,
    Timestamp,
    TimestampTZ,
)
from tests.conformance.cases import Case
from tests.conformance.loading import Lane, Subject
from tests.conformance.shapes import Shape
from tests.fix_db import Database
from tests.oracle.history import History
from tests.oracle.upsert import Merge
from tests.oracle.values import Cell, floating, infinity, json_text, jsonb, numeric, octets

Values = list[Any]


def shown(*texts: str) -> Values:
    """Values that are shown as they are written."""
    return [Cell(text, text, text) for text in texts]


LARGEST = Decimal("9" * 990 + "." + "9" * 10)
LIMITS: dict[str, tuple[ColumnType, Values]] = {
    "small_int": (SmallInt(), [-(2**15), 0, 2**15 - 1]),
    "integer": (Integer(), [-(2**31), 0, 2**31 - 1]),
    "big_int": (BigInt(), [-(2**63), 0, 2**63 - 1]),
    "float": (
        Float(),
        [floating(text) for text in ("0", "-0", "NaN", "Infinity", "-Infinity", "0.1", "1e-45", "3.4028235e+38", "1.6777216e+07")],
    ),
    "double": (
        Double(),
        [
            floating(t)
            for t in ("0", "-0", "NaN", "Infinity", "-Infinity", "0.1", "0.30000000000000004", "5e-324", "1.7976931348623157e+308")
        ],
    ),
    "numeric": (
        Numeric(1000, 10),
        [numeric(0, 10), numeric("NaN", 10), Cell(f"{LARGEST}", f"{LARGEST}", LARGEST), Cell(f"-{LARGEST}", f"-{LARGEST}", -LARGEST)],
    ),
    "money_like": (Numeric(12, 2), [numeric(text, 2) for text in ("1", "1.00", "1.005", "-0", "0.004", "-9999999999.99")]),
    "boolean": (Boolean(), [True, False]),
    "text": (
        Text(),
        [
            *("", " ", "\\N", "\\.", "\\", "\\\\", "\\x00NULL\\x00", "\\x01", "NULL", "null", "'", '"', "$1", "%s", ":name", "$tag$", "--"),
            *("\t", "\n", "\r", "\r\n", "\b\f\v", "\x01", "\x7f", "\ufeff", "\u2028", "e\u0301", "é", "🛫", "\U0010ffff", "x" * 100_000),
        ],
    ),
    "string": (String(4), ["", "abcd", "🛫🛫🛫🛫", "\\N", "a   "]),
    "date": (
        Date(),
        [infinity(1), infinity(-1), *shown("4713-01-01 BC", "0001-01-01", "0001-12-31 BC", "1582-10-10", "2000-02-29", "5874897-12-31")],
    ),
    "timestamp": (
        Timestamp(),
        [
            *(infinity(1), infinity(-1)),
            *shown("4713-01-01 00:00:00 BC", "0001-01-01 00:00:00", "1999-12-31 23:59:59.999999", "294276-12-31 23:59:59.999999"),
        ],
    ),
    "timestamp_tz": (
        TimestampTZ(),
        [
            *(infinity(1), infinity(-1)),
            *shown(
                "4713-01-01 00:00:00+00 BC", "0044-03-15 12:00:00+00 BC", "1890-01-01 00:00:00.000001+00", "294276-12-31 23:59:59.999999+00"
            ),
            *shown("2024-03-31 00:30:00+00", "2024-03-31 01:30:00+00", "2024-10-27 00:30:00+00", "2024-10-27 01:30:00+00"),
        ],
    ),
    "json": (
        JSON(),
        [
            json_text(text)
            for text in ('{"a":1,"b":2}', '{"b":2,"a":1}', '{"a": 1}', '{"a":1,"a":2}', "null", '"\\\\N"', " 1 ", '"\\u0000"')
        ],
    ),
    "jsonb": (
        JSONB(),
        [
            jsonb('{"b":2,"a":1}', '{"a": 1, "b": 2}', "object"),
            jsonb('{"a":1,"b":2}', '{"a": 1, "b": 2}', "object"),
            jsonb('{"a":9,"a":1,"b":2}', '{"a": 1, "b": 2}', "object"),
            jsonb("1", "1", 1),
            jsonb("1.0", "1.0", 1),
            jsonb('"\\\\N"', '"\\\\N"', "text"),
            jsonb("null", "null", "null"),
            jsonb("[]", "[]", "[]"),
        ],
    ),
    "uuid": (UUID(), shown("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")),
    "bytes": (Bytes(), [octets(value) for value in (b"", b"\0", b"\\", b"\\x00", b"'", b"\t\n", bytes(range(256)), b"\xff" * 100_000)]),
}

#: What roles and databases may say otherwise; the second value is of the database, whose role says the first in half of the runs.
SETTINGS: list[dict[str, str]] = [
    {},
    {
        "TimeZone": "Asia/Kolkata",
        "DateStyle": "SQL, DMY",
        "IntervalStyle": "sql_standard",
        "extra_float_digits": "-15",
        "bytea_output": "escape",
        "standard_conforming_strings": "off",
        "backslash_quote": "on",
        "array_nulls": "off",
    },
    {
        "TimeZone": "America/St_Johns",
        "DateStyle": "German, YMD",
        "IntervalStyle": "iso_8601",
        "extra_float_digits": "3",
        "bytea_output": "hex",
        "xmlbinary": "hex",
    },
]


@dataclass
class Settings:
    """Changes the defaults of the databases, or of a role, and connects anew."""

    database: Database
    origin: Database
    opened: list[Any] = field(default_factory=list)

    def lane(self, path: str, settings: dict[str, str], *, of_role: bool) -> Lane:
        for database in (self.database, self.origin):
            role = database.server.user
            for whom in (f"DATABASE {database.name}", f"ROLE {role} IN DATABASE {database.name}"):
                database(f"ALTER {whom} RESET ALL")
            whom = f"ROLE {role} IN DATABASE {database.name}" if of_role else f"DATABASE {database.name}"
            for name, value in settings.items():
                database(f"ALTER {whom} SET {name} = '{value}'")
        self.close()
        origin = self.database if path == "same_db" else self.origin
        self.opened = [_core.connect(one.dsn) for one in {self.database.name: self.database, origin.name: origin}.values()]
        return Lane(path, self.database, origin, self.opened[0], self.opened[-1])

    def close(self) -> None:
        while self.opened:
            self.opened.pop().close()


@pytest.fixture(scope="module")
def change_settings(databases: tuple[Database, Database]) -> Iterator[Callable[..., Lane]]:
    changed = Settings(*databases)
    yield changed.lane
    changed.close()
    for database in databases:
        database(f"ALTER ROLE {database.server.user} IN DATABASE {database.name} RESET ALL")


def case(declared: ColumnType, mode: str) -> Case:
    shape = Shape({"id": BigInt(), "value": declared}, primary=("id",), keys=("id",))
    model: Any = {"merge": Merge, "scd2": History}[mode]
    compared = {"merge": "update", "scd2": "compare"}[mode]
    return Case(
        mode, shape, {"mode": mode}, lambda: model(columns=("id", "value"), keys=("id",), primary=("id",), **{compared: ("value",)}), ()
    )


def rotated(values: Values, by: int) -> list[dict[str, Any]]:
    """Each value beside a key; NULL is one of them. Turned by one, each key gets the value of the next."""
    every = [*values, None]
    return [{"id": number, "value": every[(number + by) % len(every)]} for number in range(len(every))]


@pytest.mark.parametrize("path", ["same_db", "cross_db"])
@pytest.mark.parametrize("mode", ["merge", "scd2"])
@pytest.mark.parametrize("kind", LIMITS)
def test_values_are_exact_and_change_when_they_are_distinct(change_settings: Callable[..., Lane], kind: str, mode: str, path: str) -> None:
    declared, values = LIMITS[kind]
    subject = Subject(change_settings(path, SETTINGS[0], of_role=False), case(declared, mode))
    subject.load(rotated(values, 0))
    for number, settings in enumerate(SETTINGS[1:]):
        subject.lane = change_settings(path, settings, of_role=bool(number))
        before = subject.rows()
        again = subject.load(rotated(values, number))
        assert again is not None
        assert (again["rows_inserted"], again.get("rows_updated", 0), subject.rows()) == (0, 0, before)
        assert subject.load(rotated(values, number + 1))


@pytest.mark.parametrize("path", ["same_db", "cross_db"])
@pytest.mark.parametrize("kind", ["timestamp_tz", "timestamp", "date", "double", "numeric", "money_like", "text", "big_int"])
def test_watermarks_are_exact_under_all_settings(change_settings: Callable[..., Lane], kind: str, path: str) -> None:
    declared, values = LIMITS[kind]
    shape = Shape({"id": BigInt(), "value": declared}, primary=("id",), keys=("id",))
    subject = Subject(
        change_settings(path, {}, of_role=False),
        Case(kind, shape, {"mode": "append", "incremental_column": "value"}, lambda: cast("Any", None), ()),
    )
    rows = rotated([value for value in values if len(str(value)) < 100], 0)
    expected = subject.sync(shape.query(rows))["watermark"]["stored"]
    for number, settings in enumerate(SETTINGS):
        subject.lane = change_settings(path, settings, of_role=bool(number % 2))
        again = subject.sync(shape.query([{**row, "id": row["id"] + 1000} for row in rows]))
        assert (again["rows_inserted"], again["watermark"]["stored"]) == (0, expected)


@pytest.mark.parametrize("path", ["same_db", "cross_db"])
def test_a_history_that_starts_before_christ(change_settings: Callable[..., Lane], path: str) -> None:
    shape = Shape({"id": BigInt(), "value": Text()}, primary=("id",), keys=("id",), extra={"e": "timestamptz"})
    arguments = {"mode": "scd2", "event_timestamp_column": "e"}
    subject = Subject(change_settings(path, {}, of_role=False), Case("bc", shape, arguments, lambda: cast("Any", None), ()))
    for number, at in enumerate(["4713-01-01 00:00:00+00 BC", "0044-03-15 12:00:00+00 BC", "2020-01-01 00:00:00+00"]):
        subject.lane = change_settings(path, SETTINGS[number], of_role=False)
        for inserted in (1, 0):
            result = subject.sync(shape.query([{"id": 1, "value": str(number), "e": shown(at)[0]}]))
            assert result["rows_inserted"] == inserted
    found = subject.lane.database(f"SELECT value, valid_from::text, valid_to::text FROM {subject.name} AS s ORDER BY s.valid_from")
    assert found == [
        ("0", "4713-01-01 00:00:00+00 BC", "0044-03-15 12:00:00+00 BC"),
        ("1", "0044-03-15 12:00:00+00 BC", "2020-01-01 00:00:00+00"),
        ("2", "2020-01-01 00:00:00+00", None),
    ]
