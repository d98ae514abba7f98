"""The targets of a declared pipeline: what ``target=`` or ``targets=`` and the options beside them come to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from ematix_flow.namespace import Target
from ematix_flow.pipeline.source_table import checked_column_map
from ematix_flow.pipeline.sync import message
from ematix_flow.strategy import merged_with
from ematix_flow.table import ManagedTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ematix_flow.strategy import Strategy

# Options that may differ from target to target: with targets= they are those of ematix.target.
_OF_TARGETS = (
    "mode",
    "strategy",
    "keys",
    "update_columns",
    "compare_columns",
    "handle_deletes",
    "event_timestamp_column",
    "ttl",
    "max_delete_fraction",
)


@dataclass(frozen=True)
class TargetLoad:
    """How one target of a pipeline is loaded."""

    table: type[ManagedTable]
    #: In run history and of the watermark: the pipeline's own name where it has one target.
    name: str
    connection: str | None
    column_map: Mapping[str, str]
    #: Arguments of ``sync`` that go through as they are, mode included.
    options: Mapping[str, Any]

    @property
    def key(self) -> str:
        """``schema.table``."""
        return f"{self.table.__schema__}.{self.table.__tablename__}"


def one_target(
    name: str,
    target: object,
    connection: str | None,
    source_table: object,
    column_map: object,
    mode: str | None,
    strategy: Strategy | None,
    options: dict[str, Any],
) -> tuple[TargetLoad, ...]:
    """What ``target=`` comes to.

    Raises:
        TypeError: it is no table class; there is no mode.
        ValueError: ``column_map`` names no column of it; an option is given twice.
    """
    if not (isinstance(target, type) and issubclass(target, ManagedTable)):
        raise TypeError(
            f"target is a table class (@ematix.table or a subclass of ManagedTable), not an object of type {type(target).__name__}."
        )
    mode, options = merged_with(strategy, mode or (target.__mode__ if strategy is None else None), options)
    if mode is None:
        raise TypeError(f"@ematix.pipeline(target={target.__name__}) lacks mode=. Give it here or on the table class.")
    mapped = checked_column_map(target, column_map, source_table)
    return (TargetLoad(target, name, connection, mapped, _with_class_defaults(target, mode, options)),)


def several_targets(
    name: str,
    targets: Sequence[object],
    connection: str | None,
    source_table: object,
    column_map: object,
    options: dict[str, Any],
) -> tuple[TargetLoad, ...]:
    """What ``targets=`` comes to; ``options`` are those of the pipeline, which hold for every target that says nothing else.

    Raises:
        TypeError: it is empty, or has something else than ``ematix.target(...)``; an option that belongs there was given to the pipeline.
        ValueError: a table stands there twice; ``column_map`` names no column of a target; an option is given twice.
    """
    if isinstance(targets, (str, Target)) or not targets:
        raise TypeError("targets= of @ematix.pipeline is a non-empty list of ematix.target(...).")
    for option in _OF_TARGETS:
        if options.pop(option) is not None:
            raise TypeError(f"{option}= belongs to a target: give it to ematix.target(...), not beside targets=.")
    loads = []
    for target in targets:
        if not isinstance(target, Target):
            raise TypeError(f"targets= of @ematix.pipeline is a non-empty list of ematix.target(...), and holds {target!r}.")
        table = target.target_class
        own = {field.name: getattr(target, field.name) for field in fields(Target) if getattr(target, field.name) != field.default}
        for part in ("target_class", "target_connection", "column_map", "strategy", "mode"):
            own.pop(part, None)
        given = dict.fromkeys(_OF_TARGETS[2:]) | options | own
        mode, given = merged_with(target.strategy, target.mode, given)
        mapped = target.column_map if target.column_map is not None else column_map
        loads.append(
            TargetLoad(
                table,
                f"{name}::{table.__schema__}.{table.__tablename__}",
                target.target_connection or connection,
                checked_column_map(table, mapped, source_table),
                _with_class_defaults(table, mode, given),
            )
        )
    for key, count in Counter(load.key for load in loads).items():
        if count > 1:
            raise ValueError(f"targets= has {key} more than once; results and run history are kept by its name. Declare a second pipeline.")
    return tuple(loads)


def _with_class_defaults(target: type[ManagedTable], mode: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Mode and options of the load, with what the class says where nobody else does."""
    load = {"mode": mode, **options}
    if mode == "scd2":  # the defaults of the class are for its history; other modes do not have these options
        if load["event_timestamp_column"] is None:
            load["event_timestamp_column"] = target.__event_timestamp_column__
        if load["ttl"] is None:
            load["ttl"] = target.__ttl__
    # What cannot be sent is refused here; key columns are looked for, and warned about, when it runs.
    message(target=target, query="", pipeline_name=None, **{**load, "keys": load["keys"] or ()})
    return load
