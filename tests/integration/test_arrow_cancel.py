"""Calls and streams that are given up: the server hears of it, and the connection is free again."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ematix_flow
from ematix_flow import _bridge

PACKAGE = Path(ematix_flow.__file__).parent.parent


def until(happened: Callable[[], bool], seconds: float = 10) -> None:
    """Ask the catalogue again and again; the interval only bounds how often."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def running(psql: Any, marker: str) -> int:
    """Statements that hold the marker and are being executed."""
    return int(
        psql.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND state <> 'idle' AND query LIKE %s",
            f"%{marker}%",
        )
    )


PROGRAM = """
    import sys, threading, time
    from ematix_flow import _core
    conn = _core.connect(sys.argv[1])
    try:
        {call}
    except KeyboardInterrupt:
        print("interrupted", conn.ping())
"""


@pytest.mark.parametrize(
    "call",
    [
        'conn.execute("SELECT pg_sleep(300) /* marker */")',
        'conn.read_arrow("SELECT pg_sleep(300) /* marker */")',
        'conn.read_arrow("SELECT g, pg_sleep((g / 100000) * 300) FROM generate_series(1, 150000) AS g /* marker */").to_dicts()',
        'conn.execute_in_transaction(["SELECT 1", "SELECT pg_sleep(300) /* marker */"])',
    ],
    ids=["execute", "first block", "later block", "transaction"],
)
def test_ctrl_c_ends_the_statement_within_a_second(psql: Any, dsn: str, call: str) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM.format(call=call)), dsn],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(PACKAGE)},
    )
    until(lambda: running(psql, "marker") == 1)
    if "150000" in call:  # the sleep begins when the first rows have been sent
        until(
            lambda: psql.value(
                "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE query LIKE '%%marker%%' AND pid <> pg_backend_pid()"
            )
        )
    start = time.monotonic()
    program.send_signal(2)
    out, err = program.communicate(timeout=30)
    assert (out, err) == ("interrupted 1\n", "")
    assert time.monotonic() - start < 1 + 0.5  # the documented second, and the end of the interpreter
    assert running(psql, "marker") == 0  # also when the interpreter ends at once


def test_a_signal_handler_that_raises_cancels_too(psql: Any, dsn: str) -> None:
    code = """
        import signal, sys
        from ematix_flow import _core
        class Stop(Exception): pass
        def stop(*_): raise Stop
        signal.signal(signal.SIGTERM, stop)
        conn = _core.connect(sys.argv[1])
        try:
            conn.execute("SELECT pg_sleep(300) /* marker */")
        except Stop:
            print("stopped", conn.ping())
    """
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), dsn], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(PACKAGE)}
    )
    until(lambda: running(psql, "marker") == 1)
    program.terminate()
    assert program.communicate(timeout=30)[0] == "stopped 1\n"
    assert running(psql, "marker") == 0


def test_calls_of_other_threads_go_on(psql: Any, dsn: str) -> None:
    code = """
        import sys, threading
        from ematix_flow import _core
        conn = _core.connect(sys.argv[1])
        # Waits for the main thread's statement to be gone, so it proves that it has outlived the interrupt.
        gone = "SELECT FROM pg_stat_activity WHERE query LIKE '%marker%' AND query NOT LIKE '%other%' AND state <> 'idle'"
        wait = f"DO $$ BEGIN /* other */ WHILE EXISTS ({gone}) LOOP PERFORM pg_sleep(0.01), pg_stat_clear_snapshot(); END LOOP; END $$"
        def work():
            conn.execute(wait)
            print("done")
        thread = threading.Thread(target=work)
        go = threading.Event()
        try:
            thread.start()
            conn.execute("SELECT pg_sleep(300) /* marker */")
        except KeyboardInterrupt:
            thread.join()
            print("interrupted")
    """
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), dsn], stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(PACKAGE)}
    )
    until(lambda: running(psql, "SELECT pg_sleep(300) /* marker") == 1)
    program.send_signal(2)
    assert program.communicate(timeout=30)[0] == "done\ninterrupted\n"


@pytest.mark.parametrize("hold", ["", "import ctypes; import sys; sys.kept = conn"])
def test_the_end_of_the_interpreter_cancels_what_runs(psql: Any, dsn: str, hold: str) -> None:
    code = f"""
        import sys, threading, json
        from ematix_flow import _bridge, _core
        conn = _core.connect(sys.argv[1])
        {hold}
        stream = conn.read_arrow("SELECT generate_series(1, 100000000) AS g /* marker */")
        sys.stream = stream
        sys.handle = _bridge._native().submit(
            "execute", _bridge._message("execute", {{"connection": conn._id, "sql": "SELECT pg_sleep(300) /* marker */"}}), None)
        print("ready", flush=True)
        sys.stdin.readline()
    """
    program = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), dsn],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(PACKAGE)},
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    until(lambda: running(psql, "marker") == 2)
    assert program.communicate("\n", timeout=30) == ("", "")
    assert program.returncode == 0
    until(lambda: running(psql, "marker") == 0, 2)


# In the select list: the rows of a function in FROM are all made before the first is sent.
BIG = "SELECT generate_series(1, 100000000) AS g, repeat('x', 100) AS t /* marker */"


def test_a_dropped_stream_cancels_its_query(conn: Any, psql: Any) -> None:
    stream = conn.read_arrow(BIG)
    assert running(psql, "marker") == 1
    del stream
    until(lambda: running(psql, "marker") == 0)


def test_a_closed_stream_cancels_its_query(conn: Any, psql: Any) -> None:
    with conn.read_arrow(BIG) as stream:
        assert next(iter(stream))["g"] == 1
    until(lambda: running(psql, "marker") == 0)


def test_a_consumer_that_stops_in_the_middle_cancels_the_query(conn: Any, psql: Any) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    reader = pyarrow.RecordBatchReader.from_stream(conn.read_arrow(BIG))
    for _ in range(5):
        assert reader.read_next_batch().num_rows == 64 << 10
    reader.close()
    until(lambda: running(psql, "marker") == 0)


def test_dropped_streams_give_their_sessions_back(conn: Any, psql: Any) -> None:
    for _ in range(30):  # more than a connection has sessions
        conn.read_arrow(BIG)
    assert conn.ping() == 1
    until(lambda: running(psql, "marker") == 0)


def test_a_stream_that_nobody_reads_waits_in_bounded_memory(conn: Any, psql: Any) -> None:
    stream = conn.read_arrow(BIG)
    until(
        lambda: psql.value(
            "SELECT wait_event = 'ClientWrite' FROM pg_stat_activity WHERE query LIKE '%%marker%%' AND pid <> pg_backend_pid()"
        )
    )
    stream.close()
    until(lambda: running(psql, "marker") == 0)


def test_a_stream_outlives_its_connection(dsn: str) -> None:
    from ematix_flow import _core

    stream = _core.connect(dsn).read_arrow("SELECT g FROM generate_series(1, 300000) AS g")
    assert sum(row["g"] for row in stream) == 300000 * 300001 // 2


def test_cancel_from_another_thread(conn: Any, psql: Any) -> None:
    native = _bridge._native()
    handle = native.submit(
        "execute", _bridge._message("execute", {"connection": conn._id, "sql": "SELECT pg_sleep(300) /* marker */"}), None
    )
    thread = threading.Thread(target=lambda: (until(lambda: running(psql, "marker") == 1), native.cancel(handle)))
    thread.start()
    while not native.wait(handle, 1000)[0]:
        pass
    thread.join()
    assert '"error"' in native.take(handle)[0]
    assert running(psql, "marker") == 0


def test_progress_is_told_and_may_stop_the_call(conn: Any) -> None:
    told: list[dict[str, Any] | None] = []
    sql = "SELECT g FROM generate_series(1, 1000000) AS g"
    args = {"connection": conn._id, "sql": sql, "numeric": None, "buffered": True}
    _bridge.call_stream("read_arrow", args, progress=told.append)
    heard = [news for news in told if news is not None]
    assert all(news["phase"] == "read" for news in heard)
    assert [news["rows"] for news in heard] == sorted(news["rows"] for news in heard)

    def stop(news: dict[str, Any] | None) -> None:
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        _bridge.call_stream("read_arrow", {**args, "sql": BIG}, progress=stop)
