"""What a load says while it runs, against a server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import _core, _progress, ematix, pipeline, pk
from ematix_flow.source import Source
from ematix_flow.types import BigInt, Text

if TYPE_CHECKING:
    from collections.abc import Mapping


@ematix.table(schema="w")
class Item:
    id: Annotated[BigInt, pk()]
    name: Text


STEPS = [
    "create staging",
    "stage",
    "analyze staging",
    "check keys",
    "lock target",
    "find changes",
    "analyze changes",
    "count changes",
    "by place",
    "update",
    "plan freely",
    "insert",
    "check constraints",
    "commit",
]


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("same_db", ["begin", "lock", "table check", "check query"]),
        ("cross_db", ["begin", "lock", "table check", "connect source", "check query"]),
    ],
)
def test_one_record_for_each_phase(conn: Any, caplog: pytest.LogCaptureFixture, path: str, before: list[str]) -> None:
    caplog.set_level(logging.DEBUG, "ematix_flow")
    source = Source(conn, "SELECT g AS id, 'x' AS name FROM generate_series(1, 1000) AS g")
    result = pipeline.sync(target=Item, source=source, target_connection=conn, mode="merge", force_path=path, pipeline_name="items")
    *phases, whole = caplog.records
    assert [record.phase for record in phases] == before + STEPS  # type: ignore[attr-defined]
    assert {(record.levelname, record.run_id, record.pipeline, record.target) for record in phases} == {  # type: ignore[attr-defined]
        ("DEBUG", result["run_id"], "items", "w.item")
    }
    moved = {record.phase: record.rows for record in phases if record.rows}  # type: ignore[attr-defined]
    assert moved == ({"stage": 1000} if path == "cross_db" else {})
    assert whole.getMessage() == f"items: success after {whole.seconds:.3f} s (run {result['run_id']})"  # type: ignore[attr-defined]
    assert abs(sum(record.seconds for record in phases) - whole.seconds) < 1e-6  # type: ignore[attr-defined]


def test_a_load_that_fails_is_recorded_too(conn: Any, caplog: pytest.LogCaptureFixture, psql: Any) -> None:
    caplog.set_level(logging.INFO, "ematix_flow")
    with pytest.raises(ValueError, match="more than once"):
        pipeline.sync(
            target=Item,
            source=Source(conn, "SELECT 1 AS id, 'a' AS name FROM generate_series(1, 2)"),
            target_connection=conn,
            mode="merge",
        )
    [(run,)] = psql("SELECT run_id::text FROM ematix_flow.run_history")
    [record] = caplog.records
    assert record.getMessage() == f"w.item: duplicate_keys after {record.seconds:.3f} s (run {run})"  # type: ignore[attr-defined]


def test_a_slow_source_shows_the_age_of_the_transaction(conn: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Mapping[str, Any]] = []

    class Told(_progress.Follower):
        def __call__(self, news: Mapping[str, Any] | None) -> None:
            if news is not None:
                heard.append(news)

    monkeypatch.setattr(_progress, "Follower", Told)
    query = "SELECT g AS id, repeat('x', 1000) AS name, pg_sleep(0.0005) IS NULL AS slow FROM generate_series(1, 1000) AS g"
    with _core.connect(dsn) as source:
        pipeline.sync(target=Item, source=Source(source, query), target_connection=conn, force_path="cross_db")
    staging = [news for news in heard if news.get("moved")]
    assert staging
    assert [news["rows"] for news in staging] == sorted(news["rows"] for news in staging)
    assert all(news["transaction_seconds"] > 0 and news["target"] == "w.item" for news in staging)
    assert (heard[-1]["phase"], "transaction_seconds" in heard[-1]) == ("", False)
