"""Executes the examples in docstrings that need no server."""

from __future__ import annotations

import doctest
import importlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

MODULES = [
    "declared_table",
    "identifiers",
    "markers",
    "namespace",
    "pipeline.declared",
    "pipeline.registry",
    "pipeline.spec",
    "result",
    "source",
    "strategy",
    "table",
    "types",
]


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_show(name: str) -> None:
    module = importlib.import_module(f"ematix_flow.{name}")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples(module):
        assert runner.run(test).failed == 0, test.name


def test_every_module_with_examples_is_listed() -> None:
    import pkgutil

    import ematix_flow

    with_examples = []
    for found in pkgutil.walk_packages(ematix_flow.__path__, "ematix_flow."):
        short = found.name.removeprefix("ematix_flow.")
        if short.endswith("__main__") or short == "_native" or short.startswith("demo"):
            continue
        source = importlib.util.find_spec(found.name)
        assert source is not None
        assert source.origin is not None
        with open(source.origin, encoding="utf-8") as file:
            if ">>> " in file.read():
                with_examples.append(short)
    assert sorted(with_examples) == [name for name in MODULES if name != "declared_table"]
