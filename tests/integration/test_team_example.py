"""The pipelines of ``examples/team`` on two days: by the Python API and by the installed ``flow``, with the same stored outputs; and what they
show of themselves before and after.

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
from ematix_flow.cli import main
from ematix_flow.cli._result import errors, jsonable, loads

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

#: Tables of versions, with a key to look at.
HISTORIES = {"warehouse.customer_history": "1", "warehouse.price_history": "SKU-1", "warehouse.offers": "SKU-1"}

#: Whose preview is stored with the text of its statements. Of the others their names say enough.
IN_FULL = "orders_received"

#: Described as data: previews of those are not built.
NO_PREVIEW = ("countries",)

#: What differs from run to run, and what stands in its place. Times of the data are all before 2026 or in 2099.
VOLATILE = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
    (r'"duration_seconds": [0-9.e-]+', '"duration_seconds": 0'),
    (r"\b\d+\.\d+ s\b", "<seconds> s"),
    (r"\b20(?:2[6-9]|[3-8]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00(?::00)?|Z)?", "<time>"),
    (r'("ematix_test_\d+_\d+" on) [^\s:]+:', r"\1 <host>:"),
    (r"[\w.]+/ematix_test_\d+_\d+", "<host>/<database>"),
    (r"ematix_test_\d+_\d+", "<database>"),
    (r'"(host|user)": "[^"]*"', r'"\1": "<\1>"'),
    (r'"port": \d+', '"port": 0'),
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


def arguments(words: tuple[str, ...]) -> list[str]:
    """The words of a command, with the module where it reads one."""
    return [*words] if words[0] in ("history", "doctor") else [words[0], "--module", "team_pipelines", *words[1:]]


def shown(words: tuple[str, ...], text: str, status: int) -> str:
    """A command and what it printed, as they are stored."""
    return normalised(f"$ flow {' '.join(words)}\n{text}") + (f"[exit {status}]\n" if status else "") + "\n"


def by_program(*words: str) -> str:
    """By the installed program."""
    done = subprocess.run([FLOW, *arguments(words)], capture_output=True, text=True, check=False)
    return shown(words, done.stdout + done.stderr, done.returncode)


@pytest.fixture
def by_main(module: Any, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str, int]]:
    """By the same function in this process, which is fast: stdout, stderr, exit status."""

    def run(*words: str) -> tuple[str, str, int]:
        status = main(arguments(words))
        printed = capsys.readouterr()
        return printed.out, printed.err, status

    return run


def without_statements(preview: str) -> str:
    """The names of the statements, without their text; what comes before the plan and the notes behind it stay."""
    head, title, rest = preview.partition("  SQL plan (")
    plan, notes, noted = rest.partition("\n\nNotes:\n")
    names = [line for line in plan.split("\n") if "statement(s):" in line or re.match(r" +\[\d+/\d+\]", line)]
    return head + title + "\n".join(names) + (notes + noted if notes else "\n" * bool(title))


def affected(result: object) -> dict[str, tuple[dict[str, int], str | None]]:
    """The rows that a run, or a dry run as JSON, changed in each target, and its error. A single target of a run has no name."""
    if isinstance(result, str):
        found = json.loads(result)["targets"] if result else []
        return {each["schema_qualified_name"]: (each["dry_run_rows_affected"], each["dry_run_error"]) for each in found}
    counts = {name: {what: rows for what, rows in each.items() if what.startswith("rows_")} for name, each in loads(result).items()}
    return {name: (rows, None) for name, rows in counts.items()} | {name: ({}, error) for name, error in errors(result).items()}


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


def test_what_is_shown_before_and_after(
    shop: Database, database: Database, by_main: Callable[..., tuple[str, str, int]], stored: Callable[[str, str], None]
) -> None:
    def flow(*words: str) -> str:
        out, err, status = by_main(*words)
        return shown(words, out + err, status)

    stored("module.txt", flow("list") + flow("list", "--format", "json"))
    previews = {name: flow("preview", name) for name in PIPELINES}
    text = "".join(text if name == IN_FULL else without_statements(text) for name, text in previews.items())
    stored("before_first_day.txt", text + flow("preview", "scans", "--format", "json") + flow("validate", "revenue"))

    for name in PIPELINES:
        pipeline.run_pipeline(name)
    next_day(shop)
    text = ""
    for name in PIPELINES:
        before = tables(database, shop), runs(database, shop)
        out, err, status = by_main("dry-run", name, "--format", "json")
        dry = affected(out)
        lines = "".join(f"{target}: {error or json.dumps(rows)}\n" for target, (rows, error) in dry.items())
        text += flow("validate", name) + shown(("dry-run", name, "--format", "json"), lines + err, status)
        text += flow("dry-run", name) if len(dry) > 1 else ""
        assert (tables(database, shop), runs(database, shop)) == before, f"looking at {name} changed something"
        ran = affected(pipeline.run_pipeline(name))
        if name not in NO_PREVIEW:
            assert dry == (dict.fromkeys(dry, ran[""]) if "" in ran else ran), f"the dry run of {name} told something else"
    stored("before_second_day.txt", text)

    text = flow("history", "--limit", "50") + flow("history", "dashboard.revenue", "--connection", "shop")
    stored("history.txt", text + "".join(flow("history", table, "--key", key) for table, key in HISTORIES.items()))
    text = "".join(flow("doctor", table) for table in HISTORIES)
    stored("doctor.txt", text)
    assert text.count(" versions, nothing found\n") == len(HISTORIES)
    plans = [plan for name in PIPELINES if name not in NO_PREVIEW for plan in pipeline.preview(name).targets]
    assert set(HISTORIES) == {plan.schema_qualified_name for plan in plans if plan.mode == "scd2"}


def test_by_the_installed_command(shop: Database, database: Database, stored: Callable[[str, str], None]) -> None:
    def stands_in(name: str, *words: str) -> None:
        assert by_program(*words) in (TEAM / "outputs" / name).read_text(encoding="utf-8")

    stands_in("module.txt", "list")
    stands_in("before_first_day.txt", "preview", IN_FULL)
    stored("first_day.txt", "".join(by_program("run", name) for name in PIPELINES))
    next_day(shop)
    text = ""
    for name in PIPELINES:
        if name == "revenue":
            stands_in("before_second_day.txt", "validate", name)
            stands_in("before_second_day.txt", "dry-run", name)
        text += (printed := by_program("run", name))
        assert printed.endswith("\n[exit 1]\n\n") == (name == "revenue"), "of which one target fails"
    stored("second_day.txt", text)
    stored("tables.txt", tables(database, shop))
    stored("run_history.txt", runs(database, shop))
    stands_in("history.txt", "history", "--limit", "50")
    stands_in("history.txt", "history", "warehouse.customer_history", "--key", "1")
    stands_in("doctor.txt", "doctor", "warehouse.customer_history")


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
