"""Runs an ``async def`` pipeline function to its end, also where an event loop runs already."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable


def awaited(awaitable: Awaitable[Any]) -> Any:
    """What an awaitable gives, run in an event loop of its own; in a thread of its own where this one has a loop, as in Jupyter.

    Context variables of the caller are seen in it, and its errors come out as they are. Ctrl-C cancels it.

    >>> async def answer() -> str:
    ...     return "SELECT 1"
    >>> awaited(answer())
    'SELECT 1'
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_result(awaitable))
    return _Aside(awaitable).result()


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


class _Aside:
    """An awaitable that runs in a thread, whose caller waits."""

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        self._awaitable = awaitable
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._value: Any = None
        self._error: BaseException | None = None
        self._stopped = False
        self._done = threading.Event()  # a join that was interrupted once is over, for Python 3.11 and 3.12
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="ematix-flow")

    def result(self) -> Any:
        self._thread.start()
        try:
            self._done.wait()
        except BaseException:  # Ctrl-C reaches the thread that waits, never the one that works
            self._stopped = True
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._done.wait()
            raise
        finally:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value = asyncio.run(self._main())
        except BaseException as error:
            self._error = error
        finally:
            self._done.set()

    async def _main(self) -> Any:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        if self._stopped:  # before there was a task to cancel
            raise asyncio.CancelledError
        return await self._awaitable
