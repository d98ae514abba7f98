"""The examples of ``docs/*.md`` give what they show. Those of one page run in their order, against an empty database."""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ematix_flow import pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [page for page in sorted(ROOT.glob("docs/*.md")) if "```python\n" in page.read_text(encoding="utf-8")]


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    pipeline._REGISTRY.clear()
    yield
    pipeline._REGISTRY.clear()


def examples(page: Path) -> doctest.DocTest:
    """The blocks of a page, at the lines where they stand; all else is left blank."""
    text = page.read_text(encoding="utf-8")
    kept: list[str] = []
    end = 0
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        kept += ["\n" * text.count("\n", end, block.start(1)), block[1]]
        end = block.end(1)
    return doctest.DocTestParser().get_doctest("".join(kept), {"__name__": "__main__"}, page.name, str(page), 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_give_what_they_show(page: Path, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    test = examples(page)
    assert test.examples
    shown: list[str] = []
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE).run(test, out=shown.append).failed
    assert failed == 0, "".join(shown)


def test_every_block_of_python_is_an_example() -> None:
    """One without a prompt would not be run."""
    for page in PAGES:
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            assert block.startswith(">>> "), (page.name, block)
