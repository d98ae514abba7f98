"""``@ematix.pipeline``: a function that returns SQL, registered under a name and run against named connections."""

from __future__ import annotations

import functools
import inspect
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ematix_flow import config
from ematix_flow._progress import checked_progress
from ematix_flow.pipeline.registry import register
from ematix_flow.pipeline.source_table import source_table_parts, table_query
from ematix_flow.pipeline.sync import load, not_built
from ematix_flow.pipeline.targets import TargetLoad, one_target, several_targets
from ematix_flow.result import Results
from ematix_flow.source import Source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from ematix_flow.connection import Connection
    from ematix_flow.preview import PreviewResult
    from ematix_flow.result import Result
    from ematix_flow.strategy import Strategy

    Returned = str | Source | dict[Any, Any] | None
    Returning = Returned | Awaitable[Returned]
    AnyFunction = Callable[[], Returning] | Callable[[Connection], Returning] | Callable[[Connection, Connection], Returning]

#: What may be decorated: a function of no, one or two connections that returns SQL, a Source, a dict or None, or awaits it.
Function = TypeVar("Function", bound="AnyFunction")

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

DEFAULT = "default"

# Options of later work, and the values that ask for nothing.
_LATER: dict[str, tuple[object, ...]] = {
    "transforms_pre": (None, (), []),
    "transforms_post": (None, (), []),
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
    continue_on_failure: bool,
    **options: Any,
) -> Callable[[Function], DeclaredPipeline[Function]]:
    """What ``@ematix.pipeline`` does; ``options`` are those of ``sync``, and those of later work."""
    if target is None and targets is None:
        raise TypeError("@ematix.pipeline lacks target=, the table class to load, or targets=, a list of ematix.target(...).")
    if target is not None and targets is not None:
        raise TypeError("@ematix.pipeline takes target= or targets=, not both.")
    options["progress"] = checked_progress(progress)
    for option, nothing in _LATER.items():
        value = options.pop(option)
        # By type too: 0 is a share of rows, and equal to False.
        not_built({option: None if any(type(value) is type(none) and value == none for none in nothing) else value})
    for what, value in (("name", name), ("source_connection", source_connection), ("target_connection", target_connection)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{what} is a str, not {type(value).__name__}.")
    if not isinstance(continue_on_failure, bool):
        raise TypeError(f"continue_on_failure is True or False, not {type(continue_on_failure).__name__}.")
    parts = source_table_parts(source_table)

    def loads_of(pipeline: str) -> tuple[TargetLoad, ...]:
        if targets is None:
            return one_target(pipeline, target, target_connection, source_table, column_map, mode, strategy, options)
        return several_targets(
            pipeline, targets, target_connection, source_table, column_map, {"mode": mode, "strategy": strategy, **options}
        )

    loads_of("")  # what is wrong is said before there is a function

    def decorate(fn: Function) -> DeclaredPipeline[Function]:
        own_name = name or str(getattr(fn, "__name__", ""))
        if not own_name and callable(fn):
            raise TypeError(f"An object of type {type(fn).__name__} has no name that the pipeline could take. Give name=.")
        declaration = Declaration(
            own_name, loads_of(own_name), targets is not None, source_connection, target_connection, parts, continue_on_failure
        )
        return register(name=own_name, schedule=schedule)(DeclaredPipeline(fn, declaration))

    return decorate


@dataclass(frozen=True)
class Declaration:
    """What the decorator was given, checked."""

    name: str
    loads: tuple[TargetLoad, ...]
    #: Declared with ``targets=``: the result is a dict by target.
    several: bool = False
    source_connection: str | None = None
    target_connection: str | None = None
    source_table: tuple[str, str] | None = None
    continue_on_failure: bool = False


class DeclaredPipeline(Generic[Function]):
    """A decorated function: calling it without arguments runs the pipeline and returns the result of the load."""

    __name__: str
    __qualname__: str
    __wrapped__: Function

    def __init__(self, fn: Function, declaration: Declaration) -> None:
        self._fn = cast("Callable[..., Any]", fn)
        functools.update_wrapper(self, self._fn)
        self._declaration = declaration
        self._arity = arity(fn)
        if self._arity == 0 and declaration.source_table is None:
            raise TypeError(
                f"The pipeline {declaration.name!r} takes no connection, so its rows have to come from source_table=. "
                "Give source_table='schema.table', or a function with a parameter for the connection."
            )

    def __call__(self) -> dict[str, Any]:
        """Run the pipeline now.

        Returns:
            The result of ``pipeline.sync``; with ``targets=`` a dict of ``schema.table`` to the result of that target, in their order, and
            where one failed under ``continue_on_failure`` ``{"results": {...}, "errors": {"schema.table": message}}``. A dict that the
            function itself returned comes back unchanged.

        Raises:
            LookupError: a connection is not configured.
            ValueError: what the engine or the server refuses. Targets before the one that failed are loaded, those after it are not.
            TypeError: the function returned something else than SQL, a Source, a dict or None.
            RuntimeError: the function returned None and there is no source_table.
        """
        with ExitStack() as opened:
            connections = _Connections(opened)
            declared = self._declaration
            # First, so that one that cannot be reached is noticed before the function runs. Of several targets only its parameter is looked at.
            target = connections.open(declared.target_connection) if self._arity == 2 or not declared.several else None
            source = connections.open(self.source_name())
            returned = self.returned(source, target)
            if isinstance(returned, dict):
                return returned
            self.check_returned(returned)
            if not declared.several:
                return self._load(declared.loads[0], returned, source, connections.open(declared.target_connection))
            results = Results()
            errors: dict[str, str] = {}
            for each in declared.loads:
                try:
                    results[each.key] = self._load(each, returned, source, connections.open(each.connection))
                except Exception as error:
                    if not declared.continue_on_failure:
                        raise
                    errors[each.key] = str(error) or type(error).__name__
            return Results(results=results, errors=errors) if errors else results

    def _load(self, each: TargetLoad, returned: object, source: Connection, target: Connection) -> Result:
        return load(
            target=each.table,
            source=self.source_of(each, returned, source),
            target_connection=target,
            pipeline_name=each.name,
            **each.options,
        )

    def source_name(self) -> str:
        """The connection that the source SQL runs on: the source connection where one is given or the function asks for two, else the target's."""
        declared = self._declaration
        if declared.source_connection is None and self._arity < 2:
            return declared.target_connection or DEFAULT
        return declared.source_connection or DEFAULT

    def returned(self, source: Any, target: Any) -> object:
        """What the function returns, called with the connections that it asks for."""
        returned = self._fn(*(() if self._arity == 0 else (source,) if self._arity == 1 else (source, target)))
        if inspect.isawaitable(returned):
            from ematix_flow.pipeline.awaiting import awaited

            return awaited(returned)
        return returned

    def check_returned(self, returned: object) -> None:
        """Refuse what the function must not return; a dict is no business of the load.

        Raises:
            TypeError: something else than SQL, a Source, a dict or None.
            RuntimeError: None, and there is no ``source_table``.
        """
        if returned is None and self._declaration.source_table is None:
            raise RuntimeError(
                f"The pipeline {self._declaration.name!r} returned None and has no source_table=. "
                "Return the SQL of the source, or give source_table=."
            )
        if returned is not None and not isinstance(returned, (str, Source)):
            raise TypeError(
                f"The pipeline {self._declaration.name!r} returned an object of type {_type_name(returned)}. "
                "It returns SQL (str), an ematix_flow.Source, a dict, or None with source_table=."
            )

    def source_of(self, each: TargetLoad, returned: object, connection: Any) -> Source:
        """Where the rows of a target come from, by what the function returned (and no dict)."""
        self.check_returned(returned)
        if isinstance(returned, Source):
            return returned
        if isinstance(returned, str):
            return Source(connection, returned)
        assert self._declaration.source_table is not None  # or the check had refused it
        return Source(connection, table_query(each.table, self._declaration.source_table, each.column_map))

    def preview(self, *, live: bool = False) -> PreviewResult:
        """What a run would do; see ``ematix_flow.pipeline.preview``."""
        from ematix_flow.pipeline.inspect import preview_of

        return preview_of(self, live=live)

    def dry_run(self) -> PreviewResult:
        """Run the load of every target and roll it back; see ``ematix_flow.pipeline.dry_run``."""
        from ematix_flow.pipeline.inspect import preview_of

        return preview_of(self, dry_run=True)

    def __reduce__(self) -> str:
        # By name, as a function is pickled: the name stands for this object, not for the function in it.
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<pipeline {self._declaration.name!r} into {', '.join(each.key for each in self._declaration.loads)}>"


class _Connections:
    """The connections of one run by their names; each is opened once and closed with the run."""

    def __init__(self, opened: ExitStack) -> None:
        self._opened = opened
        self._by_name: dict[str, Connection] = {}

    def open(self, name: str | None) -> Connection:
        name = name or DEFAULT
        if name not in self._by_name:
            self._by_name[name] = self._opened.enter_context(config.connect(name))
        return self._by_name[name]


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def arity(fn: Callable[..., Any]) -> int:
    """The number of positional parameters, whether they have defaults or not; ``*args`` is none.

    Raises:
        TypeError: three or more, a keyword-only one without default, or something that is no plain function.
    """
    name = getattr(fn, "__name__", repr(fn))
    if isinstance(fn, type):
        raise TypeError(f"@ematix.pipeline decorates a function, not the class {name}. A table class is made by @ematix.table.")
    if isinstance(fn, DeclaredPipeline):
        raise TypeError(f"{name} is a pipeline already. For several tables give one @ematix.pipeline several targets: targets=[...].")
    if not callable(fn):
        raise TypeError(f"@ematix.pipeline decorates a function, not an object of type {type(fn).__name__}.")
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(f"The pipeline function {name} is a generator (it has a yield). It returns SQL, and the rows come from there.")
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
