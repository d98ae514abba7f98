"""The table of tests/cli_table.py: every command in every situation, exit status and both outputs whole, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow.cli._command import Group
from ematix_flow.cli._main import commands
from tests.cli_table import BROKEN, PIPELINES, ROWS, SITUATIONS, Elsewhere, Never, Says

if TYPE_CHECKING:
    from collections.abc import Iterator

UNREACHABLE = "postgresql://loader:canary@127.0.0.1:1/dwh"
FLOW = Path(sys.executable).with_name("flow")


def names() -> Iterator[str]:
    for command in commands():
        if isinstance(command, Group):
            yield from (f"{command.name} {member.name}" for member in command.commands)
        else:
            yield command.name


def test_every_command_has_a_row() -> None:
    assert sorted(ROWS) == sorted(names()), "a command has no row in tests/cli_table.py, or a row no command"
    for name, row in ROWS.items():
        assert len(row) == len(SITUATIONS), name
        assert all(isinstance(cell, Never) or cell.words.startswith(name) for cell in row), name


def test_what_is_asserted_elsewhere_is_there() -> None:
    for cell in (cell for row in ROWS.values() for cell in row if isinstance(cell, Elsewhere)):
        assert (Path(__file__).parents[2] / cell.test).exists(), cell.test


CELLS = [
    pytest.param(situation, cell, id=f"{name}-{situation}")
    for name, row in ROWS.items()
    for situation, cell in zip(SITUATIONS, row, strict=True)
    if isinstance(cell, Says)
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "pipelines.py").write_text(PIPELINES)
    (folder / "broken.py").write_text(BROKEN)
    return folder


def flow(place: Path, *words: str) -> tuple[int, str, str]:
    program = [str(FLOW)] if FLOW.exists() else [sys.executable, "-m", "ematix_flow.cli"]
    environment = os.environ | {"EMATIX_FLOW_EMBEDDED_DIR": str(place / "embedded"), "COLUMNS": "80"}
    environment["PATH"] = f"{FLOW.parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run([*program, *words], capture_output=True, text=True, cwd=place, env=environment, check=False)
    return done.returncode, done.stdout, done.stderr


def known(text: str) -> str:
    """Without what is new in each run."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "RUN", text)
    text = re.sub(r"\(choose from .*\)", lambda found: found[0].replace("'", ""), text)  # quoted by some versions of Python
    return re.sub(r'("duration_seconds": )[0-9.e-]+', r"\g<1>0.0", text)


def stored(text: str, written: str) -> str:
    """The text itself, or that of the file it names."""
    if not text.startswith("@"):
        return text
    file = Path(__file__).parents[1] / "cli_outputs" / text[1:]
    if os.environ.get("EMATIX_GOLDEN") == "write":
        file.parent.mkdir(exist_ok=True)
        file.write_text(known(written))
    return file.read_text()


@pytest.mark.parametrize(("situation", "cell"), CELLS)
def test_status_and_outputs(situation: str, cell: Says, place: Path, home: Path, dsn: str) -> None:
    dsn = UNREACHABLE if situation == "unreachable" else dsn
    path = place / ".ematix-flow.toml"
    path.write_text(f"[connections.default]\ndsn = '{dsn}'\n")
    path.chmod(0o600)
    about: dict[str, Any] = {"redacted": re.sub(r":[^:@/]*@", ":***@", dsn), "here": place, "home": home}
    status, out, err = flow(place, *cell.words.split())
    expected = [re.sub(r"\{(redacted|here|home)\}", lambda found: str(about[found[1]]), text) for text in (stored(cell.out, out), cell.err)]
    assert (status, known(out), known(err)) == (cell.status, *expected)
