"""``preview``, ``dry_run`` and ``validate``: what a declared pipeline would do, without doing it."""

from __future__ import annotations

import warnings
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, overload

from ematix_flow import config
from ematix_flow.connection import Connection, call
from ematix_flow.pipeline.declared import DEFAULT, DeclaredPipeline
from ematix_flow.pipeline.keys import key_reason
from ematix_flow.pipeline.registry import _REGISTRY, get_pipeline
from ematix_flow.pipeline.schedule import is_due
from ematix_flow.pipeline.spec import Pipeline
from ematix_flow.pipeline.sync import load, message
from ematix_flow.preview import PreviewResult, TargetPlan, ValidateResult
from ematix_flow.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ematix_flow.pipeline.targets import TargetLoad

__all__ = ["dry_run", "preview", "validate"]

_COUNTS = ("rows_inserted", "rows_updated", "rows_unchanged", "rows_closed", "rows_deleted")

_LABELS = {
    "append": "insert every row",
    "truncate": "replace all rows",
    "merge": "insert and update by key",
    "scd1": "insert and update by key",
    "scd2": "close and open versions",
}


def preview(name: str, *, dry_run: bool = False, live: bool = False) -> PreviewResult:
    """What the pipeline of that name would do: its statements, why, and what each locks. No statement is sent to a database.

    The function of the pipeline is called, with connections that know where they lead and refuse to be queried.

    Args:
        name: the registered name.
        dry_run: run the load as well and roll it back, as ``dry_run()`` does.
        live: ask the databases what only they know: estimates of rows, whether the target is there and as declared, the stored watermark, who
            is in the way of the locks now. Nothing is written and nobody waited for.

    Raises:
        KeyError: no pipeline has the name.
        TypeError: it is described as data, or was registered with ``pipeline.register`` and says nothing about its load.
    """
    return preview_of(_declared(name), dry_run=dry_run, live=live)


def dry_run(name: str) -> PreviewResult:
    """Run the load of every target of a pipeline, each in a transaction that is rolled back. Nothing of it stays.

    Errors stand in ``dry_run_error`` of their target; every target is tried.

    Raises:
        KeyError, TypeError: as ``preview``.
    """
    return preview(name, dry_run=True)


def validate(name: str) -> ValidateResult:
    """Have the server parse and plan the source query of each target, without running it; the schedule and the options are checked too.

    Each query is planned in a read-only transaction that is rolled back. A query that is more than one statement, or no query, is an error.

    Raises:
        KeyError, TypeError: as ``preview``.
    """
    return _validated(_declared(name))


def preview_of(pipeline: DeclaredPipeline[Any], *, dry_run: bool = False, live: bool = False) -> PreviewResult:
    """As ``preview``, of a pipeline that is at hand."""
    with ExitStack() as stack:
        return _Inspection(pipeline, stack, runs=dry_run).result(live=live)


def _declared(name: str) -> DeclaredPipeline[Any]:
    entry = get_pipeline(name)
    if isinstance(getattr(entry.fn, "__self__", None), Pipeline):
        raise TypeError(
            f"The pipeline {name!r} is described as data (pipeline.Pipeline): what it loads is read from the database when it runs. "
            "Only pipelines under @ematix.pipeline have a preview."
        )
    if not isinstance(entry.fn, DeclaredPipeline):
        raise TypeError(
            f"The pipeline {name!r} is a plain function (pipeline.register): what it loads is known to nobody but itself. "
            "Only pipelines under @ematix.pipeline have a preview."
        )
    return entry.fn


def _text(error: BaseException) -> str:
    if isinstance(error, KeyError) and error.args:  # str() of it is the repr of its argument
        return str(error.args[0])
    return str(error) or type(error).__name__


@overload
def _shown(name: str) -> str: ...
@overload
def _shown(name: None) -> None: ...
def _shown(name: str | None) -> str | None:
    """The name of a connection, or its DSN without secrets where somebody gave that as a name."""
    return str(call("redact", {"dsn": name})) if name is not None and ("://" in name or "=" in name) else name


class _StandIn(Connection):
    """A connection that knows where it leads and goes nowhere."""

    _closed = True  # there is nothing to close

    @classmethod
    def of(cls, name: str, info: dict[str, Any] | None) -> _StandIn:
        made: _StandIn = object.__new__(cls)
        made._name = name
        made._info = info or dict.fromkeys(("host", "port", "dbname", "user"))
        return made

    _name: str

    def __getattr__(self, name: str) -> NoReturn:
        if name == "_id":  # what every use of a connection begins with
            self._refuse()
        raise AttributeError(name)

    def _do(self, op: str, **args: object) -> Any:
        if op != "disconnect":
            self._refuse()

    def _refuse(self) -> NoReturn:
        raise RuntimeError(
            f"A preview sends no statement, and the connection {_shown(self._name)!r} that the function is given cannot be queried. "
            "dry_run gives it a real one, and rolls the load back."
        )


@dataclass
class _End:
    """One side of a load: its connection, under its name where it has one, and where it leads."""

    name: str | None
    info: dict[str, Any] | None


class _Inspection:
    """One preview: connections are described once, the function is called once."""

    def __init__(self, pipeline: DeclaredPipeline[Any], stack: ExitStack, *, runs: bool) -> None:
        self._pipeline = pipeline
        self._declared = pipeline._declaration
        self._stack = stack
        self._runs = runs  # with real connections
        self.notes: list[str] = []
        self._infos: dict[str, dict[str, Any] | None] = {}
        self._opened: dict[str, Connection | Exception] = {}
        self._returned: object = None
        self._failure: Exception | None = None  # of the function, or of a connection that it needs
        self._raised = False  # by the function

    # --- connections

    def open(self, name: str | None) -> Connection:
        """A real connection; one that cannot be opened fails each time."""
        name = name or DEFAULT
        if name not in self._opened:
            try:
                self._opened[name] = self._stack.enter_context(config.connect(name))
            except Exception as error:
                self._opened[name] = error
        opened = self._opened[name]
        if isinstance(opened, Exception):
            raise opened
        return opened

    def info(self, name: str | None) -> dict[str, Any] | None:
        """Where a connection leads, by its configuration; ``None`` with a note where there is none."""
        name = name or DEFAULT
        if name not in self._infos:
            try:
                self._infos[name] = self._described(config.resolve_dsn(name))
            except (LookupError, ValueError) as error:
                self._infos[name] = None
                self.notes.append(f"The connection {_shown(name)!r} cannot be used: {_text(error)}")
        return self._infos[name]

    def _described(self, dsn: str) -> dict[str, Any]:
        if dsn.startswith(config.EMBEDDED):  # describing it must not start it
            return {"host": f"embedded://{config._embedded_name(dsn)}", "port": None, "dbname": None, "user": None}
        described: dict[str, Any] = call("describe_dsn", {"url": dsn})
        return described

    def given(self, name: str | None) -> Connection:
        """The connection that the function gets."""
        return self.open(name) if self._runs else _StandIn.of(name or DEFAULT, self.info(name))

    # --- the function

    def call_function(self) -> None:
        """Call it once, with what it asks for. What it raises is kept."""
        pipeline, declared = self._pipeline, self._declared
        try:
            target = self.given(declared.target_connection) if pipeline._arity == 2 or not declared.several else None
            source = self.given(pipeline.source_name())
        except Exception as error:
            self._failure = error
            return
        try:
            self._returned = pipeline.returned(source, target)
        except Exception as error:
            self._failure, self._raised = error, True

    def source(self, each: TargetLoad) -> Source | None:
        """Where the rows of a target come from; ``None`` where nothing is loaded."""
        if self._failure is not None:
            raise self._failure
        if isinstance(self._returned, dict):
            return None
        return self._pipeline.source_of(each, self._returned, self.given(self._pipeline.source_name()))

    def why_unknown(self, error: Exception) -> str:
        """Why there is no source query."""
        if error is self._failure and self._raised:
            return f"The function of the pipeline raised {type(error).__name__}: {_text(error)}"
        return f"There is no source query: {_text(error)}"

    # --- the preview

    def result(self, *, live: bool) -> PreviewResult:
        declared, entry = self._declared, _REGISTRY.get(self._declared.name)
        self.info(self._pipeline.source_name())
        for each in declared.loads:
            self.info(each.connection)
        with _noting(self.notes):
            self.call_function()
        targets = [self._target(each, live=live) for each in declared.loads]
        plans = [plan for plan, _ in targets]
        return PreviewResult(
            pipeline_name=declared.name,
            schedule=entry.schedule if entry is not None else None,
            mode=None if declared.several else plans[0].mode,
            source_connection_name=_shown(declared.source_connection),
            source_connection_info=self.info(self._pipeline.source_name()),
            source_sql=targets[0][1],
            targets=plans,
            is_dry_run=self._runs,
            notes=list(dict.fromkeys(self.notes)),
        )

    def _target(self, each: TargetLoad, *, live: bool) -> tuple[TargetPlan, str]:
        """The plan of a target, and its source query or a comment that says why there is none."""
        source, failure = None, None
        try:
            source = self.source(each)
        except Exception as error:
            failure = error
            query = self.why_unknown(error)
        else:
            query = "The function returned a dict: nothing is loaded." if source is None else source.query
        if source is None:
            self.notes.append(query)
            query = "-- " + query.replace("\n", "\n-- ")
        with _noting(self.notes):
            plan = self._planned(each, source, query)
            if self._runs and failure is not None:
                plan.dry_run_error = _text(failure)
            elif self._runs and source is not None:
                self._dry_run(each, source, plan)
            if live:
                plan.live = self._live(each, source)
        return plan, query

    def _planned(self, each: TargetLoad, source: Source | None, query: str) -> TargetPlan:
        target = _End(each.connection, self.info(each.connection))
        mode, options = str(each.options["mode"]), each.options
        cross, reason = _path(options["force_path"], self._source_end(source), target)
        plan = TargetPlan(
            schema_qualified_name=each.key,
            mode=mode,
            path="cross_db" if cross else "same_db",
            path_reason=reason,
            declared_columns=[name for name, _ in each.table._columns()],
            target_connection_name=_shown(each.connection),
            target_connection_info=target.info,
            plan_sql_label=_LABELS.get(mode, mode),
        )
        try:
            told = message(target=each.table, query=query, pipeline_name=each.name, **options)
            answer = call("plan", told | {"cross_database": cross})
        except (ValueError, TypeError, NotImplementedError) as error:
            self.notes.append(f"{each.key} cannot be planned: {_text(error)}")
            return plan
        self.notes += [f"{each.key}: {warning}" for warning in answer["warnings"]]
        plan.augmented_columns = answer["columns"]
        plan.merge_keys, plan.compare_columns = answer["keys"], answer["compare_columns"]
        plan.statements, plan.decisions, plan.plan_sql = answer["statements"], answer["decisions"], answer["plan_sql"]
        if plan.merge_keys:
            plan.merge_keys_reason = key_reason(each.table, passed=options["keys"]) if mode != "truncate" else "from primary_key=True"
            named = "compare_columns" if mode == "scd2" else "update_columns"
            derived = options[named] is None or mode == "truncate"
            plan.compare_columns_reason = "auto-derived (non-key non-metadata)" if derived else f"from explicit {named}="
        return plan

    def _source_end(self, source: Source | None) -> _End:
        name = self._pipeline.source_name()
        if source is not None and isinstance(self._returned, Source):
            connection = source.connection
            if isinstance(connection, _StandIn):
                return _End(connection._name, self.info(connection._name))
            for opened, known in self._opened.items():
                if connection is known:
                    return _End(opened, self.info(opened))
            return _End(None, connection.connection_info())
        return _End(name, self.info(name))

    def _dry_run(self, each: TargetLoad, source: Source, plan: TargetPlan) -> None:
        try:
            done = load(
                target=each.table,
                source=source,
                target_connection=self.open(each.connection),
                pipeline_name=each.name,
                dry_run=True,
                **each.options,
            )
        except Exception as error:
            plan.dry_run_error = _text(error)
            return
        plan.path = done.get("path", plan.path)
        plan.dry_run_rows_affected = {name: done[name] for name in _COUNTS if isinstance(done.get(name), int)}
        plan.dry_run_changes = bool(done.get("changes"))
        if done.get("status") == "skipped":
            self.notes.append(f"{each.key} was skipped: another run holds it (on_busy='skip').")

    def check(self, each: TargetLoad, source: Source) -> None:
        """Have the server look at the query of a target, on the connection that it would run on.

        Raises:
            ValueError: the load or its query is refused.
        """
        target = self.open(each.connection)
        runs_on = target if each.options["force_path"] == "same_db" else source.connection
        info = target.connection_info(), source.connection.connection_info()
        told = message(target=each.table, query=source.query, pipeline_name=each.name, **each.options)
        call("check_load", told | {"cross_database": info[0] != info[1], "connection": runs_on._id})

    def _live(self, each: TargetLoad, source: Source | None) -> dict[str, Any]:
        if source is None:
            return {"notes": ["There is no source query, and so nothing to look at."]}
        try:
            target, reads = self.open(each.connection), source.connection
            if isinstance(reads, _StandIn):
                reads = self.open(reads._name)
            told = message(target=each.table, query=source.query, pipeline_name=each.name, **each.options)
            ends = {"connection": target._id, "source": None if reads is target else reads._id}
            observed: dict[str, Any] = call("observe", told | ends)
        except Exception as error:
            return {"notes": [_text(error)]}
        return observed


@contextmanager
def _noting(notes: list[str]) -> Iterator[None]:
    """Warnings become notes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            notes.append(str(warning.message))
        else:  # of the user's own code
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _path(force: str | None, source: _End, target: _End) -> tuple[bool, str]:
    """Whether the rows go from one database to another, and why."""
    if force == "cross_db":
        return True, "force_path='cross_db'"
    if force == "same_db":
        return False, "force_path='same_db': the query runs on the target's connection"
    if source.name is not None and source.name == (target.name or DEFAULT):
        return False, "source and target use the same connection"
    if source.info is None or target.info is None:
        names = [_shown(end.name or DEFAULT) for end in (source, target)]
        return True, f"source and target use different connections, {names[0]!r} and {names[1]!r}"
    if source.info != target.info and None in (source.info["port"], target.info["port"]):
        return True, "source and target use different connections, and where a private server listens is known when it runs"
    differ = [what for what in ("host", "port", "dbname", "user") if source.info[what] != target.info[what]]
    if differ:
        return True, f"source and target differ in {' and '.join([', '.join(differ[:-1]), differ[-1]] if len(differ) > 1 else differ)}"
    return False, "source and target are one database: host, port, dbname and user are equal"


def _validated(pipeline: DeclaredPipeline[Any]) -> ValidateResult:
    declared, sql = pipeline._declaration, ""
    errors: list[str] = []
    notes: list[str] = []
    with ExitStack() as stack:
        inspection = _Inspection(pipeline, stack, runs=True)
        entry = _REGISTRY.get(declared.name)
        if entry is not None and entry.schedule is not None:
            try:
                is_due(entry.schedule, datetime.now(UTC), 60)
            except ValueError as error:
                errors.append(f"schedule: {_text(error)}")
        # The query's connection is opened for the function; the others are only known to work if they are opened as well.
        for name in dict.fromkeys([pipeline.source_name(), *(each.connection or DEFAULT for each in declared.loads)]):
            try:
                inspection.open(name)
            except Exception as error:
                errors.append(f"connection {_shown(name)!r}: {_text(error)}")
        with _noting(notes):
            inspection.call_function()
            for number, each in enumerate(declared.loads):
                try:
                    source = inspection.source(each)
                    if source is None:
                        notes.append("The function returned a dict: there is no source query to look at.")
                        continue
                    sql = source.query if number == 0 else sql
                    inspection.check(each, source)
                except Exception as error:
                    if error in inspection._opened.values():
                        continue  # it is told already
                    errors.append(inspection.why_unknown(error) if error is inspection._failure else _text(error))
    errors = list(dict.fromkeys(errors))
    return ValidateResult(declared.name, not errors, sql, errors, _shown(declared.target_connection), list(dict.fromkeys(notes)))
