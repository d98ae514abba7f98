"""Loads by the engine, held against a model after each: rows, counts, refusals, watermark, closures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from ematix_flow import pipeline
from ematix_flow.errors import EmatixError
from ematix_flow.source import Source
from ematix_flow.table import ManagedTable
from tests.conformance.cases import Case
from tests.conformance.shapes import Rows, spelled
from tests.fix_db import Database
from tests.oracle.history import History, Version, flaws
from tests.oracle.model import Model, Refused
from tests.oracle.values import text

#: What every result has, whatever the strategy.
ALWAYS = {"run_id", "status", "path", "pipeline", "duration_seconds"}


@dataclass(frozen=True)
class Lane:
    """A way from a source to a target: the databases, a connection to each, and the path that is to be taken."""

    path: str
    database: Database
    origin: Database
    target: Any
    source: Any
    force_path: str | None = None


@dataclass
class Subject:
    """One table under load, beside its model."""

    lane: Lane
    case: Case
    table: type[ManagedTable] = field(init=False)
    model: Model = field(init=False)
    results: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table = self.case.shape.declared()
        self.model = self.case.model()

    @property
    def name(self) -> str:
        return f"{self.table.__schema__}.{self.table.__tablename__}"

    def sync(self, query: str, *, lane: Lane | None = None, **more: Any) -> dict[str, Any]:
        """One load by the engine, and nothing else."""
        lane = lane or self.lane
        return pipeline.sync(
            target=self.table,
            source=Source(connection=lane.source, query=query),
            target_connection=lane.target,
            force_path=lane.force_path,
            **{**self.case.arguments, **more},
        )

    def load(self, rows: Rows) -> dict[str, Any] | None:
        """One load by the engine and by the model, which must agree; None when both refuse it."""
        try:
            result = self.sync(self.case.shape.query(rows))
        except EmatixError as error:
            self.agree_on_refusal(rows, error)
            return None
        counts = self.model.load(rows, self.loaded_at(result), result["run_id"])
        assert counts_of(result) == counts
        self.check_result(result)
        self.check()
        self.results.append(result)
        return result

    def agree_on_refusal(self, rows: Rows, error: EmatixError) -> None:
        with pytest.raises(Refused) as refused:
            self.model.load(rows, datetime.now(UTC))
        assert type(error).__name__ in refused.value.kinds, error
        self.check()

    def check_result(self, result: Mapping[str, Any]) -> None:
        assert (result["status"], result["path"], result["pipeline"]) == ("success", self.lane.path, self.name)
        watermark = result.get("watermark")
        assert (watermark is not None) == (self.model.watermark is not None)
        if watermark and self.model.watermark:
            assert (watermark["column"], self.read(watermark["stored"])) == (self.model.watermark.column, text(self.model.watermark.value))
        recorded = self.lane.database(
            "SELECT status, rows_inserted, rows_deleted FROM ematix_flow.run_history WHERE run_id = %s", result["run_id"]
        )
        assert recorded == [("success", result["rows_inserted"], result.get("rows_deleted"))]

    def check(self) -> None:
        """The table, its watermark and its closures are what the model says; a table nothing was ever loaded into is not there."""
        found = self.rows()
        assert found == sorted_rows(self.model.table()) if found is not None else not self.model.table()
        assert self.watermark() == (text(self.model.watermark.value) if self.model.watermark else None)
        if isinstance(self.model, History) and found is not None:
            assert flaws(self.versions()) == []
            if getattr(self.case.arguments.get("strategy"), "closures", False):
                assert self.closures() == self.expected_closures()

    def rows(self) -> list[tuple[Any, ...]] | None:
        """The whole table, its declared columns as the server shows them; None when it is not there."""
        database = self.lane.database
        own = database(
            "SELECT quote_ident(attname), attname::text FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            self.name,
        )
        if not own:
            return None
        declared = {*self.case.shape.columns, getattr(self.model, "mark", None), "_batch_id"}
        names = [name for _, name in own]
        selected = ", ".join(f"{quoted}::text" if name in declared else quoted for quoted, name in own)
        return sorted_rows([dict(zip(names, row, strict=True)) for row in database(f"SELECT {selected} FROM {self.name}")])

    def versions(self) -> list[Version]:
        assert isinstance(self.model, History)
        start, end = self.bounds()
        keys = ", ".join(f"{key}::text" for key in self.model.keys)
        return [
            Version(tuple(key), (), since, until)
            for *key, since, until in self.lane.database(f"SELECT {keys}, {start}, {end} FROM {self.name}")
        ]

    def bounds(self) -> tuple[str, str]:
        """The names of the columns that hold start and end of a version, in the history and in its closures."""
        assert isinstance(self.model, History)
        start, end = (f'"{self.model.names.get(name, name)}"' for name in ("valid_from", "valid_to"))
        return start, end

    def closures(self) -> list[tuple[Any, ...]]:
        start, end = self.bounds()
        keys = ", ".join(f"{key}::text" for key in self.case.shape.keys)
        return sorted(self.lane.database(f"SELECT {keys}, {start}, {end}, run_id::text FROM {self.name}__closures"), key=repr)

    def expected_closures(self) -> list[tuple[Any, ...]]:
        assert isinstance(self.model, History)
        return sorted(((*map(text, key), start, end, run) for key, start, end, run in self.model.closures), key=repr)

    def watermark(self) -> str | None:
        if self.lane.database.value("SELECT to_regclass('ematix_flow.watermarks') IS NULL"):
            return None
        found = self.lane.database("SELECT last_value FROM ematix_flow.watermarks WHERE pipeline_name = %s", self.name)
        return self.read(found[0][0]) if found else None

    def read(self, stored: str | None) -> str | None:
        """The text of a watermark, which is made to be read under any settings, as the server shows it here."""
        if stored is None or self.model.watermark is None:
            return stored
        found: str = self.lane.database.value(
            f"SELECT %s::text::{spelled(self.case.shape.columns[self.model.watermark.column])}::text", stored
        )
        return found

    def history(self) -> list[tuple[Any, ...]]:
        """The runs on this table: their status and times."""
        if self.lane.database.value("SELECT to_regclass('ematix_flow.run_history') IS NULL"):
            return []
        return self.lane.database(
            "SELECT status, run_id::text, loaded_at FROM ematix_flow.run_history WHERE target_table = %s ORDER BY started_at",
            self.table.__tablename__,
        )

    def loaded_at(self, result: Mapping[str, Any]) -> datetime:
        found: datetime = self.lane.database.value("SELECT loaded_at FROM ematix_flow.run_history WHERE run_id = %s", result["run_id"])
        return found

    def state(self) -> tuple[Any, ...]:
        """All that a load may change."""
        return self.rows(), self.watermark(), self.history()


def counts_of(result: Mapping[str, Any]) -> dict[str, int]:
    """The counts of a result. Whatever else it has must be known."""
    counts = {name: value for name, value in result.items() if name.startswith("rows_")}
    assert set(result) - set(counts) - {"watermark"} == ALWAYS
    return counts


def sorted_rows(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows of one table in an order that does not depend on the server, each with its columns by name."""
    return sorted((tuple(sorted(row.items())) for row in rows), key=repr)
