"""A clean process environment: tests see neither the user's connections nor the settings of libpq."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

#: The home folder of who runs the tests, for tests that need the caches in it (go, pip).
REAL_HOME = os.environ.get("HOME", "")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No ``PG*`` and ``EMATIX_FLOW_*`` variables, and an empty home folder."""
    for name in list(os.environ):
        if name.startswith(("PG", "EMATIX_FLOW_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(_empty_home(tmp_path_factory)))


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder of the test's own, to write into."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def quiet_logger() -> Iterator[None]:
    """What a test does to the package's logger ends with it."""
    logger = logging.getLogger("ematix_flow")
    level, handlers, propagate = logger.level, list(logger.handlers), logger.propagate
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers
    logger.propagate = propagate


_homes: list[Path] = []


def _empty_home(factory: pytest.TempPathFactory) -> Path:
    if not _homes:
        _homes.append(factory.mktemp("empty-home"))
    return _homes[0]
