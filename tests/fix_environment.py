"""A clean process environment: tests see neither the user's connections nor the settings of libpq."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

#: The home folder of who runs the tests, for tests that need the caches in it (go, pip).
REAL_HOME = os.environ.get("HOME", "")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, embedded_folder: Path) -> None:
    """No ``PG*`` and ``EMATIX_FLOW_*`` variables, and an empty home folder."""
    for name in list(os.environ):
        if name.startswith(("PG", "EMATIX_FLOW_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(_empty_home(tmp_path_factory)))
    monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(embedded_folder))


@pytest.fixture(scope="session")
def embedded_folder() -> Iterator[Path]:
    """Where the servers of ``embedded://`` connections live during the tests; all are stopped in the end. Not below pytest's own folders: those
    are closed to the unprivileged user whom a server of root runs as."""
    from ematix_flow import embedded

    given = os.environ.get("EMATIX_TEST_TMP")
    folder = Path(given) if given else Path(tempfile.mkdtemp(dir="/tmp", prefix="ematix-embedded-"))
    folder.chmod(0o711)
    yield folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(folder))
        for server in embedded.status():
            embedded.stop(server.name)
    if not given:
        shutil.rmtree(folder)


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
