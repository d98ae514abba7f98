from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import config
from ematix_flow.errors import ConnectionFailed, UnknownConnection, UnsetVariable

if TYPE_CHECKING:
    from tests.unit.conftest import Engine

DSN = "postgresql://loader:secret@db/dwh"


@pytest.fixture
def found(engine: Engine) -> Engine:
    engine.answers |= {
        "resolve_connection": {"dsn": DSN, "origin": "environment", "warnings": None},
        "redact": "postgresql://loader:***@db/dwh",
        "ping": 1,
    }
    return engine


def test_name_is_resolved_here_and_now(found: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert config.resolve_dsn() == DSN
    assert config.resolve_dsn("dwh") == DSN
    assert found.asked("resolve_connection") == [{"name": "default", "cwd": str(tmp_path)}, {"name": "dwh", "cwd": str(tmp_path)}]


def test_connect_by_name(found: Engine) -> None:
    with config.connect("dwh"):
        assert found.asked("connect") == [{"url": DSN}]


def test_url_is_used_without_look_up(found: Engine) -> None:
    with config.connect("dwh", url="postgresql://a@b/c"):
        assert found.asked("resolve_connection") == []
        assert found.asked("connect") == [{"url": "postgresql://a@b/c"}]


@pytest.mark.parametrize(
    ("dsn", "name"), [("embedded://tour", "tour"), ("embedded:", "default"), ("embedded://", "default"), ("embedded://a/", "a")]
)
def test_embedded_server_is_started(engine: Engine, monkeypatch: pytest.MonkeyPatch, dsn: str, name: str) -> None:
    embedded = pytest.importorskip("ematix_flow.embedded")
    monkeypatch.setattr(embedded, "start", lambda asked: f"postgresql://me@/{asked}?host=/run")
    with config.connect(url=dsn):
        assert engine.asked("connect") == [{"url": f"postgresql://me@/{name}?host=/run"}]


def test_list_is_a_dict(engine: Engine) -> None:
    engine.answers["list_connections"] = {
        "connections": [{"name": "a", "dsn": "postgresql://***", "origin": "x"}, {"name": "b", "dsn": "***", "origin": "y"}],
        "warnings": None,
    }
    assert config.list_connections() == {"a": "postgresql://***", "b": "***"}
    assert engine.asked("list_connections") == [{"cwd": os.getcwd()}]


def test_set_gives_the_path(engine: Engine) -> None:
    engine.answers["set_connection"] = "/home/me/.ematix-flow/connections.toml"
    assert config.set_connection("dwh", DSN) == Path("/home/me/.ematix-flow/connections.toml")
    assert engine.asked("set_connection") == [{"name": "dwh", "dsn": DSN}]


def test_check_of_a_server_that_answers(found: Engine) -> None:
    assert config.check_connection("dwh") == (True, "postgresql://loader:***@db/dwh")
    assert found.asked("disconnect") == [{"connection": 1}]


@pytest.mark.parametrize(
    ("op", "error", "reason"),
    [
        ("resolve_connection", UnknownConnection("No connection is named 'dwh'."), "No connection is named 'dwh'."),
        ("resolve_connection", UnsetVariable("The variable X is not set."), "The variable X is not set."),
        ("connect", ConnectionFailed("db:5432 cannot be reached."), "db:5432 cannot be reached."),
        ("ping", ConnectionFailed("gone", hint="Connect again."), "gone\nConnect again."),
    ],
)
def test_check_gives_the_reason(found: Engine, op: str, error: Exception, reason: str) -> None:
    found.answers[op] = error
    assert config.check_connection("dwh") == (False, reason)


@pytest.mark.parametrize("call", [lambda: config.connect(5), lambda: config.connect(url=5), lambda: config.set_connection("x", None)])  # type: ignore[arg-type]
def test_wrong_types_are_refused(engine: Engine, call: Any) -> None:
    with pytest.raises(TypeError, match="is a str, not"):
        call()


def test_a_file_that_others_may_read_is_warned_of(engine: Engine, tmp_path: Path) -> None:
    engine.answers["resolve_connection"] = {"dsn": "postgresql://u@h/d", "origin": "file", "warnings": ["the file may be read by others"]}
    with pytest.warns(UserWarning, match="may be read by others"):
        assert config.resolve_dsn("x") == "postgresql://u@h/d"
