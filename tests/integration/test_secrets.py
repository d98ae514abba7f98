"""A password that nobody may see, in every place where one can stand: whatever ``flow`` is asked, and whatever is printed, it is not in it.

The words are those of tests/cli_table.py, so that a new command is tried as well.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import traceback
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from ematix_flow import _core, config, pipeline
from ematix_flow.cli import main
from tests.cli_table import BROKEN, PIPELINES, ROWS, Never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Each part is looked for by itself: whoever cuts it at an odd character shows a part.
PARTS = ("canary", "0dd", "ch4rs", "gr33k")
SECRET = "canary@0dd:ch4rs/%41 gr33k"

MODULE = (
    PIPELINES
    + """
import os

from ematix_flow import pipeline

given = os.environ["TEST_DSN"]
described = pipeline.Pipeline(
    name="described",
    source=pipeline.Source(given, "SELECT 1 AS id"),
    target=pipeline.Target(given, "warehouse", "described"),
    mode="append",
    schedule="* * * * *",
)
"""
)

END = "{host}:{port}/postgres"

#: How a password stands in a DSN. ``{host}`` and ``{port}`` are filled in.
FORMS = {
    "escaped": f"postgresql://loader:{quote(SECRET, safe='')}@{END}?sslmode=disable",
    "escaped by another function": f"postgresql://loader:{quote_plus(SECRET, safe='')}@{END}?sslmode=disable",
    "as it is": f"postgresql://loader:{SECRET}@{END}?sslmode=disable",
    "in the query": f"postgresql://loader@{END}?sslmode=disable&password={quote(SECRET, safe='')}",
    "of a key": f"postgresql://loader@{END}?sslmode=disable&sslpassword={quote(SECRET, safe='')}",
    "key and value": f"host={{host}} port={{port}} user=loader password='{SECRET}'",
    "without an end": f"postgresql://loader:{SECRET}",
    "TLS is refused": f"postgresql://loader:{quote(SECRET, safe='')}@{END}?sslmode=require",
    "a host that is none": f"postgresql://loader:{quote(SECRET, safe='')}@[nowhere/postgres",
    "another kind": f"mysql://loader:{SECRET}@{END}",
    "a variable that is not set": f"postgresql://loader:{quote(SECRET, safe='')}${{UNSET}}@{END}",
}


class Spot:
    """Where a DSN stands: the folder, the home folder, and the environment."""

    def __init__(self, place: Path, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.place, self.home, self.patch = place, home, patch

    def project(self, dsn: str, name: str = "default") -> None:
        self._write(self.place / ".ematix-flow.toml", dsn, name)

    def user(self, dsn: str) -> None:
        folder = self.home / ".ematix-flow"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._write(folder / "connections.toml", dsn, "default")

    def environment(self, dsn: str) -> None:
        self.patch.setenv("EMATIX_FLOW_DSN", dsn)

    def named(self, dsn: str) -> None:
        self.patch.setenv("EMATIX_FLOW_DSN_DEFAULT", dsn)

    def variable(self, dsn: str) -> None:
        self.patch.setenv("WHOLE", dsn)
        self.project("${WHOLE}")

    def part(self, dsn: str) -> None:
        self.patch.setenv("WORD", quote(SECRET, safe=""))
        self.project(dsn.replace(quote(SECRET, safe=""), "${WORD}"))

    def libpq(self, dsn: str) -> None:
        self.patch.setenv("PGPASSWORD", SECRET)
        self.project(dsn.replace(":" + quote(SECRET, safe=""), ""))

    @staticmethod
    def _write(path: Path, dsn: str, name: str) -> None:
        path.write_text(f"[connections.{name}]\ndsn = {json.dumps(dsn)}\n")
        path.chmod(0o600)


@pytest.fixture
def spot(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spot]:
    place = tmp_path / "place"
    place.mkdir()
    (place / "pipelines.py").write_text(MODULE)
    (place / "broken.py").write_text(BROKEN)
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(place / "embedded"))
    yield Spot(place, home, monkeypatch)
    pipeline._REGISTRY.pop("customers", None)
    pipeline._REGISTRY.pop("described", None)


def command_lines(dsn: str) -> Iterator[list[str]]:
    """All words of the table, also with the other pipeline, and with the DSN where somebody might type it."""
    yield ["connections", "set", f"dwh={dsn}"]
    yield ["connections", "set", dsn]
    yield ["init", "other", "--dsn", dsn]
    for name in ("connections check", "run-due --module pipelines --claim", "demo --connection", "demo --dsn"):
        yield [*name.split(), dsn]
    for row in ROWS.values():
        for cell in row:
            if not isinstance(cell, Never):
                yield cell.words.split()
                if "customers" in cell.words:
                    yield cell.words.replace("customers", "described").split()


def everything(dsn: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, *, demo: bool) -> dict[str, str]:
    """What all commands print and log, and what the library shows of the same connection."""
    caplog.set_level(logging.DEBUG)
    shown: dict[str, str] = {}
    for words in command_lines(dsn):
        if words[0] == "demo" and not demo:
            continue
        for module in ("pipelines", "broken"):
            sys.modules.pop(module, None)
        for name in ("customers", "described"):
            pipeline._REGISTRY.pop(name, None)
        shutil.rmtree("new", ignore_errors=True)
        shutil.rmtree("other", ignore_errors=True)
        try:
            status = main(words)
        except SystemExit as left:
            status = int(str(left.code))
        out, err = capsys.readouterr()
        shown[" ".join(words).replace(dsn, "DSN")] = f"{status} {out} {err} {caplog.text}"
        caplog.clear()
    for what, call in library(dsn).items():
        try:
            value = call()
            shown[what] = f"{value!r} {value}"
        except Exception as error:
            about = {name: getattr(error, name, "") for name in ("hint", "detail", "phase", "run_id", "args")}
            shown[what] = f"{error!r} {error} {about} {''.join(traceback.format_exception(error))}"
    return shown


def library(dsn: str) -> dict[str, Callable[[], Any]]:
    source, target = pipeline.Source(dsn, "SELECT 1 AS id"), pipeline.Target(dsn, "warehouse", "described")
    described = pipeline.Pipeline(name="p", source=source, target=target, mode="append")
    return {
        "connect": config.connect,
        "connect by name": lambda: config.connect("dwh"),
        "connect by URL": lambda: config.connect(url=dsn),
        "_core.connect": lambda: _core.connect(dsn),
        "repr of a connection": lambda: _core.connect(dsn).connection_info(),
        "same_database": lambda: _core.same_database(dsn, dsn),
        "list_connections": config.list_connections,
        "list_connections as JSON": lambda: json.dumps(config.list_connections()),
        "check_connection": lambda: config.check_connection("default"),
        "a DSN as a name": lambda: config.check_connection(dsn),
        "connect to a DSN as a name": lambda: config.connect(dsn),
        "Source": lambda: source,
        "Target": lambda: target,
        "Pipeline": lambda: described,
        "Pipeline.run": described.run,
        "Pipeline.register": lambda: (described.register(), pipeline._REGISTRY.pop("p")),
    }


def leaks(shown: dict[str, str], *secrets: str) -> list[str]:
    """Where a secret is, and what stands around it."""
    found = []
    for what, text in shown.items():
        at = min((at for secret in secrets if (at := text.lower().find(secret.lower())) >= 0), default=None)
        if at is not None:
            found.append(f"{what}: {text[max(at - 60, 0) : at + 40]}")
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("end", ["nobody listens", "refused"])
def test_forms_of_a_dsn(
    form: str, end: str, spot: Spot, server: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    host, port = (server.host, server.port) if end == "refused" else ("127.0.0.1", 1)
    dsn = FORMS[form].replace("{host}", host).replace("{port}", str(port))
    spot.project(dsn)
    spot.patch.setenv("TEST_DSN", dsn)
    shown = everything(dsn, capsys, caplog, demo=True)
    assert leaks(shown, *PARTS) == []


@pytest.mark.parametrize("where", ["project", "user", "environment", "named", "variable", "part", "libpq"])
def test_places_of_a_dsn(where: str, spot: Spot, server: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    dsn = FORMS["escaped"].replace("{host}", server.host).replace("{port}", str(server.port))
    getattr(spot, where)(dsn)
    spot.patch.setenv("TEST_DSN", dsn)
    shown = everything(dsn, capsys, caplog, demo=True)
    assert leaks(shown, *PARTS) == []


def test_what_works_shows_no_password_either(
    spot: Spot, server: Any, dsn: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    if not server.password:
        pytest.skip("the server asks for no password")
    spot.project(dsn)
    spot.patch.setenv("TEST_DSN", dsn)
    shown = everything(dsn, capsys, caplog, demo=False)
    assert leaks(shown, server.password, quote(server.password, safe="")) == []
    assert shown["run --module pipelines customers"].startswith('0 {"run_id"')


def test_the_search_finds_what_is_there() -> None:
    shown = {"a": "user:Canary@host", "b": "user:***@host", "c": "...ch4rs%2F"}
    assert leaks(shown, *PARTS) == ["a: user:Canary@host", "c: ...ch4rs%2F"]
