"""What ``Connection.read_arrow`` returns: the rows of a query as an Arrow stream."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from . import _bridge
from .errors import DataError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["ArrowStream"]


class ArrowStream:
    """The rows of a query, batch by batch, for one consumer.

    Anything that takes an Arrow stream reads it: ``pyarrow.table(stream)``, ``polars.DataFrame(stream)``, ``duckdb.sql("FROM stream")``. The query runs
    while the stream is read, in bounded memory, on a connection of its own. Closing the stream, or letting go of it, ends the query. It does not need
    the object that it came from.

    A stream can be read once. `to_dicts` and iteration give plain Python values without any library; that is for looking at a few rows, a thousand times
    slower than a consumer of Arrow.

    Not for several threads at once, and not for a forked child.
    """

    def __init__(self, capsule: object) -> None:
        self._capsule: object | None = capsule
        self._columns: list[tuple[str, str]] | None = None

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The stream as a capsule, which owns it from then on. A requested schema is not followed, as the protocol allows."""
        capsule = self._open()
        self._capsule = None
        return capsule

    @property
    def schema(self) -> dict[str, str]:
        """The Arrow type of each column, such as ``{"id": "int64", "price": "decimal128(10, 2)"}``.

        Raises:
            ValueError: two columns have the same name, or the stream is closed and nobody asked before.
        """
        return dict(zip(self._names(), (_type_name(format) for _, format in self._described()), strict=True))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows as dictionaries, block by block.

        Raises:
            EmatixError: what the server or a value refused, in the middle of the rows as well.
        """
        names = self._names()
        columns = self._described()
        while (block := self._next()) is not None:
            with block:
                decoded = [_decode(name, format, array) for (name, format), array in zip(columns, block.columns, strict=True)]
                length = block.length
            if not decoded:
                yield from ({} for _ in range(length))
            for row in zip(*decoded, strict=True):
                yield dict(zip(names, row, strict=True))
        self.close()

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows that are left, as dictionaries of plain Python values."""
        return list(self)

    def close(self) -> None:
        """Let go of the stream; a query that still runs is cancelled. Closing again does nothing."""
        self._capsule = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self._capsule = None

    def __repr__(self) -> str:
        return f"<ArrowStream {'closed' if self._capsule is None else 'open'}>"

    def _open(self) -> object:
        if self._capsule is None:
            raise ValueError("This Arrow stream has been read or closed already: a stream can be read once. Run the query again.")
        return self._capsule

    def _described(self) -> list[tuple[str, str]]:
        if self._columns is None:
            from . import _arrow_c

            self._columns = _arrow_c.columns(self._open())
        return self._columns

    def _names(self) -> list[str]:
        names = [name for name, _ in self._described()]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"Two columns have the name {name!r}. Give one of them another name in the query (AS).")
        return names

    def _next(self) -> Any:
        from . import _arrow_c

        try:
            _bridge.await_stream(self._open())
            block = _arrow_c.next_block(self._open())
        except _arrow_c.StreamFailed as failed:
            error = _bridge.stream_error(self._open()) or DataError(str(failed))
            self.close()
            raise error from None
        except BaseException:
            self.close()
            raise
        return block


_TYPE_NAMES = {
    "b": "bool",
    "s": "int16",
    "i": "int32",
    "l": "int64",
    "f": "float32",
    "g": "float64",
    "u": "utf8",
    "z": "binary",
    "tdD": "date32",
    "ttu": "time64(us)",
    "tsu:": "timestamp(us)",
    "tsu:UTC": "timestamp(us, UTC)",
}


def _type_name(format: str) -> str:
    if format.startswith("d:"):
        return "decimal128({})".format(format[2:].replace(",", ", "))
    return _TYPE_NAMES.get(format, format)


_EPOCH = datetime(1970, 1, 1)


def _time(microseconds: int) -> time:
    return (_EPOCH + timedelta(microseconds=microseconds)).time()


# What becomes of the machine's value, by format; the others are what Python has.
_CONVERT: dict[str, Callable[[int], Any]] = {
    "tdD": lambda days: date.fromordinal(days + _EPOCH.toordinal()),
    "ttu": _time,
    "tsu:": lambda us: _EPOCH + timedelta(microseconds=us),
    "tsu:UTC": lambda us: (_EPOCH + timedelta(microseconds=us)).replace(tzinfo=UTC),
}
_STRUCT = {"s": "h", "i": "i", "l": "q", "f": "f", "g": "d", "tdD": "i", "ttu": "q", "tsu:": "q", "tsu:UTC": "q"}


def _decode(name: str, format: str, array: Any) -> list[Any]:
    """The values of a column of a block."""
    length: int = array.length
    values: Sequence[Any]
    if format == "b":
        bits = array.buffer(1, (length + 7) // 8)
        values = [bool(bits[i >> 3] >> (i & 7) & 1) for i in range(length)]
    elif format in ("u", "z"):
        ends = struct.unpack(f"={length + 1}i", array.buffer(1, 4 * (length + 1)))
        data = array.buffer(2, ends[-1])
        values = [data[start:end] for start, end in itertools.pairwise(ends)]
        if format == "u":
            values = [value.decode() for value in values]
    elif format.startswith("d:"):
        scale = format.rpartition(",")[2]
        data = array.buffer(1, 16 * length)
        # By the constructor, which is exact: methods of Decimal round to the context's precision.
        values = [Decimal(f"{int.from_bytes(data[i : i + 16], 'little', signed=True)}E-{scale}") for i in range(0, 16 * length, 16)]
    else:
        code = _STRUCT[format]
        values = struct.unpack(f"={length}{code}", array.buffer(1, struct.calcsize("=" + code) * length))
        if format in _CONVERT:
            values = _converted(name, values, _CONVERT[format])
    if array.null_count:
        valid = array.buffer(0, (length + 7) // 8)
        return [value if valid[i >> 3] >> (i & 7) & 1 else None for i, value in enumerate(values)]
    return list(values)


def _converted(name: str, values: Sequence[int], convert: Callable[[int], Any]) -> list[Any]:
    try:
        return [convert(value) for value in values]
    except (OverflowError, ValueError):
        raise DataError(
            f"Column {name} holds a date or time before the year 1 or after 9999, which Python does not have.",
            hint=f"Read it with pyarrow or polars, or cast it in the query: {name}::text.",
        ) from None
