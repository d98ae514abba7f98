"""The paths, each with databases of its own for a whole module: a test has tables of its own."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any, cast

import pytest

from ematix_flow import _core
from tests.conformance.loading import Lane
from tests.conformance.tally import TALLY
from tests.fix_db import Database, Server

#: Name -> path in the result, whether the source is another database, and force_path.
PATHS = {"same_db": ("same_db", False, None), "cross_db": ("cross_db", True, None), "staged": ("cross_db", False, "cross_db")}

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def databases(server: Server) -> Iterator[tuple[Database, Database]]:
    """A target and a source database."""
    with server.connect() as admin, ExitStack() as left:
        made = []
        for _ in range(2):
            name = f"ematix_conformance_{os.getpid()}_{next(_numbers)}"
            admin.execute(cast("Any", f"CREATE DATABASE {name}"))
            left.callback(admin.execute, cast("Any", f"DROP DATABASE {name} WITH (FORCE)"))
            admin.execute(cast("Any", f"ALTER DATABASE {name} SET search_path = ''"))
            raw = left.enter_context(server.connect(name))
            raw.execute("SET TimeZone = 'UTC'")  # what the tests read is shown one way, whatever they do to roles and databases
            raw.execute("SET DateStyle = 'ISO'")
            raw.execute("SET extra_float_digits = 1")
            raw.execute("SET bytea_output = 'hex'")
            made.append(Database(server, name, raw))
        yield made[0], made[1]


@pytest.fixture(scope="module")
def make_lane(databases: tuple[Database, Database]) -> Iterator[Callable[..., Lane]]:
    """The lane of a name; each number has connections of its own, which live as long as the module."""
    opened: list[Any] = []

    def connect(database: Database) -> Any:
        opened.append(_core.connect(database.dsn))
        return opened[-1]

    @cache
    def make(name: str, number: int = 1) -> Lane:
        target, other = databases
        path, from_other, force = PATHS[name]
        connection = connect(target)
        if not from_other:
            return Lane(path, target, target, connection, connection, force)
        return Lane(path, target, other, connection, connect(other), force)

    yield make
    for connection in opened:
        connection.close()


@pytest.fixture(scope="module", params=PATHS)
def lane(request: pytest.FixtureRequest, make_lane: Callable[..., Lane]) -> Lane:
    """Each path in turn."""
    return make_lane(request.param)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in TALLY.lines():
        terminalreporter.write_line(line)
