"""Markers for columns of ``@ematix.table`` classes. They are always called.

>>> from typing import Annotated
>>> from ematix_flow import ematix, natural_key, nullable, pk
>>> from ematix_flow.types import BigInt, String
>>> @ematix.table(schema="warehouse")
... class Customers:
...     id: Annotated[BigInt, pk()]
...     email: Annotated[String[256], natural_key()]
...     nick: Annotated[String[64], nullable()]
>>> Customers._primary_keys(), Customers._unique_constraints()
(['id'], [['email']])
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["natural_key", "nullable", "pk"]


@dataclass(frozen=True, repr=False)
class _PkMarker:
    def __repr__(self) -> str:
        return "pk()"


@dataclass(frozen=True, repr=False)
class _NaturalKeyMarker:
    group: str = ""

    def __repr__(self) -> str:
        return f"natural_key({self.group!r})" if self.group else "natural_key()"


@dataclass(frozen=True, repr=False)
class _NullableMarker:
    def __repr__(self) -> str:
        return "nullable()"


def pk(**options: object) -> _PkMarker:
    """The column belongs to the primary key.

    Several such columns make a composite key in the order of declaration. Options such as ``autoincrement=True`` are accepted and
    ignored: the values come from the source.
    """
    return _PkMarker()


def natural_key(group: str = "") -> _NaturalKeyMarker:
    """The column is a member of a UNIQUE constraint; columns with the same ``group`` are in the same constraint.

    Raises:
        TypeError: ``group`` is no str.
    """
    if not isinstance(group, str):
        raise TypeError(f"natural_key(group) takes a str, not {type(group).__name__}.")
    return _NaturalKeyMarker(group)


def nullable() -> _NullableMarker:
    """The column may hold NULL: the same as ``type | None``."""
    return _NullableMarker()
