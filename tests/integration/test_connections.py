"""Connections against a server."""

from __future__ import annotations

import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from ematix_flow import ConfigError, EmatixError, UnknownConnection, UnsetVariable, _core, config, connect

if TYPE_CHECKING:
    from pathlib import Path


def test_the_low_level_methods(conn: Any, psql: Any, dsn: str) -> None:
    assert conn.ping() == 1
    assert conn.execute("CREATE TABLE public.t (id int)") == 0
    assert conn.execute("INSERT INTO public.t VALUES (1), (2)") == 2
    assert conn.execute("SELECT id FROM public.t") == 2
    assert conn.fetch_scalar_int("SELECT count(*) FROM public.t") == 2
    assert conn.execute_in_transaction(["INSERT INTO public.t VALUES (3)", "DELETE FROM public.t WHERE id = 1"]) is None
    assert psql("SELECT id FROM public.t ORDER BY id") == [(2,), (3,)]
    assert conn.dsn() == dsn
    assert conn.read_watermark("nobody") is None


def test_a_failed_transaction_changes_nothing_and_the_connection_goes_on(conn: Any, psql: Any) -> None:
    conn.execute("CREATE TABLE public.t (id int)")
    with pytest.raises(ValueError, match='column "nope" does not exist'):
        conn.execute_in_transaction(["INSERT INTO public.t VALUES (1)", "SELECT nope"])
    assert psql("SELECT id FROM public.t") == []
    assert conn.ping() == 1


@pytest.mark.parametrize("sql", ["SELECT NULL::int", "SELECT 1 WHERE false", "SELECT 'x'"])
def test_scalar_that_is_no_whole_number(conn: Any, sql: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        conn.fetch_scalar_int(sql)


def test_shown_without_password(conn: Any, database: Any) -> None:
    server = database.server
    assert conn.connection_info() == {"host": server.host, "port": server.port, "dbname": database.name, "user": server.user}
    assert repr(conn) == f"<Connection host={server.host} port={server.port} dbname={database.name} user={server.user}>"
    assert server.password not in repr(conn)


def test_unix_socket(database: Any) -> None:
    with connect(url=database.socket_dsn) as connection:
        assert connection.ping() == 1
        assert connection.connection_info()["host"] == str(database.server.folder)


def test_closed_connection(dsn: str) -> None:
    connection = _core.connect(dsn)
    connection.close()
    connection.close()
    with pytest.raises(EmatixError, match="closed"):
        connection.ping()


def test_dropped_connection_leaves_the_server(dsn: str, psql: Any) -> None:
    connection = _core.connect(dsn)
    others = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
    assert psql.value(others) >= 1
    del connection
    gc.collect()
    end = time.monotonic() + 10
    while psql.value(others) and time.monotonic() < end:
        time.sleep(0.01)
    assert psql.value(others) == 0


def test_other_threads_go_on_while_one_waits(conn: Any) -> None:
    waiting = threading.Thread(target=conn.execute, args=("SELECT pg_sleep(0.5)",))
    started = time.monotonic()
    waiting.start()
    for _ in range(5):
        assert conn.ping() == 1
    assert time.monotonic() - started < 0.5
    waiting.join()


def test_wrong_password_is_refused_at_connect_and_not_shown(database: Any) -> None:
    if not database.server.password:
        pytest.skip("the server takes everybody")
    wrong = database.dsn.replace(database.server.password, "canary-word")
    with pytest.raises(ValueError, match=r".") as raised:
        _core.connect(wrong)
    assert "canary-word" not in str(raised.value) + repr(raised.value) + repr(vars(raised.value))


@pytest.mark.parametrize("url", ["nonsense", "postgresql://", "postgresql://h/d", "postgresql://u@/d", "postgresql://u@h", "mysql://u@h/d"])
def test_unusable_url(url: str) -> None:
    with pytest.raises(ConfigError):
        _core.connect(url)


def test_same_database() -> None:
    assert _core.same_database("postgres://u@h/d", "postgresql://u:x@h:5432/d?sslmode=require")
    for other in ("postgres://u@i/d", "postgres://u@h:1/d", "postgres://u@h/e", "postgres://v@h/d"):
        assert not _core.same_database("postgres://u@h/d", other)
    with pytest.raises(ValueError, match=r"."):
        _core.same_database("postgres://u@h/d", "nonsense")


def test_order_of_the_places(dsn: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "project"
    here.mkdir()
    monkeypatch.chdir(here)
    with pytest.raises(LookupError) as raised:
        config.resolve_dsn("ware-house")
    assert isinstance(raised.value, UnknownConnection)
    for place in ("ware-house", "EMATIX_FLOW_DSN_WARE_HOUSE", ".ematix-flow.toml", "connections.toml"):
        assert place in str(raised.value)

    path = config.set_connection("ware-house", "postgresql://user@global/d")
    assert path == home / ".ematix-flow" / "connections.toml"
    assert config.resolve_dsn("ware-house") == "postgresql://user@global/d"
    (here / ".ematix-flow.toml").write_text('[connections."ware-house"]\ndsn = "postgresql://u:${PART}@local/d"\n')
    with pytest.raises(KeyError, match="PART") as unset:
        config.resolve_dsn("ware-house")
    assert isinstance(unset.value, UnsetVariable)
    monkeypatch.setenv("PART", "secret")
    assert config.resolve_dsn("ware-house") == "postgresql://u:secret@local/d"
    assert config.list_connections() == {"ware-house": "postgresql://u:***@local/d"}
    monkeypatch.setenv("EMATIX_FLOW_DSN_WARE_HOUSE", dsn)
    assert config.resolve_dsn("ware-house") == dsn
    with connect("ware-house") as connection:
        assert connection.ping() == 1


def test_default_connection(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    with connect() as connection:
        assert connection.ping() == 1
    reached, about = config.check_connection("default")
    assert reached
    assert about.startswith("postgresql://")


def test_check_names_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMATIX_FLOW_DSN_GONE", "postgresql://u:canary-word@127.0.0.1:1/d")
    reached, reason = config.check_connection("gone")
    assert not reached
    assert "127.0.0.1" in reason
    assert "canary-word" not in reason
    assert config.check_connection("nope")[0] is False


def test_rows_as_an_arrow_stream(conn: Any) -> None:
    stream = conn.read_arrow("SELECT i::bigint AS id, 'x' || i AS name FROM generate_series(1, 3) AS i")
    assert stream.to_dicts() == [{"id": 1, "name": "x1"}, {"id": 2, "name": "x2"}, {"id": 3, "name": "x3"}]


def test_stream_outlives_its_connection_object(dsn: str) -> None:
    stream = _core.connect(dsn).read_arrow("SELECT count(*) AS n FROM generate_series(1, 200000)")
    gc.collect()
    assert stream.to_dicts() == [{"n": 200000}]
