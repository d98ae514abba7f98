"""Python types of arguments: what is of a wrong type is a TypeError, before the engine is asked."""

from __future__ import annotations

from collections.abc import Sequence


def text(name: str, value: object) -> str:
    """``value``, or TypeError where it is no str."""
    if not isinstance(value, str):
        raise TypeError(f"{name} is a str, not {type(value).__name__}.")
    return value


def optional_text(name: str, value: object) -> str | None:
    """As ``text``, where None means "not given"."""
    return None if value is None else text(name, value)


def number_or_none(name: str, value: object) -> float | None:
    """``value``, or TypeError where it is neither a number nor None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise TypeError(f"{name} is a number, not {type(value).__name__}.")
    return value


def texts(name: str, values: object) -> list[str]:
    """``values`` as a list, or TypeError where they are no sequence of str."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Sequence):
        raise TypeError(f"{name} is a sequence of str, not {type(values).__name__}.")
    return [text(f"Each member of {name}", value) for value in values]
