"""``Connection.cancel``: what a connection's calls are doing ends, on the server too."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import QueryError, _core, ematix, pipeline, pk
from ematix_flow.source import Source
from ematix_flow.types import BigInt, Text

if TYPE_CHECKING:
    from collections.abc import Callable

SLEEP = "SELECT 1 AS id, pg_sleep(300)::text AS name /* marker */"


@ematix.table(schema="w")
class Sleeper:
    id: Annotated[BigInt, pk()]
    name: Text


def until(happened: Callable[[], bool]) -> None:
    """Ask the catalogue again and again."""
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.01)


def running(psql: Any) -> int:
    return int(
        psql.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND state <> 'idle' AND query LIKE '%%marker%%'"
        )
    )


def calls(conn: Any, other: Any) -> dict[str, Callable[[], object]]:
    return {
        "execute": lambda: conn.execute(SLEEP),
        "load": lambda: pipeline.sync(target=Sleeper, source=Source(conn, SLEEP), target_connection=conn),
        "load into it": lambda: pipeline.sync(target=Sleeper, source=Source(other, SLEEP), target_connection=conn, force_path="cross_db"),
        "load from it": lambda: pipeline.sync(target=Sleeper, source=Source(conn, SLEEP), target_connection=other, force_path="cross_db"),
    }


@pytest.mark.parametrize("what", ["execute", "load", "load into it", "load from it"])
def test_a_call_in_another_thread_is_cancelled(conn: Any, dsn: str, psql: Any, what: str) -> None:
    with ThreadPoolExecutor(1) as thread, _core.connect(dsn) as other:
        call = thread.submit(calls(conn, other)[what])
        until(lambda: running(psql) == 1)
        conn.cancel()
        with pytest.raises(QueryError, match=r"^The call was cancelled\.$"):
            call.result(timeout=20)
        until(lambda: running(psql) == 0)
        assert conn.ping() == 1


def test_a_failed_run_says_that_it_was_cancelled(conn: Any, dsn: str, psql: Any) -> None:
    with ThreadPoolExecutor(1) as thread, _core.connect(dsn) as other:
        call = thread.submit(calls(conn, other)["load"])
        until(lambda: running(psql) == 1)
        conn.cancel()
        assert isinstance(call.exception(timeout=20), QueryError)
    [(status, rows)] = psql("SELECT status, rows_inserted FROM ematix_flow.run_history")
    assert (status, rows) == ("failed", None)


def test_all_calls_of_one_connection_and_none_of_another(conn: Any, dsn: str, psql: Any) -> None:
    with ThreadPoolExecutor(3) as threads, _core.connect(dsn) as other:
        ours = [threads.submit(conn.execute, SLEEP) for _ in range(2)]
        theirs = threads.submit(other.execute, SLEEP)
        until(lambda: running(psql) == 3)
        conn.cancel()
        assert [str(call.exception(timeout=20)) for call in ours] == ["The call was cancelled."] * 2
        assert not theirs.done()
        assert running(psql) == 1
        other.cancel()
        assert str(theirs.exception(timeout=20)) == "The call was cancelled."


def test_with_nothing_under_way_it_does_nothing(conn: Any, dsn: str) -> None:
    conn.cancel()
    assert conn.ping() == 1
    conn.cancel()
    closed = _core.connect(dsn)
    closed.close()
    closed.cancel()
