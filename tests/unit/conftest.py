"""Fixtures of tests that need neither server nor engine."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import _bridge, pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Engine:
    """Stands in for the engine: keeps the messages, answers what it was told to."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {"disconnect": None}
        self._opened = 0

    def call(self, op: str, args: dict[str, Any], *, stream: object | None = None, progress: object = None) -> Any:
        self.messages.append((op, args))
        if op == "connect" and op not in self.answers:
            self._opened += 1
            return {
                "connection": self._opened,
                "host": "db",
                "port": 5432,
                "dbname": "dwh",
                "user": "loader",
                "redacted": "postgresql://***",
            }
        answer = self.answers[op]
        if isinstance(answer, Exception):
            raise answer
        return answer(args) if callable(answer) else answer

    def asked(self, op: str) -> list[dict[str, Any]]:
        """The arguments of each call of an operation."""
        return [args for name, args in self.messages if name == op]


@pytest.fixture(autouse=True)
def flow_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `pip install` into an active venv; where `flow` is not found, commands that name it print its path."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The stand-in, in the place of ``_bridge``."""
    stand_in = Engine()
    monkeypatch.setattr(_bridge, "call", stand_in.call)
    return stand_in


@pytest.fixture
def connect(engine: Engine) -> Iterator[Callable[[], Any]]:
    """Opens connections of the stand-in; they are closed while it is still there."""
    from ematix_flow import _core

    opened: list[Any] = []

    def open_one() -> Any:
        opened.append(_core.connect("postgresql://loader:secret@db/dwh"))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()
        del connection._id  # nothing is left for __del__


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    """Each test declares its own pipelines, and leaves none behind."""
    registries = (pipeline._REGISTRY, pipeline._TRANSFORMS_REGISTRY, pipeline._FEATURE_VIEWS_REGISTRY)
    before = [dict(registry) for registry in registries]
    for registry in registries:
        registry.clear()
    yield
    for registry, entries in zip(registries, before, strict=True):
        registry.clear()
        registry.update(entries)
