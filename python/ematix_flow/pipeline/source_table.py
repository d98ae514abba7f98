"""``source_table=`` and ``column_map=``: the SELECT for who does not want to write one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ematix_flow.identifiers import qualified, quote

if TYPE_CHECKING:
    from ematix_flow.table import ManagedTable


def table_query(target: type[ManagedTable], source_table: tuple[str, str], column_map: Mapping[str, str]) -> str:
    """The SELECT of the declared columns from a source table; ``column_map`` has the source column of each target column that differs.

    >>> from ematix_flow.table import ManagedTable
    >>> from ematix_flow.types import BigInt, Column, Text
    >>> class Orders(ManagedTable):
    ...     __schema__, __tablename__ = "warehouse", "orders"
    ...     id = Column(BigInt, primary_key=True)
    ...     note = Column(Text)
    >>> table_query(Orders, ("shop", "orders"), {"note": "Order Note"})
    'SELECT id, "Order Note" AS note FROM shop.orders'
    """
    selected = []
    for name, _ in target._columns():
        source = column_map.get(name, name)
        selected.append(quote(name) if source == name else f"{quote(source)} AS {quote(name)}")
    return f"SELECT {', '.join(selected)} FROM {qualified(*source_table)}"


def source_table_parts(source_table: object) -> tuple[str, str] | None:
    """Schema and name of ``source_table="schema.table"``.

    >>> source_table_parts("shop.orders")
    ('shop', 'orders')

    Raises:
        ValueError: it is not exactly ``schema.table``.
        TypeError: it is no str.
    """
    if source_table is None:
        return None
    if not isinstance(source_table, str):
        raise TypeError(f"source_table is a str of the form schema.table, not {type(source_table).__name__}.")
    schema, dot, name = source_table.partition(".")
    if not (schema and dot and name) or "." in name:
        raise ValueError(f"source_table={source_table!r} is not of the form schema.table.")
    return schema, name


def checked_column_map(target: type[ManagedTable], column_map: object, source_table: object) -> Mapping[str, str]:
    """``column_map`` as a dict of target column to source column.

    Raises:
        ValueError: a key is no column of the target; there is no ``source_table`` that it could apply to.
        TypeError: it is no mapping of str to str.
    """
    if column_map is None:
        return {}
    if not isinstance(column_map, Mapping) or not all(isinstance(text, str) for pair in column_map.items() for text in pair):
        raise TypeError("column_map is a mapping of target column to source column, both str.")
    declared = [name for name, _ in target._columns()]
    for name in column_map:
        if name not in declared:
            raise ValueError(
                f"column_map names {name!r}, which is no column of {target.__schema__}.{target.__tablename__}: {', '.join(declared)}."
            )
    if source_table is None:
        raise ValueError("column_map needs source_table=: it says which column of that table each target column comes from.")
    return dict(column_map)
