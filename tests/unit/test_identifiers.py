from __future__ import annotations

import re
from pathlib import Path

import pytest

from ematix_flow import InvalidIdentifier, identifiers
from ematix_flow.identifiers import listed, qualified, quote

QUOTE_GO = Path(__file__).parents[2] / "core" / "internal" / "ident" / "quote.go"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("email", "email"),
        ("_a1", "_a1"),
        ("Email", '"Email"'),
        ("order date", '"order date"'),
        ("1st", '"1st"'),
        ("user", '"user"'),
        ("select", '"select"'),
        ('say "hi"', '"say ""hi"""'),
        ("naïve", '"naïve"'),
        ("x\n", '"x\n"'),
        ("a" * 63, "a" * 63),
        ("é" * 31, '"' + "é" * 31 + '"'),
    ],
)
def test_quoted_only_where_needed(name: str, written: str) -> None:
    assert quote(name) == written


@pytest.mark.parametrize("name", ["", "a\0b", "a" * 64, "é" * 32])
def test_names_that_postgresql_cannot_hold(name: str) -> None:
    with pytest.raises(InvalidIdentifier, match=r"^The name "):
        quote(name)


def test_lists_and_qualified_names() -> None:
    assert listed(iter(["id", "Order Date"])) == 'id, "Order Date"'
    assert qualified("public", "User") == 'public."User"'


def test_the_words_are_those_of_the_engine() -> None:
    (words,) = re.findall(r"const keywordList = `(.*?)`", QUOTE_GO.read_text(), re.DOTALL)
    assert set(words.split()) == identifiers._RESERVED
