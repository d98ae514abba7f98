from __future__ import annotations

import asyncio
import contextvars
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

from ematix_flow.pipeline.awaiting import awaited

day: contextvars.ContextVar[str] = contextvars.ContextVar("day")


def both(call: Any) -> list[Any]:
    """The results of a call: with no loop around it, and with one, as in a notebook."""

    async def in_a_notebook() -> Any:
        return call()

    return [call(), asyncio.run(in_a_notebook())]


def test_a_thread_of_its_own_only_where_a_loop_runs() -> None:
    async def thread() -> threading.Thread:
        await asyncio.sleep(0)
        return threading.current_thread()

    first, second = both(lambda: awaited(thread()))
    assert first is threading.main_thread()
    assert (second.name, second.is_alive()) == ("ematix-flow", False)


def test_context_variables_are_seen() -> None:
    async def read() -> str:
        return day.get()

    day.set("Monday")
    assert both(lambda: awaited(read())) == ["Monday", "Monday"]


class Mine(BaseException):
    pass


@pytest.mark.parametrize("error", [KeyError("mine"), Mine("mine"), SystemExit(3), asyncio.CancelledError()])
def test_errors_are_the_very_objects(error: BaseException) -> None:
    async def fails() -> None:
        raise error

    def call() -> BaseException:
        try:
            awaited(fails())
        except BaseException as raised:
            return raised
        raise AssertionError

    assert both(call) == [error, error]


def test_any_awaitable() -> None:
    class Later:
        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "SELECT 1"

    assert both(lambda: awaited(Later())) == ["SELECT 1", "SELECT 1"]


WAITS = """
import asyncio, signal
from ematix_flow.pipeline.awaiting import awaited
signal.signal(signal.SIGINT, signal.default_int_handler)

async def waits():
    print("waits", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("cancelled")
        raise

async def notebook():
    try:
        awaited(waits())
    except KeyboardInterrupt:
        print("interrupted")

def script():
    try:
        awaited(waits())
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize("run", ["script()", "notebook().send(None)"])
def test_ctrl_c_cancels_it(run: str) -> None:
    # A coroutine that is sent to by hand within a loop that is only marked as running: asyncio.run would turn Ctrl-C into a cancel itself.
    marked = "loop = asyncio.new_event_loop(); asyncio._set_running_loop(loop)\n" if "notebook" in run else ""
    program = f"{WAITS}\n{marked}try:\n    {run}\nexcept StopIteration:\n    pass\n"
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "waits\n"
        started.send_signal(signal.SIGINT)
        out, err = started.communicate(timeout=20)
    assert (out, err, started.returncode) == ("cancelled\ninterrupted\n", "", 0)
