"""The boundary between Python and the engine, without a server: what is sent, what is refused, and that a defect ends a call only."""

from __future__ import annotations

import gc
import json
import threading
from typing import Any

import pytest

from ematix_flow import _bridge, errors

native = _bridge._native()

VERSION = {"contract": 1, "env": {}, "args": {}}


def raw(op: str, message: str, stream: Any = None) -> dict[str, Any]:
    """A call without the bridge's checks."""
    handle = native.submit(op, message, stream)
    while not native.wait(handle, 1000)[0]:
        pass
    return dict(json.loads(native.take(handle)[0]))


def test_a_call_gives_a_value() -> None:
    assert isinstance(_bridge.call("version", {}), str)


# What is sent


@pytest.mark.parametrize(
    ("argument", "where"),
    [
        (float("nan"), "args.sql is nan, which JSON does not have"),
        ([float("-inf")], "args.sql[0] is -inf, which JSON does not have"),
        ("\ud800", "args.sql holds a lone surrogate, which is no valid Unicode"),
        ({"key": ["a\0b"]}, "args.sql.key[0] holds a NUL character"),
        ({"\udfff": 1}, "a key of args.sql holds a lone surrogate, which is no valid Unicode"),
        (object(), "args.sql is of type object"),
        ({1, 2}, "args.sql is of type set"),
    ],
)
def test_what_cannot_be_sent_is_named_and_not_shown(argument: object, where: str) -> None:
    with pytest.raises(errors.InvalidSpec) as caught:
        _bridge.call("execute", {"sql": argument})
    assert where in str(caught.value)


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(errors.InvalidSpec):
        _bridge.call("execute", {"sql": cycle})


def test_text_that_looks_like_an_escaped_nul_is_text() -> None:
    with pytest.raises(errors.ConfigError, match="not a URL"):
        _bridge.call("connect", {"url": r"\u0000"})


def test_an_environment_variable_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "\udce9")
    with pytest.raises(errors.ConfigError, match="'PGPASSWORD' is not valid UTF-8"):
        _bridge.call("version", {})


def test_other_variables_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/\udce9")
    monkeypatch.setenv("OTHER", "\udce9")
    assert _bridge.call("version", {})


# What the engine refuses


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ('{"contract": 1} x', "not valid JSON"),
        ("[]", "not valid JSON"),
        (json.dumps({**VERSION, "contract": 2}), "contract version 2, this engine speaks 1"),
        (json.dumps({"env": {}, "args": {}}), "contract version 0, this engine speaks 1"),
        (json.dumps({**VERSION, "more": 1}), 'unknown field "more"'),
        (json.dumps({**VERSION, "args": {"more": 1}}), 'unknown field "more"'),
        ('{"contract": 1, "args": ' + "[" * 100 + "]" * 100 + "}", "nested too deeply"),
        ('{"contract": 1, "args": "' + "x" * (64 << 20) + '"}', "too large"),
    ],
    ids=[
        "empty",
        "cut",
        "trailing text",
        "no object",
        "newer contract",
        "no contract",
        "unknown field",
        "unknown argument",
        "deep",
        "large",
    ],
)
def test_a_message_that_is_not_of_the_contract_is_refused(message: str, reason: str) -> None:
    error = raw("version", message)["error"]
    assert error["kind"] == "invalid_spec"
    assert reason in error["message"]


def test_an_operation_that_does_not_exist_is_refused() -> None:
    with pytest.raises(errors.InvalidSpec, match="no operation"):
        _bridge.call("no such thing", {})


# Defects of the engine


def test_a_panic_ends_the_call_and_nothing_else() -> None:
    with pytest.raises(errors.InternalError, match="on purpose") as caught:
        _bridge.call("_panic", {})
    assert "goroutine" in caught.value.detail
    assert _bridge.call("version", {})


def test_a_panic_in_a_stream_is_an_error_of_the_stream() -> None:
    from ematix_flow._arrow import ArrowStream

    _, capsule = _bridge.call_stream("_panic_stream", {})
    stream = ArrowStream(capsule)
    assert stream.schema == {"never": "int32"}
    with pytest.raises(errors.InternalError, match="on purpose"):
        stream.to_dicts()
    assert _bridge.call("version", {})


def test_a_panic_in_a_stream_reaches_other_consumers_as_text() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from ematix_flow._arrow import ArrowStream

    _, capsule = _bridge.call_stream("_panic_stream", {})
    with pytest.raises(OSError, match="on purpose"):
        pyarrow.table(ArrowStream(capsule))


# Handles


def test_a_handle_is_used_once() -> None:
    handle = native.submit("version", json.dumps(VERSION), None)
    while not native.wait(handle, 1000)[0]:
        pass
    native.take(handle)
    for again in (native.take, lambda handle: native.wait(handle, 0)):
        with pytest.raises(ValueError, match="no such call"):
            again(handle)
    native.cancel(handle)  # too late is no error


@pytest.mark.parametrize("other", [7, None, object()])
def test_a_handle_is_a_handle(other: object) -> None:
    for use in (native.take, native.cancel, lambda handle: native.wait(handle, 0)):
        with pytest.raises((TypeError, ValueError)):
            use(other)


def test_submit_checks_its_arguments() -> None:
    for arguments in [(), ("version",), (1, "{}", None), ("version", "\ud800", None), ("version", "{}", object())]:
        with pytest.raises((TypeError, ValueError)):
            native.submit(*arguments)


def test_calls_that_nobody_waits_for_are_forgotten() -> None:
    for _ in range(200):
        native.submit("version", json.dumps(VERSION), None)
        native.submit("_panic_stream", json.dumps(VERSION), None)
    gc.collect()
    assert _bridge.call("version", {})


def test_a_stream_in_its_capsule_is_released_with_it() -> None:
    for _ in range(200):
        _bridge.call_stream("_panic_stream", {})
    gc.collect()
    assert _bridge.call("version", {})


def test_an_answer_without_a_stream_is_no_stream() -> None:
    with pytest.raises(TypeError, match="without a stream"):
        _bridge.call_stream("version", {})


def test_many_threads_call_at_once() -> None:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.extend(_bridge.call("version", {}) for _ in range(50))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 800
    assert len(set(answers)) == 1
