"""Pipelines described with URLs: what ``_core.parse_spec`` reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from ematix_flow import _core

if TYPE_CHECKING:
    from ematix_flow.pipeline.sync import Mode

__all__ = ["Pipeline", "Source", "Target"]


@dataclass(frozen=True)
class Source:
    """A query and the URL of the database it runs in. ``ematix_flow.source.Source`` is the one that ``sync`` takes."""

    connection: str
    query: str


@dataclass(frozen=True)
class Target:
    """A table and the URL of its database."""

    connection: str
    schema: str
    table: str


@dataclass(frozen=True)
class Pipeline:
    """A load described as data; ``mode`` is one of the five modes.

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
        NotImplementedError: ``schedule`` is given: running a described pipeline is not implemented yet.
    """

    name: str
    source: Source
    target: Target
    mode: Mode
    keys: tuple[str, ...] = ()
    schedule: str | None = None

    def __post_init__(self) -> None:
        if self.schedule is not None:
            raise NotImplementedError("Pipeline(schedule=...) is not implemented yet. Use @ematix.pipeline(schedule=...).")

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

    def run(self) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("Pipeline.run() is not implemented yet. Use ematix_flow.pipeline.sync.")

    def register(self) -> NoReturn:
        """Not implemented yet."""
        raise NotImplementedError("Pipeline.register() is not implemented yet. Use ematix_flow.pipeline.register.")
