# Longer than other files because the sixteen types stand together.
"""Column types, and ``Column``.

Every type is a class. An instance describes one type of PostgreSQL; ``to_spec()`` is how it travels to the engine.

>>> from ematix_flow.types import BigInt, Numeric, String
>>> BigInt(), String[64], Numeric[12, 2]
(BigInt(), String(64), Numeric(12, 2))
>>> Numeric[12, 2].to_spec()
{'kind': 'numeric', 'precision': 12, 'scale': 2}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, overload

__all__ = [
    "JSON",
    "JSONB",
    "UUID",
    "BigInt",
    "Boolean",
    "Bytes",
    "Column",
    "ColumnType",
    "Date",
    "Double",
    "Float",
    "Integer",
    "Numeric",
    "SmallInt",
    "String",
    "Text",
    "Timestamp",
    "TimestampTZ",
]


class ColumnType:
    """The base of all column types. Types are values: equal when class and arguments are equal, and they cannot be changed."""

    __slots__ = ()
    _kind: ClassVar[str] = ""

    if TYPE_CHECKING:  # what @ematix.table makes of an annotation: Customers.email is a Column. In a Column itself, `type` is the type.

        @overload
        def __get__(self, instance: Column, owner: type[Any], /) -> Self: ...
        @overload
        def __get__(self, instance: object, owner: type[Any], /) -> Column: ...
        def __get__(self, instance: object, owner: type[Any], /) -> Any: ...

    def to_spec(self) -> dict[str, Any]:
        """The type as the engine reads it, a new dict at each call.

        Raises:
            NotImplementedError: for the base class itself, which is no type.
        """
        if not self._kind:
            raise NotImplementedError(
                "ColumnType is the base of the column types and no type itself. Use one of its subclasses, such as BigInt()."
            )
        return {"kind": self._kind, **self._arguments()}

    def _arguments(self) -> dict[str, int]:
        """The arguments by name, in the order of the constructor."""
        return {}

    def __or__(self, other: object) -> Nullable:
        if other is None:
            return Nullable(self)
        raise TypeError(f"{self!r} | {other!r} is no column type: only `| None`, which makes a column nullable, can follow a type.")

    __ror__ = __or__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ColumnType):
            return NotImplemented
        return type(self) is type(other) and self._arguments() == other._arguments()

    def __hash__(self) -> int:
        return hash((type(self), *self._arguments().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self._arguments().values()))})"


class Nullable:
    """``type | None``: the wrapper that table declarations read as "this column may be NULL"."""

    __slots__ = ("inner",)

    def __init__(self, inner: ColumnType) -> None:
        self.inner = inner

    def __or__(self, other: object) -> Nullable:
        if other is None:
            return self
        raise TypeError(f"{self!r} | {other!r} is no column type: only `| None`, which makes a column nullable, can follow a type.")

    __ror__ = __or__

    def __eq__(self, other: object) -> bool:
        return self.inner == other.inner if isinstance(other, Nullable) else NotImplemented

    def __hash__(self) -> int:
        return hash((Nullable, self.inner))

    def __repr__(self) -> str:
        return f"{self.inner!r} | None"


class SmallInt(ColumnType):
    """``SMALLINT``: two bytes."""

    __slots__ = ()
    _kind = "small_int"


class Integer(ColumnType):
    """``INTEGER``: four bytes."""

    __slots__ = ()
    _kind = "integer"


class BigInt(ColumnType):
    """``BIGINT``: eight bytes."""

    __slots__ = ()
    _kind = "big_int"


class Float(ColumnType):
    """``REAL``: four bytes, about six decimal digits."""

    __slots__ = ()
    _kind = "float"


class Double(ColumnType):
    """``DOUBLE PRECISION``: eight bytes, about fifteen decimal digits."""

    __slots__ = ()
    _kind = "double"


class Numeric(ColumnType):
    """``NUMERIC(precision, scale)``: exact, ``precision`` digits in all, ``scale`` of them behind the point.

    >>> Numeric(12, 2) == Numeric[12, 2]
    True

    Raises:
        ValueError: unless ``precision > 0`` and ``0 <= scale <= precision``.
        TypeError: for arguments that are not two whole numbers.
    """

    __slots__ = ("_precision", "_scale")
    _kind = "numeric"

    def __init__(self, precision: int, scale: int) -> None:
        _whole_numbers("Numeric(precision, scale)", precision, scale)
        if precision <= 0:
            raise ValueError(f"Numeric({precision}, {scale}): the precision must be greater than 0.")
        if not 0 <= scale <= precision:
            raise ValueError(f"Numeric({precision}, {scale}): the scale must be between 0 and the precision.")
        self._precision, self._scale = precision, scale

    def __class_getitem__(cls, arguments: tuple[int, int]) -> Numeric:
        if not isinstance(arguments, tuple) or len(arguments) != 2:
            raise TypeError(f"Numeric[{_shown(arguments)}]: exactly two values are needed, precision and scale, as in Numeric[12, 2].")
        return cls(*arguments)

    @property
    def precision(self) -> int:
        """Digits in all."""
        return self._precision

    @property
    def scale(self) -> int:
        """Digits behind the point."""
        return self._scale

    def _arguments(self) -> dict[str, int]:
        return {"precision": self._precision, "scale": self._scale}


class Boolean(ColumnType):
    """``BOOLEAN``."""

    __slots__ = ()
    _kind = "boolean"


class Text(ColumnType):
    """``TEXT``: of any length."""

    __slots__ = ()
    _kind = "text"


class String(ColumnType):
    """``VARCHAR(length)``: at most ``length`` characters.

    >>> String(256) == String[256]
    True

    Raises:
        ValueError: unless ``length > 0``.
        TypeError: for an argument that is no whole number.
    """

    __slots__ = ("_length",)
    _kind = "string"

    def __init__(self, length: int) -> None:
        _whole_numbers("String(length)", length)
        if length <= 0:
            raise ValueError(f"String({length}): the length must be greater than 0.")
        self._length = length

    def __class_getitem__(cls, length: int) -> String:
        if isinstance(length, tuple):
            raise TypeError(f"String[{_shown(length)}]: exactly one value is needed, the length, as in String[64].")
        return cls(length)

    @property
    def length(self) -> int:
        """The greatest number of characters."""
        return self._length

    def _arguments(self) -> dict[str, int]:
        return {"length": self._length}


class Date(ColumnType):
    """``DATE``."""

    __slots__ = ()
    _kind = "date"


class Timestamp(ColumnType):
    """``TIMESTAMP`` without time zone: microseconds."""

    __slots__ = ()
    _kind = "timestamp"


class TimestampTZ(ColumnType):
    """``TIMESTAMPTZ``: an instant, microseconds."""

    __slots__ = ()
    _kind = "timestamp_tz"


class JSON(ColumnType):
    """``JSON``: the text as it was given; compared by its text."""

    __slots__ = ()
    _kind = "json"


class JSONB(ColumnType):
    """``JSONB``: parsed; compared by value."""

    __slots__ = ()
    _kind = "jsonb"


class UUID(ColumnType):
    """``UUID``."""

    __slots__ = ()
    _kind = "uuid"


class Bytes(ColumnType):
    """``BYTEA``."""

    __slots__ = ()
    _kind = "bytes"


def _whole_numbers(what: str, *values: object) -> None:
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{what} takes whole numbers, not {type(value).__name__}.")


def _shown(arguments: object) -> str:
    return ", ".join(map(repr, arguments)) if isinstance(arguments, tuple) else repr(arguments)


def column_type(declared: object) -> ColumnType:
    """The type that was declared: an instance as it is, a class without parameters as its instance.

    Raises:
        TypeError: for ``String`` and ``Numeric`` without their parameters, and for what is no column type.
    """
    if isinstance(declared, ColumnType):
        return declared
    if isinstance(declared, type) and issubclass(declared, ColumnType):
        if issubclass(declared, String):
            _lacks("String", "a length: String[64]")
        if issubclass(declared, Numeric):
            _lacks("Numeric", "precision and scale: Numeric[12, 2]")
        if declared is not ColumnType:
            return declared()
    raise TypeError(f"{_name(declared)} is no column type. Use one of ematix_flow.types, such as BigInt, Text or String[64].")


def _lacks(name: str, what: str) -> NoReturn:
    raise TypeError(f"{name} needs {what}.")


def _name(declared: object) -> str:
    return declared.__name__ if isinstance(declared, type) else repr(declared)


_TypeClass = type[ColumnType]  # inside Column the word ``type`` is a field


@dataclass(init=False)
class Column:
    """One column of a hand-written table class.

    Args:
        type: a column type, or the class of one without parameters.
        nullable: whether the column may hold NULL. A primary-key column never does, whatever this says.
        primary_key: whether the column belongs to the primary key.
        name: the name in PostgreSQL; when empty, the name of the attribute.
        normalizers: what cleans the incoming values, first one first; filled in by ``@ematix.table``.

    >>> Column(BigInt, nullable=False, primary_key=True, name="id").to_spec()
    {'name': 'id', 'type': {'kind': 'big_int'}, 'nullable': False, 'primary_key': True}

    Raises:
        TypeError: ``type`` is no column type.
    """

    type: ColumnType
    nullable: bool = True
    primary_key: bool = False
    name: str = ""
    normalizers: tuple[object, ...] = ()

    def __init__(
        self,
        type: ColumnType | _TypeClass,
        nullable: bool = True,
        primary_key: bool = False,
        name: str = "",
        normalizers: tuple[object, ...] = (),
    ) -> None:
        self.type = column_type(type)
        self.nullable = nullable
        self.primary_key = primary_key
        self.name = name
        self.normalizers = tuple(normalizers)

    def to_spec(self) -> dict[str, Any]:
        """The column as the engine reads it; normalizers are not part of the table."""
        return {"name": self.name, "type": self.type.to_spec(), "nullable": self.nullable, "primary_key": self.primary_key}
