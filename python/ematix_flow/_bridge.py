"""The one way into the engine: a call goes out as JSON, is waited for in slices, and comes back as a value or an exception.

``_native`` is imported by the first call, not with this module: a process that has only imported ematix_flow can fork.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, InvalidSpec, from_reply

if TYPE_CHECKING:
    from types import ModuleType

Progress = Callable[[dict[str, Any] | None], None]
"""Told what is new: ``{"phase", "rows", "bytes"}``, of a load also ``"run_id"``, ``"transaction_seconds"`` and ``"phases"`` (those that have ended);
``None`` when a wait brought nothing."""

CONTRACT = 1
"""The version of the messages; the engine refuses any other."""

_SLICE = 50
"""Milliseconds of one wait. Between two of them Python runs its signal handlers."""

_PATIENCE = 0.8
"""Seconds that an interrupted call is waited for, so that the interrupt is raised within one."""

_DEPTH = 64
"""Levels of nesting, about as many as the engine takes."""

_WHOLE_ENVIRONMENT = frozenset({"list_connections", "resolve_connection"})
"""Operations that may refer to any variable (``${NAME}`` in a connection file)."""


def call(op: str, args: Mapping[str, Any], *, stream: object | None = None, progress: Progress | None = None) -> Any:
    """Do an operation of the engine and return its answer.

    Args:
        stream: an object with ``__arrow_c_stream__``, or such a capsule, whose rows go with the call. It is used up.
        progress: called after each wait, on this thread.

    Raises:
        EmatixError: the subclass of what went wrong.
        NotImplementedError: an option that is documented and not there yet.

    A signal handler that raises, as Ctrl-C does, cancels the statement on the server; so does ``progress`` when it raises.
    """
    return _run(op, args, stream, progress)[0]


def call_stream(op: str, args: Mapping[str, Any], *, stream: object | None = None, progress: Progress | None = None) -> tuple[Any, Any]:
    """As `call`, for an operation that answers with rows: its answer, and the capsule of an Arrow stream."""
    answer, capsule = _run(op, args, stream, progress)
    if capsule is None:
        raise TypeError(f"the operation {op!r} answers without a stream")
    return answer, capsule


def await_stream(capsule: object) -> None:
    """Wait until a stream of ours can give its next rows at once; Ctrl-C works meanwhile."""
    native = _native()
    while not native.ready(capsule, _SLICE):
        pass


def stream_error(capsule: object) -> Exception | None:
    """The error that a stream of ours met last."""
    fault = _native().fault(capsule)
    return None if fault is None else from_reply(json.loads(fault)["error"])


def _native() -> ModuleType:
    try:
        from . import _native
    except ImportError as error:
        raise ImportError(
            "The compiled engine of ematix_flow cannot be loaded: " + str(error) + ". Wheels are made for glibc Linux and macOS "
            "(not for musl, as in Alpine); from a source tree, run: make build"
        ) from error
    return _native


def _run(op: str, args: Mapping[str, Any], stream: Any, progress: Progress | None) -> tuple[Any, Any]:
    native = _native()
    message = _message(op, args)
    capsule = stream.__arrow_c_stream__() if hasattr(stream, "__arrow_c_stream__") else stream
    handle = native.submit(op, message, capsule)
    running = _Running(handle, args)
    try:
        done = False
        while not done:
            done, news = native.wait(handle, _SLICE)
            if progress is not None:
                progress(None if news is None else json.loads(news))
    except BaseException:
        native.cancel(handle)
        # A second interrupt ends this loop too; the handle then takes care of the call when it goes away.
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end and not native.wait(handle, _SLICE)[0]:
            pass
        raise
    finally:
        running.end()
    text, answered = native.take(handle)
    reply = json.loads(text)
    if "error" in reply:
        raise from_reply(reply["error"])
    return reply["ok"], answered


# Without a lock, which a fork could leave locked in the child: one step of a set is whole by itself.
_RUNNING: set[_Running] = set()


class _Running:
    """A call that runs, and the connections that it runs on."""

    def __init__(self, handle: object, args: Mapping[str, Any]) -> None:
        self.handle = handle
        self.connections = (args.get("connection"), args.get("source"))
        _RUNNING.add(self)

    def end(self) -> None:
        _RUNNING.discard(self)


def cancel(connection: int) -> None:
    """Cancel the calls that run on a connection at this moment. Each ends in the thread that made it."""
    for running in _RUNNING.copy():
        if connection in running.connections:
            _native().cancel(running.handle)


def _message(op: str, args: Mapping[str, Any]) -> str:
    envelope = {"contract": CONTRACT, "env": _environment(op), "args": args}
    try:
        text = json.dumps(envelope, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise InvalidSpec(f"The arguments of {op!r} are nested too deeply.") from None
    except (TypeError, ValueError) as error:
        where = next(_unspeakable(args, "args"), str(error))
        raise InvalidSpec(f"The arguments of {op!r} cannot be written as JSON: {where}.") from None
    # Lone surrogates and NUL are valid JSON and no valid text of PostgreSQL. Looking for them is only worth it if they may be there.
    if not text.isascii() or "\\u0000" in text:
        for where in _unspeakable(args, "args"):
            raise InvalidSpec(f"The arguments of {op!r} cannot be sent: {where}.")
    return text


def _unspeakable(value: Any, where: str, depth: int = 0) -> Iterator[str]:
    """Where in the arguments something stands that JSON or PostgreSQL cannot have. The value itself is not shown."""
    if depth > _DEPTH:
        yield "args is nested too deeply, or in itself"
    elif isinstance(value, str):
        if "\0" in value:
            yield f"{where} holds a NUL character"
        try:
            value.encode()
        except UnicodeEncodeError:
            yield f"{where} holds a lone surrogate, which is no valid Unicode"
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            yield f"{where} is {value}, which JSON does not have"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unspeakable(key, f"a key of {where}", depth + 1)
            yield from _unspeakable(item, f"{where}.{key!a}".replace("'", ""), depth + 1)
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _unspeakable(item, f"{where}[{number}]", depth + 1)
    elif value is not None and not isinstance(value, int):
        yield f"{where} is of type {type(value).__name__}"


def _environment(op: str) -> dict[str, str]:
    """What the engine needs of this process's environment, as it is now: its own copy is from the time it was loaded."""
    environment = {}
    for name, value in os.environ.items():
        ours = name.startswith(("PG", "EMATIX_FLOW_"))
        if not (ours or name in ("HOME", "USER") or op in _WHOLE_ENVIRONMENT):
            continue
        try:
            value.encode()
            name.encode()
        except UnicodeEncodeError:
            if ours:
                raise ConfigError(f"The environment variable {name!a} is not valid UTF-8.") from None
            continue
        environment[name] = value
    return environment
