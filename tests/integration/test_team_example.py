"""The pipelines of ``examples/team`` on two days: by the Python API and by the installed ``flow``, with the same stored outputs.

``EMATIX_GOLDEN=write`` writes ``examples/team/outputs`` anew; the diff is the review.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import pipeline
from ematix_flow.cli._result import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fix_db import Database

TEAM = Path(__file__).resolve().parents[2] / "examples" / "team"
FLOW = Path(sys.executable).parent / "flow"

#: In the order in which a day runs them: reports come last.
PIPELINES = [
    "orders_received",
    "orders",
    "customers",
    "customer_history",
    "products",
    "prices",
    "offers",
    "stock",
    "carriers",
    "shipments",
    "scans",
    "returns",
    "countries",
    "revenue",
    "orders_without_customer",
]

# Commands beside ``run``, one line each; the name of the pipeline comes after the first word.
#: Of the module as a whole, once.
OF_THE_MODULE: tuple[tuple[str, ...], ...] = (("list",), ("list", "--format", "json"))
#: Of each pipeline, once, before anything has run.
OF_EACH_PIPELINE: tuple[tuple[str, ...], ...] = ()
#: Of each pipeline, each day before it runs.
BEFORE_EACH_RUN: tuple[tuple[str, ...], ...] = ()

#: What differs from run to run, and what stands in its place. Times of the data are all before 2026 or in 2099.
VOLATILE = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r'"duration_seconds": [0-9.e-]+', '"duration_seconds": 0'),
    (r"\b20(?:2[6-9]|[3-8]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00(?::00)?|Z)?", "<time>"),
    (r"ematix_test_\d+_\d+", "<database>"),
)


def normalised(text: str) -> str:
    for pattern, instead in VOLATILE:
        text = re.sub(pattern, instead, text)
    return text


@pytest.fixture
def stored() -> Callable[[str, str], None]:
    """Compares a text with the stored one of that name, or stores it."""

    def check(name: str, text: str) -> None:
        path = TEAM / "outputs" / name
        if os.environ.get("EMATIX_GOLDEN") == "write":
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} differs; EMATIX_GOLDEN=write writes it anew"

    return check


@pytest.fixture
def shop(database: Database, other_database: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Database:
    """The two databases on the morning of the first day, under the names that the module uses. The warehouse is ``database``."""
    database((TEAM / "warehouse.sql").read_text(encoding="utf-8"))
    other_database((TEAM / "shop.sql").read_text(encoding="utf-8"))
    monkeypatch.setenv("EMATIX_FLOW_DSN", database.dsn)
    monkeypatch.setenv("EMATIX_FLOW_DSN_SHOP", other_database.dsn)
    monkeypatch.chdir(TEAM)
    return other_database


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, imported anew into an empty registry."""
    monkeypatch.syspath_prepend(str(TEAM))
    pipeline._REGISTRY.clear()
    yield importlib.import_module("team_pipelines")
    sys.modules.pop("team_pipelines")
    pipeline._REGISTRY.clear()


def next_day(shop: Database) -> None:
    shop((TEAM / "next_day.sql").read_text(encoding="utf-8"))


def by_command(*words: str) -> str:
    done = subprocess.run([FLOW, words[0], "--module", "team_pipelines", *words[1:]], capture_output=True, text=True, check=False)
    status = f"[exit {done.returncode}]\n" if done.returncode else ""
    return normalised(f"$ flow {' '.join(words)}\n{done.stdout}{done.stderr}{status}") + "\n"


def each(*commands: tuple[str, ...]) -> str:
    return "".join(by_command(words[0], name, *words[1:]) for name in PIPELINES for words in commands)


def by_call(name: str) -> str:
    """The result of a call of a pipeline, as ``flow run`` prints it."""
    return normalised(json.dumps(jsonable(pipeline.run_pipeline(name)), default=str))


def results_in(name: str) -> dict[str, str]:
    """The results that a stored output of ``flow run`` has, by pipeline."""
    found = re.findall(r"^\$ flow run (\w+)\n(\{.*\})$", (TEAM / "outputs" / name).read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def tables(*databases: Database) -> str:
    """Every row of every table that the pipelines made or wrote, the state tables left out; columns by name, rows sorted."""
    text = ""
    for database in databases:
        database("SET TIME ZONE 'UTC'")
        found = database(
            "SELECT format('%I.%I', nspname, relname), (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attname <> 'price_hash' AND attname <> 'row_hash')"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE relkind = 'r' AND nspname IN ('warehouse', 'dashboard') ORDER BY 1"
        )
        for name, columns in found:
            rows = [row for (row,) in database(f"SELECT ROW({columns})::text FROM {name}")]
            text += f"{name} ({columns})\n" + "".join(f"  {row}\n" for row in sorted(map(normalised, rows))) + "\n"
    return text


def runs(*databases: Database) -> str:
    """The run history of each database, oldest first."""
    text = ""
    for database in databases:
        found = database(
            "SELECT concat_ws(' | ', pipeline_name, target_schema || '.' || target_table, mode, path, status, 'inserted ' || rows_inserted,"
            " 'updated ' || rows_updated, 'closed ' || rows_closed, 'deleted ' || rows_deleted, error_message)"
            " FROM ematix_flow.run_history ORDER BY started_at"
        )
        text += "".join(normalised(f"{row}\n") for (row,) in found) + "\n"
    return text


def test_by_the_installed_command(shop: Database, database: Database, stored: Callable[[str, str], None]) -> None:
    stored("module.txt", "".join(by_command(*words) for words in OF_THE_MODULE))
    if OF_EACH_PIPELINE:
        stored("pipelines.txt", each(*OF_EACH_PIPELINE))
    stored("first_day.txt", each(*BEFORE_EACH_RUN, ("run",)))
    next_day(shop)
    stored("second_day.txt", each(*BEFORE_EACH_RUN, ("run",)))
    stored("tables.txt", tables(database, shop))
    stored("run_history.txt", runs(database, shop))


def test_by_the_python_api(module: Any, shop: Database, database: Database, stored: Callable[[str, str], None]) -> None:
    assert sorted(PIPELINES) == [entry.name for entry in pipeline.list_entries()]
    assert {name: by_call(name) for name in PIPELINES} == results_in("first_day.txt")
    next_day(shop)
    assert {name: by_call(name) for name in PIPELINES} == results_in("second_day.txt")
    stored("tables.txt", tables(database, shop))
    stored("run_history.txt", runs(database, shop))
    assert (module.orders.__doc__, module.orders.__name__) == (
        "Reads ten minutes back behind the watermark: writers of the shop commit late.",
        "orders",
    )
