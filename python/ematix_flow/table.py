"""``ManagedTable``: a table of PostgreSQL, declared as a class."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

from ematix_flow.types import Column

if TYPE_CHECKING:
    from datetime import timedelta

    from ematix_flow.connection import Connection

__all__ = ["Column", "ManagedTable"]


class ManagedTable:
    """The base of hand-written table classes; ``@ematix.table`` makes the same kind of class from annotations.

    ``__schema__`` and ``__tablename__`` are required and may be inherited. The columns are the ``Column`` attributes of the class body in
    the order written; those of a base class are not part of a subclass. ``__unique_constraints__`` is a tuple of tuples of column names,
    ``__merge_keys__`` the class's own default keys of merge and scd2 loads. A class body with ``__abstract__ = True`` is not checked.

    >>> from ematix_flow.types import BigInt, Column, Text
    >>> class Customers(ManagedTable):
    ...     __schema__ = "warehouse"
    ...     __tablename__ = "customers"
    ...     id = Column(BigInt, nullable=False, primary_key=True)
    ...     name = Column(Text)
    >>> [name for name, column in Customers._columns()]
    ['id', 'name']

    Raises:
        TypeError: when the class is made: ``__schema__``, ``__tablename__`` or every ``Column`` is missing, or one of them is no text.
    """

    __schema__: ClassVar[str]
    __tablename__: ClassVar[str]
    __columns__: ClassVar[tuple[tuple[str, Column], ...]] = ()
    __unique_constraints__: ClassVar[tuple[tuple[str, ...], ...]] = ()
    __merge_keys__: ClassVar[tuple[str, ...] | None] = None
    __mode__: ClassVar[str | None] = None
    __event_timestamp_column__: ClassVar[str | None] = None
    __ttl__: ClassVar[timedelta | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        columns = []
        for attribute, value in list(vars(cls).items()):
            if isinstance(value, Column):
                # A copy: one Column object may stand in several classes, under several names.
                column = replace(value, name=value.name or attribute)
                setattr(cls, attribute, column)
                columns.append((column.name, column))
        cls.__columns__ = tuple(columns)
        if not vars(cls).get("__abstract__", False):
            _check_declaration(cls)

    @classmethod
    def _columns(cls) -> tuple[tuple[str, Column], ...]:
        """Names and columns in the order of declaration."""
        return cls.__columns__

    @classmethod
    def _primary_keys(cls) -> list[str]:
        """The names of the primary-key columns in the order of declaration."""
        return [name for name, column in cls.__columns__ if column.primary_key]

    @classmethod
    def _unique_constraints(cls) -> list[list[str]]:
        """The columns of each declared UNIQUE constraint."""
        return [list(columns) for columns in cls.__unique_constraints__]

    @classmethod
    def _to_spec(cls) -> dict[str, Any]:
        """The table as the engine reads it, as it was declared."""
        return {
            "schema": cls.__schema__,
            "name": cls.__tablename__,
            "columns": [column.to_spec() for _, column in cls.__columns__],
            "unique_constraints": cls._unique_constraints(),
        }

    @classmethod
    def _to_normalized_spec(cls) -> dict[str, Any]:
        """The table after the engine has cleaned and checked it, with its fingerprint.

        Raises:
            ValueError: no primary key, a name PostgreSQL cannot hold, a constraint on a column that is not declared; the message names it.
        """
        from ematix_flow import _core

        normalized: dict[str, Any] = json.loads(_core.parse_table_spec(json.dumps(cls._to_spec())))
        return normalized

    @classmethod
    def ensure(cls, conn: Connection, on_drift: str = "error") -> dict[str, Any]:
        """Create the table with its declared columns, or compare the one that is there.

        The metadata columns that a load adds (``_loaded_at``, ``valid_from``, ...) are not among them: a table that is to be loaded is
        made by its first load.

        Args:
            on_drift: what happens when they differ. ``error`` raises, ``warn`` only tells. ``evolve`` adds new nullable columns and widens types where
                PostgreSQL does so without writing the rows anew (longer ``VARCHAR``, ``TEXT``, more digits of ``NUMERIC``); where that is not all, it does
                nothing and raises.

        Returns:
            ``{"action": "created" | "matched" | "drift" | "evolved", "differences": [str]}``; of ``evolved`` those that there were.

        Raises:
            ValueError: the table differs, and ``on_drift`` is ``"error"``, or ``"evolve"`` and cannot remove every difference; the message lists them all.
        """
        return conn.ensure_table(json.dumps(cls._to_spec()), on_drift)


def _check_declaration(cls: type[ManagedTable]) -> None:
    for attribute, meaning in (("__schema__", "schema"), ("__tablename__", "table name")):
        value = getattr(cls, attribute, None)
        if value is None:
            raise TypeError(f'The table class {cls.__name__} lacks {attribute}, the {meaning}. Write {attribute} = "..." in its body.')
        if not isinstance(value, str):
            raise TypeError(f"{attribute} of the table class {cls.__name__} is a str, not {type(value).__name__}.")
    if not cls.__columns__:
        parents = [base.__name__ for base in cls.__mro__[1:] if getattr(base, "__columns__", ())]
        if parents and "__annotations__" in vars(cls):
            raise TypeError(
                f"The class {cls.__name__} derives from the table class {parents[0]}, whose columns it does not get. "
                "Under @ematix.table write a plain class with all its columns."
            )
        raise TypeError(
            f"The table class {cls.__name__} has no Column of its own. Declare at least one: id = Column(BigInt, primary_key=True)."
        )
    cls.__unique_constraints__ = tuple(
        column_names(f"a member of __unique_constraints__ of the table class {cls.__name__}", member)
        for member in cls.__unique_constraints__
    )
    if cls.__merge_keys__ is not None:
        cls.__merge_keys__ = column_names(f"__merge_keys__ of the table class {cls.__name__}", cls.__merge_keys__)


def column_names(what: str, value: Any) -> tuple[str, ...]:
    """Any sequence of column names as a tuple.

    >>> column_names("keys", ["id", "region"])
    ('id', 'region')

    Raises:
        TypeError: for one text, which would be read letter by letter, and for members that are no text.
    """
    if isinstance(value, str):
        raise TypeError(f"{what} is a sequence of column names, not the text {value!r}. Write ({value!r},).")
    try:
        names: tuple[object, ...] = tuple(value)
    except TypeError:
        raise TypeError(f"{what} is a sequence of column names, not {type(value).__name__}.") from None
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{what} holds {name!r}, which is no column name.")
    return cast("tuple[str, ...]", names)
