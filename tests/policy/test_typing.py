"""What type checkers are told of the compiled module is what it has. ``make lint`` lets mypy and pyright read the rest (``tests/typing``)."""

from __future__ import annotations

import ast
from pathlib import Path

import ematix_flow
from ematix_flow import _bridge

STUB = Path(ematix_flow.__file__).with_name("_native.pyi")


def test_the_stub_of_the_compiled_module_is_complete() -> None:
    told = {
        node.name: [argument.arg for argument in node.args.posonlyargs]
        for node in ast.parse(STUB.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    native = _bridge._native()
    there = {name: value.__text_signature__ for name, value in vars(native).items() if callable(value)}
    assert set(told) == set(there)
    for name, arguments in told.items():
        assert there[name] == (f"({', '.join([*arguments, '/'])})" if arguments else "()"), name


def test_the_package_says_that_it_has_types() -> None:
    assert STUB.with_name("py.typed").read_text() == ""
