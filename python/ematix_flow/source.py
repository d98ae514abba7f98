"""``Source``: where the rows of a load come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ematix_flow.identifiers import listed, qualified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ematix_flow.connection import Connection

__all__ = ["Source"]


@dataclass(frozen=True)
class Source:
    """A query and the connection it runs on.

    Making one opens and uses no connection.
    """

    connection: Connection
    query: str

    @classmethod
    def postgres_query(cls, connection: Connection, query: str) -> Source:
        """A source that runs ``query`` as it is given.

        Raises:
            TypeError: ``query`` is no str.
        """
        if not isinstance(query, str):
            raise TypeError(f"query is a SQL text (str), not {type(query).__name__}.")
        return cls(connection, query)

    @classmethod
    def postgres_table(cls, connection: Connection, schema: str, table: str, columns: Iterable[str] | None = None) -> Source:
        """A source that reads a table.

        Args:
            connection: the connection the table is read on.
            schema: the schema of the table.
            table: the name of the table or view.
            columns: the columns to read, in this order; ``None`` means all.

        >>> connection = None  # any object: nothing is opened
        >>> Source.postgres_table(connection, "public", "users", ["id", "Order Date"]).query
        'SELECT id, "Order Date" FROM public.users'

        Raises:
            TypeError: ``columns`` is one text instead of several.
            ValueError: a name that PostgreSQL cannot hold, or no column at all.
        """
        if isinstance(columns, str):
            raise TypeError(f"columns is a sequence of column names, not the text {columns!r}. Write [{columns!r}].")
        selected = "*" if columns is None else listed(columns)
        if not selected:
            raise ValueError(f"The source {schema}.{table} selects no column. Name at least one in columns=, or leave it out to read all.")
        return cls(connection, f"SELECT {selected} FROM {qualified(schema, table)}")
