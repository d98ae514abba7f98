"""Pipelines described as data: what ``_core.parse_spec`` reads, and how they run."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ematix_flow import _core, config
from ematix_flow._progress import run_load
from ematix_flow.connection import Connection, call
from ematix_flow.pipeline.registry import _REGISTRY, register
from ematix_flow.pipeline.warning import warn_user
from ematix_flow.result import Result

if TYPE_CHECKING:
    from ematix_flow.pipeline.sync import Mode

__all__ = ["Pipeline", "Source", "Target"]

_DSN = re.compile(r"[:/@=]")


@dataclass(frozen=True)
class Source:
    """A query, and the URL (or the name, as ``ematix_flow.connect`` takes it) of the database it runs in. The repr has no URL.

    ``ematix_flow.source.Source`` is the one that ``sync`` takes.
    """

    connection: str
    query: str

    def __repr__(self) -> str:
        return f"Source(connection={_shown(self.connection)}, query={self.query!r})"


@dataclass(frozen=True)
class Target:
    """A table, and the URL or name of its database."""

    connection: str
    schema: str
    table: str

    def __repr__(self) -> str:
        return f"Target(connection={_shown(self.connection)}, schema={self.schema!r}, table={self.table!r})"


@dataclass(frozen=True)
class Pipeline:
    """A load described as data; ``mode`` is one of the five modes. With a ``schedule`` it is registered under its name at once.

    >>> pipeline = Pipeline(
    ...     name="orders",
    ...     source=Source("postgresql://reader@db/shop", "SELECT * FROM orders"),
    ...     target=Target("postgresql://loader@db/dwh", "warehouse", "orders"),
    ...     mode="merge",
    ...     keys=("id",),
    ... )
    >>> pipeline.to_spec_dict()["keys"]
    ['id']

    Raises:
        ValueError: ``schedule`` is given, and another pipeline has the name.
    """

    name: str
    source: Source
    target: Target
    mode: Mode
    keys: tuple[str, ...] = ()
    schedule: str | None = None

    def __post_init__(self) -> None:
        for what, value, wanted in (("source", self.source, Source), ("target", self.target, Target)):
            if not isinstance(value, wanted):
                raise TypeError(f"The {what} of a Pipeline is a pipeline.{wanted.__name__}, not an object of type {type(value).__name__}.")
        if isinstance(self.keys, str):
            raise TypeError("keys is a sequence of column names, not the text of one: keys=('id',).")
        if self.schedule is not None:
            self.register()

    def to_spec_dict(self) -> dict[str, Any]:
        """The pipeline as the engine reads it, as it was given."""
        return {
            "name": self.name,
            "source": {"connection": self.source.connection, "query": self.source.query},
            "target": {"connection": self.target.connection, "schema": self.target.schema, "table": self.target.table},
            "mode": self.mode,
            "keys": list(self.keys),
        }

    def to_normalized_dict(self) -> dict[str, Any]:
        """The pipeline after the engine has cleaned and checked it.

        Raises:
            ValueError: an empty name, query, connection, schema, table or key, an unknown mode, or a mode with keys that has none.
        """
        normalized: dict[str, Any] = json.loads(_core.parse_spec(json.dumps(self.to_spec_dict())))
        return normalized

    def run(self) -> Result:
        """Load the rows of the query into the target table, which must be there; its columns and keys are read from the catalogue.

        ``_loaded_at`` and ``_batch_id``, and with scd2 the columns of the history, are filled where the table has them. Columns that the server
        computes (generated, identity) are left to it, and so are those with a default that the query does not deliver. Every other column
        comes from the query.

        Returns:
            As ``ematix_flow.pipeline.sync``.

        Raises:
            ValueError: ``to_normalized_dict`` refuses it; there is no such table, or none that can be loaded (``TargetNotLoadable``, which names
                the column); every refusal of the engine and of the server. Nothing was written then.
            LookupError: a connection that is no URL has no such name.
        """
        wanted = self.to_normalized_dict()
        source, target = wanted["source"], wanted["target"]
        with contextlib.ExitStack() as stack:
            into = stack.enter_context(_open(target["connection"]))
            other = source["connection"] != target["connection"]
            message = {
                "connection": into._id,
                "source": stack.enter_context(_open(source["connection"]))._id if other else None,
                "mode": wanted["mode"],
                "keys": wanted["keys"] or None,
                "query": source["query"],
            }
            found = call("reflect_table", message | {"schema": target["schema"], "table": target["table"]})
            # What the load leaves alone is no drift.
            drift = "error" if found["exact"] else "warn"
            answer = run_load(message | {"spec": found["spec"], "augment": False, "pipeline_name": wanted["name"], "on_drift": drift})
        answer.pop("differences", None)
        for warning in answer.pop("warnings", None) or ():
            warn_user(warning)
        return Result(answer)

    def register(self) -> Pipeline:
        """Register it under its name, for ``flow run`` and ``flow run-due``; one that is registered already stays so.

        Raises:
            ValueError: another pipeline has the name.
        """
        entry = _REGISTRY.get(self.name)
        if entry is None or getattr(entry.fn, "__self__", None) is not self:
            register(name=self.name, schedule=self.schedule)(self.run)
        return self


def _open(connection: str) -> Connection:
    # What looks like a DSN is never looked up by name: the message about an unknown name would show its password.
    return config.connect(url=connection) if _DSN.search(connection) else config.connect(connection)


def _shown(connection: object) -> str:
    """A name; what looks like a DSN may hold a password."""
    return "'***'" if isinstance(connection, str) and _DSN.search(connection) else repr(connection)
