"""Executes the examples in docstrings: every ``>>>`` of the package gives what it shows. An example that needs a server is no doctest."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import ematix_flow

PACKAGE = Path(ematix_flow.__file__).parent


def modules_with_examples() -> list[str]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if ">>> " in path.read_text(encoding="utf-8"):
            found.append(".".join(("ematix_flow", *path.relative_to(PACKAGE).with_suffix("").parts)))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_give_what_they_show(name: str) -> None:
    module = importlib.import_module(name.removesuffix(".__init__"))
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    tests = [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]
    assert tests
    for test in tests:
        assert runner.run(test).failed == 0, test.name
