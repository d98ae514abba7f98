"""What a person sees, looked at: the commands on terminals of 80 and 200 columns, with and without colour, and results as notebooks show them, in a browser.

``EMATIX_PICTURES=write`` stores the pictures of ``docs/pictures`` anew.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import config, pipeline
from tests import screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.fix_db import Database

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
FLOW = Path(sys.executable).with_name("flow")

MODULE = '''
from typing import Annotated

from ematix_flow import ematix, pk
from ematix_flow.strategy import SCD2
from ematix_flow.types import BigInt, String, Text, TimestampTZ


@ematix.table(schema="warehouse")
class Customers:
    """Customers with their history."""

    customer_id: Annotated[BigInt, pk()]
    name: Annotated[String, 60]
    tier: Text | None
    changed_at: TimestampTZ


@ematix.table(schema="warehouse")
class CustomersNow:
    customer_id: Annotated[BigInt, pk()]
    name: Annotated[String, 60]
    tier: Text | None
    changed_at: TimestampTZ


@ematix.pipeline(target=Customers, strategy=SCD2(event_timestamp_column="changed_at", versions="all", late="splice"), schedule="0 * * * *")
def customers(conn):
    return "SELECT customer_id, name, tier, changed_at FROM shop.customers"


@ematix.pipeline(
    targets=[ematix.target(CustomersNow, mode="merge", handle_deletes="hard"), ematix.target(Customers, mode="append")],
    schedule=None,
    continue_on_failure=True,
)
def everywhere(conn):
    return "SELECT customer_id, name, tier, changed_at FROM shop.customers WHERE changed_at < '2026-02-01Z'"
'''

SEED = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (customer_id bigint, name text, tier text, changed_at timestamptz);
INSERT INTO shop.customers VALUES
    (1, 'Ada', 'silver', '2026-01-05Z'), (1, 'Ada', 'gold', '2026-03-10Z'), (1, 'Ada Lovelace', 'gold', '2026-06-01Z'),
    (2, 'Grace', NULL, '2026-02-01Z'), (3, 'Katherine', 'silver', '2026-01-20Z');
"""

pytestmark = pytest.mark.skipif(not FLOW.exists(), reason="flow is not installed beside this Python")


@pytest.fixture
def project(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a module of pipelines and their sources, loaded once; the current folder."""
    for statement in SEED.strip().split(";\n"):
        database(statement)
    (tmp_path / "pictured.py").write_text(MODULE)
    file = tmp_path / ".ematix-flow.toml"
    file.write_text(f"[connections.default]\ndsn = '{database.dsn}'\n")
    file.chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("pictured", None)
    pipeline._REGISTRY.clear()
    __import__("pictured")
    pipeline.run_pipeline("customers")
    yield tmp_path
    pipeline._REGISTRY.clear()


#: What is looked at: words after ``flow``, and what of the text may be wider than the terminal.
COMMANDS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "help": ("--help", lambda line: False),
    "list": ("list --module pictured", lambda line: False),
    # A line of SQL stays one line, so that it can be copied; it begins with four blanks.
    "preview": ("preview customers --module pictured", lambda line: line.startswith("    ") and not line.startswith("    --")),
    "preview of several": ("preview everywhere --module pictured", lambda line: False),
    "dry-run": ("dry-run everywhere --module pictured", lambda line: False),
    "validate": ("validate customers --module pictured", lambda line: False),
    "run": ("run customers --module pictured", lambda line: False),
    "failed run": ("run nothing --module pictured", lambda line: False),
    "history": ("history", lambda line: False),
    "key": ("history warehouse.customers --key 1", lambda line: False),
    "doctor": ("doctor warehouse.customers", lambda line: False),
}


#: Those that docs/ shows.
STORED = ("preview", "dry-run", "key", "run")


@pytest.mark.parametrize("colour", [True, False], ids=["colour", "plain"])
@pytest.mark.parametrize("columns", [80, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_is_cut_on_a_terminal(project: Path, name: str, columns: int, colour: bool) -> None:
    words, wide = COMMANDS[name]
    env = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS", "LINES")} | (
        {} if colour else {"NO_COLOR": "1"}
    )
    shown = screen.on_terminal([str(FLOW), *words.split()], columns=columns, env=env, cwd=project)
    text = screen.plain(shown.written)
    assert "\x1b" not in text
    # A live line is drawn over and over; of it the last state stays. What is left on the screen is what is read.
    written = [line.split("\r")[-1] for line in text.splitlines()]
    assert [line for line in written if len(line) > columns and not wide(line)] == []
    # What the terminal broke, put together again, is what was written: no character was lost or overwritten.
    assert "".join(shown.lines).replace(" ", "").endswith("".join(written[-3:]).replace(" ", ""))
    if not colour:
        assert not shown.coloured
        assert re.search(r"\x1b\[[0-9;]*m", shown.written) is None
    if name == "preview" and colour:
        assert shown.coloured
    if os.environ.get("EMATIX_PICTURES") == "write" and columns == 80 and colour and name in STORED:
        height = 24 + 18 * min(len(shown.lines), 40)
        screen.picture(screen.terminal_html(shown), PICTURES / f"terminal-{name.replace(' ', '-')}.png", width=700, height=height)


def in_notebooks() -> dict[str, Any]:
    """Everything that a notebook shows by itself."""
    connection = config.connect()
    spoiled = config.connect()
    try:
        shown = {
            "preview": pipeline.preview("customers"),
            "preview of several": pipeline.preview("everywhere"),
            "live preview": pipeline.preview("customers", live=True),
            "dry run": pipeline.dry_run("customers"),
            "result": pipeline.run_pipeline("customers"),
            "results": pipeline.run_pipeline("everywhere"),
            "runs": connection.history(),
            "key": connection.history("warehouse.customers", 1),
            "sound": connection.doctor("warehouse.customers"),
        }
        spoiled.execute("ALTER TABLE warehouse.customers DROP CONSTRAINT customers_pkey")
        spoiled.execute("DROP INDEX warehouse.customers_customer_id_idx")
        spoiled.execute("INSERT INTO warehouse.customers SELECT * FROM warehouse.customers WHERE is_current")
        shown["faults"] = connection.doctor("warehouse.customers", keys=["customer_id"])
        return {name: value._repr_html_() for name, value in shown.items()}
    finally:
        connection.close()
        spoiled.close()


@pytest.mark.skipif(screen.BROWSER is None, reason="there is no Chromium here")
def test_nothing_overlaps_or_is_cut_in_a_notebook(project: Path) -> None:
    shown = in_notebooks()
    for theme in ("light", "dark"):
        for width in (700, 1400):
            for name, html in shown.items():
                assert screen.problems(html, width=width, theme=theme) == [], (name, width, theme)
    for name, html in shown.items():
        assert "<script" not in html, name
        assert "http" not in html.replace("http://www.w3.org/2000/svg", ""), name
    if os.environ.get("EMATIX_PICTURES") == "write":
        for name, theme in (
            ("preview", "light"),
            ("results", "light"),
            ("runs", "light"),
            ("key", "dark"),
            ("faults", "dark"),
        ):
            body = screen.page(shown[name], theme=theme)
            screen.picture(body, PICTURES / f"notebook-{name}-{theme}.png", width=900, height=700)


def test_the_pictures_of_the_docs_are_there() -> None:
    docs = PICTURES.parent
    named = {name for file in docs.glob("*.md") for name in re.findall(r"\((pictures/[^)]+\.png)\)", file.read_text())}
    stored = {f"pictures/{file.name}" for file in PICTURES.glob("*.png")}
    assert named == stored
