"""The classes of errors: one for each kind of the engine, and what the engine says in their attributes."""

from __future__ import annotations

import inspect
import pickle
import re
from pathlib import Path

import pytest

from ematix_flow import errors

KINDS = Path(__file__).resolve().parents[2] / "core" / "internal" / "fault" / "kind.go"

EVERYTHING = {
    "kind": "data_error",
    "message": "Column a is wrong.",
    "hint": "Put it right.",
    "detail": "what the server said",
    "sqlstate": "22001",
    "phase": "read",
    "run_id": "7b1c",
    "retryable": True,
}

ATTRIBUTES = ("hint", "detail", "sqlstate", "phase", "run_id", "retryable")


def engine_kinds() -> set[str]:
    return set(re.findall(r'^\t\w+ +Kind = "(\w+)"', KINDS.read_text(), re.MULTILINE))


def test_each_kind_of_the_engine_has_its_class() -> None:
    assert set(errors.BY_KIND) | {"not_implemented"} == engine_kinds()


@pytest.mark.parametrize("kind", sorted(errors.BY_KIND))
def test_a_class_is_its_kind_in_camel_case(kind: str) -> None:
    camel = "".join(part.capitalize() for part in kind.split("_")).replace("TlsError", "TLSError")
    assert errors.BY_KIND[kind] is getattr(errors, camel)
    assert issubclass(errors.BY_KIND[kind], errors.EmatixError)


def test_all_names_every_class_and_nothing_else() -> None:
    classes = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.EmatixError)}
    assert set(errors.__all__) == classes


def test_the_tree_of_the_module_names_every_class() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    assert drawn == set(errors.__all__)


def test_bases_that_are_documented() -> None:
    assert errors.EmatixError.__mro__[1] is ValueError
    assert issubclass(errors.UnknownConnection, (errors.ConfigError, LookupError))
    assert issubclass(errors.UnsetVariable, errors.ConfigError)
    assert issubclass(errors.UnsetVariable, KeyError)
    assert issubclass(errors.UnknownConnection, LookupError)


def test_what_the_engine_says_is_in_the_attributes() -> None:
    error = errors.from_reply(EVERYTHING)
    assert type(error) is errors.DataError
    assert str(error) == "Column a is wrong.\nPut it right."
    assert {name: getattr(error, name) for name in ATTRIBUTES} == {name: EVERYTHING[name] for name in ATTRIBUTES}
    assert error.kind == "data_error"


def test_without_a_hint_the_message_stands_alone() -> None:
    assert str(errors.from_reply({"kind": "conflict", "message": "Deadlock."})) == "Deadlock."


def test_str_of_a_key_error_is_the_plain_message() -> None:
    assert str(errors.from_reply({"kind": "unset_variable", "message": "PASSWORD is not set.", "hint": "Set it."})) == (
        "PASSWORD is not set.\nSet it."
    )


def test_not_implemented_is_the_builtin() -> None:
    error = errors.from_reply({"kind": "not_implemented", "message": "That is not there yet.", "hint": "Cast it."})
    assert type(error) is NotImplementedError
    assert str(error) == "That is not there yet.\nCast it."


def test_a_kind_of_a_newer_engine_is_an_internal_error() -> None:
    assert type(errors.from_reply({"kind": "from_the_future", "message": "?"})) is errors.InternalError


@pytest.mark.parametrize("kind", sorted(errors.BY_KIND))
def test_errors_come_back_from_a_worker_process_as_they_were(kind: str) -> None:
    error = errors.from_reply({**EVERYTHING, "kind": kind})
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert {name: getattr(again, name) for name in ATTRIBUTES} == {name: EVERYTHING[name] for name in ATTRIBUTES}
