"""The tables that are loaded: how they are declared, and how their rows are written as a query."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ematix_flow.table import ManagedTable
from ematix_flow.types import BigInt, Boolean, Column, ColumnType, Numeric, Text, TimestampTZ
from tests.oracle.values import literal

Row = Mapping[str, Any]
Rows = Sequence[Row]

#: How SQL spells the declared types; those with parameters say it themselves.
SPELLED = {
    "small_int": "smallint",
    "integer": "integer",
    "big_int": "bigint",
    "float": "real",
    "double": "double precision",
    "timestamp_tz": "timestamptz",
    "bytes": "bytea",
}

_numbers = itertools.count(1)


def spelled(declared: ColumnType) -> str:
    spec = declared.to_spec()
    if spec["kind"] == "numeric":
        return f"numeric({spec['precision']},{spec['scale']})"
    return f"varchar({spec['length']})" if spec["kind"] == "string" else SPELLED.get(spec["kind"], spec["kind"])


@dataclass(frozen=True)
class Shape:
    """A table. ``extra`` are columns that the source has and the table does not."""

    columns: Mapping[str, ColumnType]
    primary: tuple[str, ...]
    keys: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...] = ()
    required: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    def declared(self) -> type[ManagedTable]:
        """A table class of its own for each test."""
        columns = {
            name: Column(kind, primary_key=name in self.primary, nullable=name not in (*self.primary, *self.required))
            for name, kind in self.columns.items()
        }
        names = {"__schema__": "conformance", "__tablename__": f"subject_{next(_numbers)}", "__unique_constraints__": self.unique}
        return type("Subject", (ManagedTable,), {**names, **columns})

    def query(self, rows: Rows) -> str:
        """The rows in this order."""
        types = {name: spelled(kind) for name, kind in self.columns.items()} | dict(self.extra)
        names = ", ".join(types)
        if not rows:
            return f"SELECT {', '.join(f'NULL::{kind} AS {name}' for name, kind in types.items())} WHERE false"
        lines = ",\n".join("(" + ", ".join(quoted(row[name], kind) for name, kind in types.items()) + ")" for row in rows)
        return f"SELECT {names} FROM (VALUES {lines}) AS source ({names})"

    def failing_query(self, rows: Rows) -> str:
        """The same rows, and then an error: by the time it comes they have been sent."""
        names = ", ".join([*self.columns, *self.extra])
        source = self.query(rows)
        # Materialised, so that no condition of the load keeps the server from coming to the error.
        again = f"SELECT {names} FROM ({source}) AS again, generate_series(1, 3000) AS n WHERE 1 / (3000 - n) < 0"
        return f"WITH failing AS MATERIALIZED ({source}\nUNION ALL {again}) SELECT {names} FROM failing"


def quoted(value: Any, kind: str) -> str:
    """A value in SQL that means the same whatever ``standard_conforming_strings`` says."""
    if value is None:
        return f"NULL::{kind}"
    return "E'" + literal(value).replace("\\", "\\\\").replace("'", "''") + f"'::{kind}"


VALUES: dict[str, ColumnType] = {"name": Text(), "amount": Numeric(8, 2), "open": Boolean(), "at": TimestampTZ()}
EVENT = {"e": "timestamptz"}

SINGLE = Shape({"id": BigInt(), "region": Text(), **VALUES}, primary=("id",), keys=("id",), extra=EVENT)
COMPOUND = Shape({"id": BigInt(), "region": Text(), **VALUES}, primary=("region", "id"), keys=("id", "region"), extra=EVENT)
#: The key is a unique constraint whose columns may be NULL; the primary key is a number that belongs to the key.
NULLABLE = Shape(
    {"sid": BigInt(), "id": BigInt(), "region": Text(), **VALUES},
    primary=("sid",),
    keys=("id", "region"),
    unique=(("id", "region"),),
    extra=EVENT,
)
