"""``@ematix.pipeline``: a function that returns SQL, registered under a name and run against named connections."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from ematix_flow import config
from ematix_flow.identifiers import qualified, quote
from ematix_flow.pipeline.registry import register
from ematix_flow.pipeline.sync import load, not_built
from ematix_flow.source import Source
from ematix_flow.strategy import merged_with
from ematix_flow.table import ManagedTable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from ematix_flow.connection import Connection
    from ematix_flow.strategy import Strategy

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

DEFAULT = "default"

# Options of later work, and the values that ask for nothing.
_LATER: dict[str, tuple[object, ...]] = {
    "transforms_pre": (None, (), []),
    "transforms_post": (None, (), []),
    "continue_on_failure": (False,),
    "continue_on_failure_post": (False,),
}


def pipeline_decorator(
    *,
    target: type[Any] | None,
    targets: Sequence[object] | None,
    schedule: str | None,
    mode: str | None,
    name: str | None,
    source_connection: str | None,
    target_connection: str | None,
    source_table: str | None,
    column_map: Mapping[str, str] | None,
    strategy: Strategy | None,
    progress: str,
    **options: Any,
) -> Callable[[Callable[..., Any]], DeclaredPipeline]:
    """What ``@ematix.pipeline`` does; ``options`` are those of ``sync``, and those of later work."""
    table = _one_target(target, targets)
    if progress != "none":
        raise NotImplementedError(f"progress={progress!r} is not implemented yet.")
    for option, nothing in _LATER.items():
        value = options.pop(option)
        # By type too: 0 is a share of rows, and equal to False.
        not_built({option: None if any(type(value) is type(none) and value == none for none in nothing) else value})
    for what, value in (("name", name), ("source_connection", source_connection), ("target_connection", target_connection)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{what} is a str, not {type(value).__name__}.")
    load = _with_class_defaults(table, *merged_with(strategy, mode, options))
    parts = source_table_parts(source_table)
    mapped = checked_column_map(table, column_map, source_table)

    def decorate(fn: Callable[..., Any]) -> DeclaredPipeline:
        own_name = name or str(getattr(fn, "__name__", ""))
        declared = DeclaredPipeline(fn, Declaration(own_name, table, source_connection, target_connection, parts, mapped, load))
        return register(name=own_name, schedule=schedule)(declared)

    return decorate


def _one_target(target: object, targets: Sequence[object] | None) -> type[ManagedTable]:
    if target is None and targets is None:
        raise TypeError("@ematix.pipeline lacks target=, the table class to load.")
    if targets is not None:
        if target is not None:
            raise TypeError("@ematix.pipeline takes target= or targets=, not both.")
        if not targets:
            raise TypeError("targets= of @ematix.pipeline is a non-empty list of ematix.target(...).")
        raise NotImplementedError("targets= is not implemented yet. Declare one pipeline with target= for each table.")
    if not (isinstance(target, type) and issubclass(target, ManagedTable)):
        raise TypeError(
            f"target is a table class (@ematix.table or a subclass of ManagedTable), not an object of type {type(target).__name__}."
        )
    return target


def _with_class_defaults(target: type[ManagedTable], mode: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Mode and options of the load, with what the class says where the pipeline says nothing."""
    mode = mode or target.__mode__
    if mode is None:
        raise TypeError(f"@ematix.pipeline(target={target.__name__}) lacks mode=. Give it here or on the table class.")
    load = {"mode": mode, **options}
    if mode == "scd2":  # the defaults of the class are for its history; other modes do not have these options
        if load["event_timestamp_column"] is None:
            load["event_timestamp_column"] = target.__event_timestamp_column__
        if load["ttl"] is None:
            load["ttl"] = target.__ttl__
    return load


@dataclass(frozen=True)
class Declaration:
    """What the decorator was given, checked."""

    name: str
    target: type[ManagedTable]
    source_connection: str | None = None
    target_connection: str | None = None
    source_table: tuple[str, str] | None = None
    column_map: Mapping[str, str] = field(default_factory=dict)
    load: Mapping[str, Any] = field(default_factory=dict)  # arguments of sync that go through as they are


class DeclaredPipeline:
    """A decorated function: calling it without arguments runs the pipeline and returns the result of the load."""

    def __init__(self, fn: Callable[..., Any], declaration: Declaration) -> None:
        functools.update_wrapper(self, fn)
        self._fn = fn
        self._declaration = declaration
        self._arity = arity(fn)
        if self._arity == 0 and declaration.source_table is None:
            raise TypeError(
                f"The pipeline {declaration.name!r} takes no connection, so its rows have to come from source_table=. "
                "Give source_table='schema.table', or a function with a parameter for the connection."
            )

    def __call__(self) -> Any:
        """Run the pipeline now.

        Returns:
            The result of ``pipeline.sync``; a dict that the function itself returned comes back unchanged.

        Raises:
            LookupError: a connection is not configured.
            ValueError: what the engine or the server refuses.
            TypeError: the function returned something else than SQL, a Source, a dict or None.
            RuntimeError: the function returned None and there is no source_table.
        """
        declared = self._declaration
        with ExitStack() as opened:
            target = opened.enter_context(config.connect(declared.target_connection or DEFAULT))
            source = self._source_connection(target, opened)
            returned = self._fn(*(() if self._arity == 0 else (source,) if self._arity == 1 else (source, target)))
            if inspect.iscoroutine(returned):
                returned = _awaited(returned)
            if isinstance(returned, dict):
                return returned
            return load(
                target=declared.target,
                source=returned if isinstance(returned, Source) else Source(source, self._query(returned)),
                target_connection=target,
                pipeline_name=declared.name,
                **declared.load,
            )

    def _source_connection(self, target: Connection, opened: ExitStack) -> Connection:
        """Where the source SQL runs: on the source connection when one is given or the function asks for two, else on the target's."""
        declared = self._declaration
        if declared.source_connection is None and self._arity < 2:
            return target
        name = declared.source_connection or DEFAULT
        if name == (declared.target_connection or DEFAULT):
            return target
        return opened.enter_context(config.connect(name))

    def _query(self, returned: object) -> str:
        if isinstance(returned, str):
            return returned
        if returned is not None:
            raise TypeError(
                f"The pipeline {self._declaration.name!r} returned an object of type {type(returned).__name__}. "
                "It returns SQL (str), a Source, a dict, or None with source_table=."
            )
        if self._declaration.source_table is None:
            raise RuntimeError(
                f"The pipeline {self._declaration.name!r} returned None and has no source_table=. "
                "Return the SQL of the source, or give source_table=."
            )
        return table_query(self._declaration.target, self._declaration.source_table, self._declaration.column_map)

    def preview(self) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("preview() is not implemented yet.")

    def dry_run(self) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("dry_run(), a preview that runs, is not implemented yet.")

    def __reduce__(self) -> str:
        # By name, as a function is pickled: the name stands for this object, not for the function in it.
        return str(self.__qualname__)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        target = self._declaration.target
        return f"<pipeline {self._declaration.name!r} into {target.__schema__}.{target.__tablename__}>"


def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns, run in an event loop of its own; in a thread of its own where this one has a loop, as in Jupyter."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1, "ematix-flow") as thread:
        return thread.submit(asyncio.run, coroutine).result()


def arity(fn: Callable[..., Any]) -> int:
    """The number of positional parameters, whether they have defaults or not; ``*args`` is none.

    Raises:
        TypeError: three or more, a keyword-only one without default, or something that is no plain function.
    """
    name = getattr(fn, "__name__", repr(fn))
    if not callable(fn):
        raise TypeError(f"@ematix.pipeline decorates a function, not an object of type {type(fn).__name__}.")
    parameters = inspect.signature(fn).parameters.values()
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty:
            raise TypeError(
                f"The pipeline function {name} needs {parameter.name}=, which nobody gives it. It is called with connections only."
            )
    count = sum(parameter.kind in _POSITIONAL for parameter in parameters)
    if count > 2:
        raise TypeError(
            f"The pipeline function {name} takes {count} parameters; it takes 0, 1, or 2: none, the connection, or source and target."
        )
    return count


def table_query(target: type[ManagedTable], source_table: tuple[str, str], column_map: Mapping[str, str]) -> str:
    """The SELECT of the declared columns from a source table; ``column_map`` has the source column of each target column that differs.

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
