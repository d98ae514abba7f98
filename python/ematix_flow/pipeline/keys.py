"""Which columns are the keys of a merge or scd2 load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ematix_flow.pipeline.warning import warn_user
from ematix_flow.table import column_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ematix_flow.table import ManagedTable


def _resolve_merge_keys(target: type[ManagedTable], *, passed: Sequence[str] | None, pipeline_name: str | None = None) -> list[str]:
    """The key columns: the first that is given of ``keys=``, ``__merge_keys__``, the first UNIQUE constraint, the primary key.

    Args:
        target: the table class.
        passed: the value of ``keys=``, or ``None``; an empty sequence counts as given.
        pipeline_name: the pipeline of the warning; by default ``schema.table``.

    Warns:
        UserWarning: ``__merge_keys__`` or a UNIQUE constraint gives columns that are not the primary key.

    Raises:
        ValueError: there is no key column; the message names the four ways to give them.
        TypeError: ``passed`` is no sequence of column names.
    """
    keys = key_columns(target, passed=passed, pipeline_name=pipeline_name)
    if not keys:
        raise ValueError(
            f"The load into {target.__schema__}.{target.__tablename__} has no key columns. Give keys=, or declare __merge_keys__, "
            "a unique constraint (natural_key()) or a primary key (pk()) on the table class."
        )
    return keys


def key_columns(target: type[ManagedTable], *, passed: Sequence[str] | None, pipeline_name: str | None = None) -> list[str]:
    """As ``_resolve_merge_keys``, but an empty list where there are none: the engine refuses it in its turn among the other checks."""
    if passed is not None:
        return list(column_names("keys", passed))
    primary = target._primary_keys()
    for origin, chosen in (
        ("__merge_keys__", list(target.__merge_keys__ or ())),
        ("its first unique constraint", next(iter(target._unique_constraints()), [])),
    ):
        if chosen:
            if set(chosen) != set(primary):
                _warn(target, chosen, primary, origin, pipeline_name)
            return chosen
    return primary


def key_reason(target: type[ManagedTable], *, passed: Sequence[str] | None) -> str:
    """Where ``key_columns`` has the columns from, for people."""
    if passed is not None:
        return "from explicit keys="
    if target.__merge_keys__:
        return "from __merge_keys__"
    if next(iter(target._unique_constraints()), []):
        return "from natural_key() / __unique_constraints__"
    return "from primary_key=True"


def _warn(target: type[ManagedTable], chosen: list[str], primary: list[str], origin: str, pipeline_name: str | None) -> None:
    warn_user(
        f"The pipeline {pipeline_name or f'{target.__schema__}.{target.__tablename__}'!r} takes its keys ({', '.join(chosen)}) from "
        f"{origin} of {target.__name__}; they differ from its primary key ({', '.join(primary)}). Give keys= to silence this."
    )
