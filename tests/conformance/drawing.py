"""Random tables, options and sources, for Hypothesis: few keys and few values, so that most loads meet what is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from ematix_flow.strategy import SCD2, MergeUpsert, TruncateReplace
from ematix_flow.types import (
    JSON,
    JSONB,
    BigInt,
    Boolean,
    Bytes,
    ColumnType,
    Date,
    Double,
    Numeric,
    SmallInt,
    String,
    Text,
    Timestamp,
    TimestampTZ,
)
from tests.conformance.cases import TTL, Case, day
from tests.conformance.shapes import Rows, Shape
from tests.oracle.history import History
from tests.oracle.model import Model
from tests.oracle.rows import Append, Truncate
from tests.oracle.upsert import Merge
from tests.oracle.values import before_christ, floating, infinity, instant, json_text, jsonb, numeric, octets, whole_day
from tests.oracle.watermark import Watermark

# Text that has bitten somebody: separators and markers of the hash, quotes, what drivers and COPY take for syntax.
TEXTS = [
    "",
    "a",
    "A",
    "\\x01",
    "\\x00NULL\\x00",
    "a\\",
    "\\N",
    "\\.",
    "it's",
    "$1",
    "%s",
    ":x",
    "\t\n\r",
    "é",
    "e\u0301",
    "🛫",
    " a ",
    "NULL",
    "\ufeff",
    "\x01",
]
texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=4)
few_days = st.sampled_from([0, 1, 2, 9, 10.5, 11, 12]).map(day)
naive_days = few_days.map(lambda at: at.replace(tzinfo=None))
JSONB_VALUES = [
    jsonb('{"b": 1, "a": [null]}', '{"a": [null], "b": 1}', "one"),
    jsonb('{"a":[null],"b":1}', '{"a": [null], "b": 1}', "one"),
    jsonb("1.0", "1.0", 1),
    jsonb("1", "1", 1),
    jsonb('"1"', '"1"', "text"),
    jsonb("null", "null", "null"),
    jsonb("{}", "{}", "empty"),
]

#: What a column may hold: how it is declared, and its values but for NULL.
KINDS: dict[str, tuple[ColumnType, st.SearchStrategy[Any]]] = {
    "text": (Text(), texts),
    "varchar": (String(5), texts.filter(lambda drawn: len(drawn) <= 5)),
    "numeric": (
        Numeric(8, 2),
        st.integers(-3, 3).map(lambda n: numeric(Decimal(n).scaleb(-2), 2)) | st.sampled_from([numeric("NaN", 2), numeric("999999.99", 2)]),
    ),
    "boolean": (Boolean(), st.booleans()),
    "smallint": (SmallInt(), st.sampled_from([-32768, -1, 0, 1, 32767])),
    "double": (
        Double(),
        st.sampled_from(["0", "-0", "NaN", "Infinity", "-Infinity", "0.1", "0.30000000000000004", "1e+300", "5e-324"]).map(floating),
    ),
    "date": (Date(), st.sampled_from([infinity(1), infinity(-1), before_christ("0044-03-15 BC")]) | few_days.map(whole_day)),
    "timestamp": (Timestamp(), st.sampled_from([infinity(1), infinity(-1)]) | naive_days.map(instant)),
    "timestamptz": (TimestampTZ(), st.sampled_from([infinity(1), before_christ("0044-03-15 12:00:00+00 BC")]) | few_days.map(instant)),
    "json": (JSON(), st.sampled_from(['{"a": 1}', '{"a":1}', '{"a": 1, "a": 2}', "null", '"\\\\"']).map(json_text)),
    "jsonb": (JSONB(), st.sampled_from(JSONB_VALUES)),
    "bytea": (Bytes(), st.sampled_from([b"", b"\0", b"\\", b"\xff'", b"\\x00"]).map(octets)),
}
MARK_DAYS: tuple[ColumnType, st.SearchStrategy[Any]] = (Date(), st.sampled_from([infinity(1), infinity(-1)]) | few_days.map(whole_day))
#: Columns of keys: what tells two of them apart is what the server calls equal, so no two values of one kind are equal and shown differently.
KEY_KINDS: dict[str, tuple[ColumnType, st.SearchStrategy[Any]]] = {
    "bigint": (BigInt(), st.sampled_from([1, 2, -(2**63)])),
    "text": (Text(), st.sampled_from(["", "x", "X", "\\", "NULL", "é", "e\u0301"])),
    "numeric": (Numeric(6, 2), st.sampled_from(["1", "1.5", "-0.01"]).map(lambda drawn: numeric(drawn, 2))),
    "timestamptz": (TimestampTZ(), st.sampled_from([infinity(1), instant(day(0)), instant(day(0.5))])),
    "date": (Date(), st.sampled_from([infinity(-1), whole_day(day(0)), whole_day(day(59))])),
    "bytea": (Bytes(), st.sampled_from([b"", b"\0", b"\\"]).map(octets)),
    "boolean": (Boolean(), st.booleans()),
}


@dataclass(frozen=True)
class Drawn:
    """A table: its shape, and how rows of it are drawn."""

    shape: Shape
    rows: st.SearchStrategy[dict[str, Any]]


@st.composite
def tables(draw: st.DrawFn, *, marks: bool = False) -> Drawn:
    """Keys of one to three columns, by primary key or by a unique constraint that may hold NULL; one to four other columns.

    ``marks``: one more column that grows, for watermarks.
    """
    kinds = draw(st.lists(st.sampled_from(sorted(KEY_KINDS)), min_size=1, max_size=3))
    nullable = draw(st.booleans())
    keys = {f"k{n}": KEY_KINDS[kind] for n, kind in enumerate(kinds)}
    others = {f"c{n}": KINDS[kind] for n, kind in enumerate(draw(st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4)))}
    if marks:
        others["mark"] = draw(
            st.sampled_from([(TimestampTZ(), few_days.map(instant)), (BigInt(), st.integers(1, 9)), MARK_DAYS, KINDS["numeric"]])
        )
    columns = {**({"surrogate": BigInt()} if nullable else {}), **{name: kind for name, (kind, _) in {**keys, **others}.items()}}
    drawn = {name: (values | st.none() if nullable else values) for name, (_, values) in keys.items()}
    drawn |= {name: st.none() | values for name, (_, values) in others.items()}
    drawn["e"] = st.sampled_from([1, 2, 3, 9, 10.5, 12, 40_000]).map(lambda number: instant(day(number)))
    shape = Shape(
        columns, ("surrogate",) if nullable else tuple(keys), tuple(keys), (tuple(keys),) if nullable else (), extra={"e": "timestamptz"}
    )
    return Drawn(shape, st.fixed_dictionaries(drawn).map(numbered(tuple(keys)) if nullable else dict))


def numbered(keys: tuple[str, ...]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A surrogate key that belongs to the key, as a sequence in the source would have given it."""
    given: dict[tuple[Any, ...], int] = {}

    def number(row: dict[str, Any]) -> dict[str, Any]:
        key = tuple(row[name] for name in keys)
        return {**row, "surrogate": given.setdefault(key, len(given) + 1)}

    return number


@st.composite
def sources(draw: st.DrawFn, drawn: Drawn, keys: tuple[str, ...], *, repeats: bool) -> list[Rows]:
    """Loads one after the other. Each is the one before with edits, or a new one; keys are seldom repeated unless ``repeats``."""
    found: list[Rows] = []
    for _ in range(draw(st.integers(1, 5))):
        new = draw(st.lists(drawn.rows, max_size=6))
        kept = [row for row in found[-1] if draw(st.booleans())] if found else []
        rows = [*new, *kept]
        if not repeats and draw(st.integers(0, 9)):
            rows = list({tuple(row[key] for key in keys): row for row in rows}.values())
        found.append(draw(st.permutations(rows)))
    return found


@st.composite
def cases(draw: st.DrawFn, family: str) -> Case:
    """A strategy of the family with some of its options, and what is loaded."""
    mark = family != "truncate" and draw(st.integers(0, 3)) == 0
    drawn = draw(tables(marks=mark))
    shape = drawn.shape
    arguments, options = draw({"append": append, "truncate": truncate, "merge": merge, "scd2": scd2}[family](shape, mark))
    if mark:
        arguments["incremental_column"] = "mark"
        lag = draw(lags(shape.columns["mark"])) if family != "append" else None
        arguments |= {} if lag is None else {"lag": lag}
        arguments["watermark_cap"] = False
    else:
        lag = None
    if family in ("merge", "scd2"):
        arguments["keys"], options["keys"] = shape.keys, shape.keys
    model = {"append": Append, "truncate": Truncate, "merge": Merge, "scd2": History}[family]
    unique = {"unique": shape.unique} if family in ("append", "truncate") else {}

    def make() -> Model:
        watermark = Watermark("mark", strict=family == "append", lag=lag) if mark else None
        own: Model = model(columns=tuple(shape.columns), primary=shape.primary, watermark=watermark, **unique, **options)
        return own

    return Case(family, shape, arguments, make, tuple(draw(sources(drawn, shape.keys, repeats=bool(options.get("event"))))))


def lags(declared: ColumnType) -> st.SearchStrategy[Any]:
    if declared.to_spec()["kind"] in ("big_int", "numeric"):
        return st.sampled_from([None, 0, 2, Decimal("0.01") if declared.to_spec()["kind"] == "numeric" else 1])
    return st.sampled_from([None, timedelta(0), timedelta(days=1), timedelta(hours=36)])


Chosen = st.SearchStrategy[tuple[dict[str, Any], dict[str, Any]]]


def append(_shape: Shape, _mark: bool) -> Chosen:
    return st.builds(lambda: ({"mode": "append"}, {}))


def truncate(_shape: Shape, _mark: bool) -> Chosen:
    chosen = st.sampled_from(["truncate", "delete", "diff"])
    return chosen.map(lambda replace: ({"strategy": TruncateReplace(replace=replace)}, {"replace": replace}))


@st.composite
def merge(draw: st.DrawFn, shape: Shape, mark: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    others = [name for name in shape.columns if name not in shape.keys]
    update = draw(st.none() | st.lists(st.sampled_from(others), unique=True).map(tuple))
    deletes = None if mark else draw(st.sampled_from([None, "hard", "soft"]))
    limit = draw(st.sampled_from([None, 0.0, 0.5, 1.0])) if deletes else None
    named = draw(st.sampled_from([None, "Is gone"])) if deletes == "soft" else None
    fields = {"update_columns": update, "handle_deletes": deletes, "deleted_column": named}
    arguments = {"strategy": MergeUpsert(**{name: value for name, value in fields.items() if value is not None})}
    options = {"update": others if update is None else update, "deletes": deletes, "limit": limit, "mark": named or "is_deleted"}
    return {**arguments, **({} if limit is None else {"max_delete_fraction": limit})}, options


@st.composite
def scd2(draw: st.DrawFn, shape: Shape, mark: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    others = [name for name in shape.columns if name not in shape.keys]
    compare = draw(st.none() | st.lists(st.sampled_from(others), unique=True, min_size=1).map(tuple))
    event = draw(st.sampled_from([None, "e", "e", "e"]))
    soft = not mark and draw(st.booleans())
    # Without event time versions are as young as the test: a limit of a microsecond expires all that an earlier load left.
    ttl = draw(st.sampled_from([None, None, TTL if event else timedelta(microseconds=1)]))
    limit = draw(st.sampled_from([None, None, 0.5])) if soft else None
    fields: dict[str, Any] = {
        "compare_columns": compare,
        "event_timestamp_column": event,
        "ttl": ttl,
        "handle_deletes": "soft" if soft else None,
    }
    if event:
        fields |= {"versions": draw(st.sampled_from(["latest", "all"])), "late": draw(st.sampled_from(["error", "splice", "ignore"]))}
    names = draw(st.sampled_from([None, {"valid_to": "Until", "row_hash": "hash"}]))
    fields |= {"scd2_columns": names, "closures": draw(st.booleans()) or None, "guards": draw(st.sampled_from([None, "off"]))}
    arguments: dict[str, Any] = {"strategy": SCD2(**{name: value for name, value in fields.items() if value is not None})}
    options = {
        "compare": others if compare is None else compare,
        "event": event,
        "soft": soft,
        "ttl": ttl,
        "limit": limit,
        "names": names or {},
        **{name: fields[name] for name in ("versions", "late") if name in fields},
    }
    return {**arguments, **({} if limit is None else {"max_delete_fraction": limit})}, options
