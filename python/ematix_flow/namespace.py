"""The namespace object ``ematix``: what is declared, is declared with its methods."""

from __future__ import annotations

import functools
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from decimal import Decimal

    from ematix_flow.pipeline.declared import DeclaredPipeline, Function
    from ematix_flow.pipeline.sync import Mode
    from ematix_flow.strategy import Strategy
    from ematix_flow.table import ManagedTable

__all__ = ["Target", "ematix"]

Table = TypeVar("Table")
Method = TypeVar("Method", bound="Callable[..., Any]")


@dataclass(frozen=True)
class Target:
    """One target of a pipeline with several: the class and how it is loaded. Made by ``ematix.target``."""

    target_class: type[ManagedTable]
    mode: str | None
    target_connection: str | None = None
    keys: Sequence[str] | None = None
    update_columns: Sequence[str] | None = None
    compare_columns: Sequence[str] | None = None
    event_timestamp_column: str | None = None
    handle_deletes: str | None = None
    column_map: Mapping[str, str] | None = None
    ttl: timedelta | None = None
    strategy: Strategy | None = None
    on_busy: str = "wait"
    lock_timeout: timedelta | float | None = None
    lag: timedelta | float | Decimal | None = None
    max_delete_fraction: float | None = None
    watermark_cap: bool | None = None
    progress: str = "none"


def _with_parentheses(required: str, remedy: str) -> Callable[[Method], Method]:
    """A method of ``ematix`` that decorates, and says how when it is used without parentheses or without the required argument."""

    def decorate(method: Method) -> Method:
        @functools.wraps(method)
        def checked(self: _Ematix, *decorated: object, **options: Any) -> Any:
            name = f"@ematix.{method.__name__}"
            if decorated:
                raise TypeError(f"{name} is written with parentheses and named arguments: {name}({required}=...). {remedy}")
            if required not in options:
                raise TypeError(f"{name} lacks {required}=. {remedy}")
            return method(self, **options)

        return cast("Method", checked)

    return decorate


class _Ematix:
    """The methods of ``ematix``. There is one object of this class."""

    @_with_parentheses("schema", "It is the name of the schema in PostgreSQL.")
    def table(
        self,
        *,
        schema: str,
        name: str | None = None,
        mode: Mode | None = None,
        event_timestamp_column: str | None = None,
        ttl: timedelta | None = None,
    ) -> Callable[[type[Table]], type[Table]]:
        """A class decorator: the annotations of the class become the columns of a table.

        The result is a subclass of ``ManagedTable``. For type checkers it stays the class as it is written, whose columns are ``Column``s.

        Args:
            schema: the schema in PostgreSQL.
            name: the name of the table; by default the name of the class in snake case.
            mode, event_timestamp_column, ttl: what ``@ematix.pipeline(target=...)`` uses where it is not told otherwise; the last two only
                when the mode is scd2. With an event time, of several source rows of one key only the one with the greatest is taken.

        An annotation is a column type, ``| None`` when the column may be NULL, and ``Annotated[type, marker, ...]`` with ``pk()``,
        ``natural_key()`` and ``nullable()``. ``Annotated[String, 64]`` is ``String[64]`` for mypy, which takes no numbers in brackets.

        >>> from typing import Annotated
        >>> from ematix_flow import ematix, pk
        >>> from ematix_flow.types import BigInt, String
        >>> @ematix.table(schema="warehouse")
        ... class CustomerDim:
        ...     customer_id: Annotated[BigInt, pk()]
        ...     email: String[256] | None
        >>> CustomerDim.__tablename__, CustomerDim.email.nullable
        ('customer_dim', True)

        Raises:
            TypeError: when the class is decorated: an annotation that is no column type, a marker that is none or is not called, a class
            that is a dataclass, an attrs class or a pydantic model.
        """
        for what, value in (("schema", schema), ("name", name)):
            if not isinstance(value, str) and not (what == "name" and value is None):
                raise TypeError(f"{what} of @ematix.table is a str, not {type(value).__name__}.")
        # String annotations may use names of the function around the class; a copy, so that no frame is kept.
        scope = dict(sys._getframe(2).f_locals)  # 1 is _with_parentheses

        def decorate(cls: type[Table]) -> type[Table]:
            from ematix_flow.declared_table import declare_table

            attributes: dict[str, Any] = {"__schema__": schema, "__tablename__": name or snake_case(cls.__name__)}
            defaults = {"__mode__": mode, "__event_timestamp_column__": event_timestamp_column, "__ttl__": ttl}
            attributes |= {key: value for key, value in defaults.items() if value is not None}
            return cast("type[Table]", declare_table(cls, attributes, scope))

        return decorate

    @_with_parentheses("schedule", "Give a cron text, or schedule=None: it runs when it is called.")
    def pipeline(
        self,
        *,
        target: type[Any] | None = None,
        targets: Sequence[Target] | None = None,
        schedule: str | None,
        mode: Mode | None = None,
        name: str | None = None,
        source_connection: str | None = None,
        target_connection: str | None = None,
        source_table: str | None = None,
        column_map: Mapping[str, str] | None = None,
        keys: Sequence[str] | None = None,
        update_columns: Sequence[str] | None = None,
        compare_columns: Sequence[str] | None = None,
        event_timestamp_column: str | None = None,
        handle_deletes: Literal["hard", "soft"] | None = None,
        incremental_column: str | None = None,
        on_drift: Literal["error", "warn", "evolve"] = "error",
        force_path: Literal["same_db", "cross_db"] | None = None,
        continue_on_failure: bool = False,
        transforms_pre: Sequence[object] | None = None,
        transforms_post: Sequence[object] | None = None,
        continue_on_failure_post: bool = False,
        ttl: timedelta | None = None,
        strategy: Strategy | None = None,
        on_busy: Literal["wait", "skip", "fail"] = "wait",
        lock_timeout: timedelta | float | None = None,
        lag: timedelta | float | Decimal | None = None,
        max_delete_fraction: float | None = None,
        watermark_cap: bool | None = None,
        progress: str = "none",
    ) -> Callable[[Function], DeclaredPipeline[Function]]:
        """A function decorator: the function returns the SQL of the source, and calling it without arguments loads the target.

        The function takes nothing (the rows come from ``source_table``), the connection its SQL runs on, or source and target connection.
        It returns SQL, a ``Source``, a dict (the result; nothing is loaded), or None with ``source_table``; an ``async def`` is awaited, also
        where an event loop runs already. Connections are opened when the pipeline runs and closed afterwards.

        Args:
            target: the table class. Or ``targets``: a list of ``ematix.target(...)``, which load one after another, each in a transaction of
                its own; the query runs once for each. Options that differ from table to table are given there, the others hold for all.
            continue_on_failure: with ``targets``: a target that fails does not keep those after it from being loaded.
            schedule: a cron text (see ``pipeline.is_due``), or ``None``: never due, runs when it is called or by ``flow run``. It has to be
                given. Nothing runs by itself: ``flow run-due``, called each minute, runs what is due.
            mode: ``append``, ``truncate``, ``merge``, ``scd1`` or ``scd2``; by default that of the class.
            name: the name in the registry and in run history; by default that of the function.
            source_connection: name of the connection the source SQL runs on; by default the target's, or ``default`` for a function that
                takes two connections.
            target_connection: name of the connection of the target; by default ``default``.
            source_table: ``schema.table`` to select the declared columns from when the function returns no SQL.
            column_map: target column to source column, for ``source_table``.
            transforms_pre, transforms_post, continue_on_failure_post: not implemented yet.

        The other arguments are those of ``ematix_flow.pipeline.sync``. With ``event_timestamp_column`` (scd2), of several source rows of
        one key only the one with the greatest event time is taken.

        >>> from typing import Annotated
        >>> from ematix_flow import ematix, pk
        >>> from ematix_flow.types import BigInt, Text
        >>> @ematix.table(schema="warehouse")
        ... class Notes:
        ...     id: Annotated[BigInt, pk()]
        ...     note: Text
        >>> @ematix.pipeline(target=Notes, mode="merge", schedule=None, name="notes")
        ... def load_notes(conn):
        ...     return "SELECT id, note FROM shop.notes"
        >>> load_notes
        <pipeline 'notes' into warehouse.notes>

        Raises:
            TypeError: no target, or both kinds; no mode; an option of a wrong type; a function with three or more parameters, or none and no
            ``source_table``, or one with a ``yield``.
            ValueError: ``source_table`` is not ``schema.table``; ``column_map`` names no column of the target; the name is registered.
            NotImplementedError: an option that this version does not have.
        """
        arguments = {name: value for name, value in locals().items() if name != "self"}
        from ematix_flow.pipeline.declared import pipeline_decorator

        return pipeline_decorator(**arguments)

    def target(
        self,
        target_class: type[Any],
        *,
        mode: Mode | None = None,
        target_connection: str | None = None,
        keys: Sequence[str] | None = None,
        update_columns: Sequence[str] | None = None,
        compare_columns: Sequence[str] | None = None,
        event_timestamp_column: str | None = None,
        handle_deletes: Literal["hard", "soft"] | None = None,
        column_map: Mapping[str, str] | None = None,
        ttl: timedelta | None = None,
        strategy: Strategy | None = None,
        on_busy: Literal["wait", "skip", "fail"] = "wait",
        lock_timeout: timedelta | float | None = None,
        lag: timedelta | float | Decimal | None = None,
        max_delete_fraction: float | None = None,
        watermark_cap: bool | None = None,
        progress: str = "none",
    ) -> Target:
        """One member of ``targets=``; the arguments are its attributes. ``mode`` is required unless ``strategy`` says it.

        Raises:
            TypeError: ``target_class`` is no table class; there is neither ``mode`` nor ``strategy``.
        """
        arguments = {name: value for name, value in locals().items() if name != "self"}
        from ematix_flow._progress import checked_progress
        from ematix_flow.table import ManagedTable

        if not (isinstance(target_class, type) and issubclass(target_class, ManagedTable)):
            raise TypeError(f"ematix.target takes a table class, not {target_class!r}.")
        if mode is None and strategy is None:
            raise TypeError(f"ematix.target({target_class.__name__}) lacks mode=.")
        checked_progress(progress)
        return Target(**arguments)

    def feature_view(self, **options: object) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("ematix.feature_view is not implemented yet.")

    def transform(self, **options: object) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("ematix.transform is not implemented yet.")

    def transform_ref(self, name: str) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("ematix.transform_ref is not implemented yet.")

    def training_set(self, conn: object, **options: object) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("ematix.training_set is not implemented yet.")

    def __repr__(self) -> str:
        return "<ematix: table, pipeline, target>"


def snake_case(name: str) -> str:
    """A class name as a table name.

    >>> [snake_case(name) for name in ("CustomerDim", "HTTPServer", "UserV2", "T")]
    ['customer_dim', 'http_server', 'user_v2', 't']
    """
    # An underscore before each capital that follows a small letter or digit, and before the last capital of a run that a small letter
    # follows.
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


ematix = _Ematix()
