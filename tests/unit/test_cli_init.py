from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow.cli import main
from ematix_flow.cli._command import program

if TYPE_CHECKING:
    from pathlib import Path


def test_project_in_a_new_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "deep" / "my project"
    assert main(["init", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [".ematix-flow.toml", ".gitignore", "README.md", "pipelines.py"]
    assert tomllib.loads((folder / ".ematix-flow.toml").read_text()) == {"connections": {"default": {"dsn": "embedded://default"}}}
    assert stat.S_IMODE((folder / ".ematix-flow.toml").stat().st_mode) == 0o600
    assert len((folder / "README.md").read_text().splitlines()) == 3
    assert capsys.readouterr() == (
        (
            f"wrote {folder}/pipelines.py\nwrote {folder}/README.md\nwrote {folder}/.ematix-flow.toml\nwrote {folder}/.gitignore\n\nnext:\n  cd '{folder}'\n"
            "  flow connections check default\n  flow run --module pipelines customers\n\n"
            "embedded://default is a private server, started at its first use. It needs: pip install 'ematix-flow[embedded]'\n"
        ),
        "",
    )


def test_the_program_is_named_so_that_the_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("other", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
        for name in ("flow", "python"):
            (tmp_path / folder / name).touch(0o755)
    own = tmp_path / ".venv" / "bin" / "flow"
    monkeypatch.setattr(sys, "executable", str(own.with_name("python")))

    monkeypatch.setenv("PATH", str(own.parent))
    assert program(tmp_path) == "flow"
    for path in ("", str(tmp_path / "other")):  # another program of that name
        monkeypatch.setenv("PATH", path)
        assert program(tmp_path) == ".venv/bin/flow"
        assert program(tmp_path / "other") == str(own)
    own.unlink()
    assert program(tmp_path) == "flow"
    monkeypatch.setenv("PATH", "")
    assert program(tmp_path) == f"{own.with_name('python')} -m ematix_flow.cli"


def test_project_here_with_a_dsn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    dsn = 'postgresql://loader:p"\\q\x7fé@db/dwh'
    assert main(["init", "--dsn", dsn]) == 0
    assert tomllib.loads((tmp_path / ".ematix-flow.toml").read_text())["connections"]["default"]["dsn"] == dsn
    out, err = capsys.readouterr()
    assert out.endswith("\nnext:\n  flow connections check default\n  flow run --module pipelines customers\n")
    assert "loader" not in out + err


@pytest.mark.parametrize("name", ["pipelines.py", "README.md", ".ematix-flow.toml"])
def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / name).write_text("mine")
    assert main(["init", str(tmp_path)]) == 2
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]
    assert capsys.readouterr() == ("", f"error: {tmp_path / name} exists already; nothing was written\nhint: Choose another folder.\n")


def test_a_gitignore_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine")
    assert main(["init", str(tmp_path)]) == 0
    assert (tmp_path / ".gitignore").read_text() == "mine"


def test_the_file_with_the_connection_is_ignored_by_git(tmp_path: Path) -> None:
    main(["init", str(tmp_path)])
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    done = subprocess.run(["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"], capture_output=True, text=True, check=True)
    assert done.stdout.split()[1::2] == [".gitignore", "README.md", "pipelines.py"]


@pytest.mark.parametrize("command", ["init", "demo"])
@pytest.mark.parametrize("dsn", ["", " "])
def test_an_empty_dsn_is_not_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, dsn: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([command, "--dsn", dsn]) == 2
    assert capsys.readouterr() == (
        "",
        "error: --dsn is empty\nhint: Leave it out for a private server, or give postgresql://USER@HOST/DATABASE.\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_rights_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(path: object, *_: object) -> None:  # root, as in many containers, may look everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    with monkeypatch.context() as patched:
        patched.setattr(os.path, "lexists", lambda path: False)
        patched.setattr(os, "open", denied)
        assert main(["init", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot write {tmp_path}/pipelines.py: Permission denied\nhint: Choose a folder that you may write to.\n"
    )


def test_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["init", str(tmp_path / "file" / "below")]) == 2
    assert capsys.readouterr().err == f"error: cannot write {tmp_path}/file/below: Not a directory\n"


def test_the_module_declares_what_the_text_says(tmp_path: Path) -> None:
    from ematix_flow import pipeline

    main(["init", str(tmp_path)])
    names: dict[str, Any] = {"__name__": "pipelines"}
    exec(compile((tmp_path / "pipelines.py").read_text(), "pipelines.py", "exec"), names)
    assert [entry.name for entry in pipeline.list_entries()] == ["customers"]
    assert (names["Customers"].__schema__, names["Customers"].__tablename__) == ("warehouse", "customers")
