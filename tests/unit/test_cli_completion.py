"""``flow completion``, asked in the shells themselves; zsh and fish where they are installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ematix_flow.cli import main
from ematix_flow.cli._main import commands

if TYPE_CHECKING:
    from pathlib import Path

ASK = {
    # As each shell calls it: bash hands an array over and reads another, zsh has its words in $words, fish answers by itself.
    "bash": """
source ./script
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
complete -p flow > /dev/null && _flow && printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "zsh": """
compdef() {{ : }}
compadd() {{ [[ $1 == -a ]] && print -l -- ${{(P)2}} || {{ shift; print -l -- $@ }} }}
_describe() {{ local one; for one in ${{(P)2}}; do print -r -- ${{one%%:*}}; done }}
_files() {{ : }}
source ./script
words=({words}); CURRENT=$#words
_flow
""",
    "fish": """
source ./script
complete -C "{line}" | string replace -r '\\t.*' ''
""",
}


@pytest.fixture(params=list(ASK))
def shell(request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.chdir(tmp_path)
    assert main(["completion", name]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    return name


def completed(shell: str, *words: str) -> list[str]:
    """What is offered for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = ASK[shell].format(words=quoted, line=" ".join(words))
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    last = words[-1]
    return [word for word in done.stdout.split() if word.startswith(last)]


def test_commands(shell: str) -> None:
    expected = [command.name for command in commands()]
    assert [word for word in completed(shell, "flow", "") if not word.startswith("-")] == expected
    assert completed(shell, "flow", "run-") == ["run-due"]


def test_nested_commands(shell: str) -> None:
    assert sorted(word for word in completed(shell, "flow", "connections", "") if not word.startswith("-")) == ["check", "list", "set"]
    # Of two places that have a command "list", each has its own options.
    assert "--module" in completed(shell, "flow", "list", "--")
    assert "--module" not in completed(shell, "flow", "connections", "list", "--")


def test_options(shell: str) -> None:
    assert sorted(completed(shell, "flow", "run", "--")) == ["--format", "--help", "--module", "--on-busy", "--progress"]
    assert completed(shell, "flow", "run", "customers", "--on") == ["--on-busy"]


def test_values(shell: str) -> None:
    assert sorted(completed(shell, "flow", "run", "--on-busy", "")) == ["fail", "skip", "wait"]
    assert completed(shell, "flow", "run", "customers", "--progress", "r") == ["rich"]
    assert [word for word in completed(shell, "flow", "completion", "") if not word.startswith("-")] in (
        ["bash", "zsh", "fish"],
        ["bash", "fish", "zsh"],
    )


def test_modules(shell: str, tmp_path: Path) -> None:
    for name in ("pipelines.py", "others.py", "notes.txt"):
        (tmp_path / name).touch()
    assert sorted(completed(shell, "flow", "run", "--module", "")) == ["others", "pipelines"]


def test_values_behind_an_equals_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """bash makes three words of it."""
    monkeypatch.chdir(tmp_path)
    assert main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    for words in (("--on-busy", "="), ("--on-busy", "=", "s")):
        script = ASK["bash"].format(words=" ".join(f"'{word}'" for word in ("flow", "run", *words)))
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.split() == (["skip"] if words[-1] == "s" else ["wait", "skip", "fail"])


def test_another_shell_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["completion", "tcsh"])
    out, err = capsys.readouterr()
    assert (left.value.code, out) == (2, "")
    assert "flow completion: error: argument SHELL: invalid choice: 'tcsh'" in err
