"""The wheel as it is published: built once, then imported by every interpreter that is here."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fix_environment import REAL_HOME

ROOT = Path(__file__).resolve().parents[2]
PATTERNS = ("/usr/bin/python3.[0-9]*", "/usr/local/bin/python3.[0-9]*", "/opt/python/cp3*/bin/python3.[0-9]*")
PROBE = "import json, ematix_flow; from ematix_flow import _bridge; print(_bridge.call('version', {}))"


def interpreters() -> dict[str, str]:
    """Version -> program, of every CPython from 3.11 on."""
    found: dict[str, str] = {}
    folders = [*os.environ.get("PATH", "").split(os.pathsep), f"{REAL_HOME}/.pyenv/versions/*/bin", f"{REAL_HOME}/.local/bin"]
    for pattern in [f"{folder}/python3.[0-9]*" for folder in folders] + list(PATTERNS):
        for program in sorted(glob.glob(pattern)):
            name = re.fullmatch(r"python3\.(\d+)", os.path.basename(program))
            if name is None or int(name[1]) < 11 or "shims" in program:
                continue
            question = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"
            try:
                done = subprocess.run([program, "-I", "-c", question], capture_output=True, text=True, check=False)
            except OSError:
                continue
            implementation, _, version = done.stdout.strip().partition(" ")
            if implementation == "cpython":
                found.setdefault(version, program)
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("go") is None:
        pytest.skip("Go is not in PATH")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HOME": REAL_HOME}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.iterdir()
    return built


def test_one_wheel_for_all_versions(wheel: Path) -> None:
    assert re.fullmatch(r"ematix_flow-[\d.]+-cp311-abi3-(linux|macosx)_\w+\.whl", wheel.name)


def test_what_is_in_it(wheel: Path) -> None:
    files = {entry.filename: entry.file_size for entry in zipfile.ZipFile(wheel).infolist()}
    ours = {name.removeprefix("ematix_flow/") for name in files if name.startswith("ematix_flow/")}
    source = ROOT / "python" / "ematix_flow"
    tracked = {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    assert ours == {name for name in tracked if not name.startswith("_native.") or name.endswith(".pyi")} | {"_native.abi3.so"}
    assert "py.typed" in ours
    assert 1_000_000 < files["ematix_flow/_native.abi3.so"] < 20_000_000  # what it may link is in core/policy_test.go
    others = {name.split("/")[0] for name in files} - {"ematix_flow"}
    assert [re.fullmatch(r"ematix_flow-[\d.]+\.dist-info", name) is not None for name in others] == [True]
    assert any(name.endswith("licenses/LICENSE") for name in files)


def test_no_path_of_the_building_machine_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        library = archive.read("ematix_flow/_native.abi3.so")
    assert str(ROOT).encode() not in library
    assert REAL_HOME == "/root" or f"{REAL_HOME}/".encode() not in library


@pytest.mark.skipif(shutil.which("nm") is None, reason="nm is not in PATH")
def test_the_library_exports_one_symbol(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        library = archive.extract("ematix_flow/_native.abi3.so", tmp_path)
    done = subprocess.run(["nm", "-D", "--defined-only", "--format=posix", library], capture_output=True, text=True, check=True)
    assert [line.split()[0].lstrip("_") for line in done.stdout.splitlines()] == ["PyInit__native"]


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_it_is_imported_by(version: str, wheel: Path, tmp_path: Path) -> None:
    program = interpreters().get(version)
    if program is None:
        pytest.skip(f"there is no CPython {version} here")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        [program, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {PROBE}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == wheel.name.split("-")[1]


def test_without_go_one_sentence_says_so(tmp_path: Path) -> None:
    for name in ("python3", "sh"):
        (tmp_path / name).symlink_to(sys.executable if name == "python3" else "/bin/sh")
    command = [sys.executable, "setup.py", "build_ext", "--build-lib", str(tmp_path / "lib"), "--build-temp", str(tmp_path / "temp")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env={"PATH": str(tmp_path)}, check=False)
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1] == (
        "ematix-flow has no wheel for this platform and is compiled here: install Go 1.26 or newer (https://go.dev/dl) so that `go` is in PATH."
    )
