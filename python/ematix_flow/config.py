"""Named connections.

A name is looked up, first hit wins, in the environment (``EMATIX_FLOW_DSN_<NAME>``; for ``default`` also ``EMATIX_FLOW_DSN``), in
``./.ematix-flow.toml`` and in ``~/.ematix-flow/connections.toml``, where ``[connections.<name>]`` has ``dsn = "..."``. Nothing is kept
between calls. ``embedded://NAME`` as the DSN means a private server of this user, started at its first use.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ematix_flow.connection import Connection

__all__ = ["check_connection", "connect", "list_connections", "resolve_dsn", "set_connection"]

EMBEDDED = "embedded:"


def connect(name: str = "default", *, url: str | None = None) -> Connection:
    """Open the connection of that name, or the one of ``url`` without any look-up.

    Raises:
        LookupError: no connection has that name; the message lists the places that were searched.
        KeyError: the entry uses ``${VAR}`` and the variable is not set.
        ValueError: the URL is not usable, the server cannot be reached or refuses. The message never holds the password.
    """
    from ematix_flow import _core

    dsn = resolve_dsn(name) if url is None else url
    if isinstance(dsn, str) and dsn.startswith(EMBEDDED):
        from ematix_flow import embedded

        dsn = embedded.start(_embedded_name(dsn))
    return _core.connect(dsn)


def _embedded_name(dsn: str) -> str:
    """The name in ``embedded://NAME``; without one it is ``default``."""
    return dsn.removeprefix(EMBEDDED).strip("/") or "default"


def resolve_dsn(name: str = "default") -> str:
    """The DSN of that name, password included.

    Raises:
        LookupError, KeyError: see ``connect``.

    Warns:
        UserWarning: others may read the file that the password stands in.
    """
    from ematix_flow.arguments import text
    from ematix_flow.connection import call

    found = call("resolve_connection", {"name": text("name", name), "cwd": os.getcwd()})
    for warning in found["warnings"] or ():
        _warn(warning)
    return str(found["dsn"])


def _warn(text: str) -> None:
    import warnings

    warnings.warn(text, UserWarning, stacklevel=3)


def list_connections() -> dict[str, str]:
    """Name and redacted DSN of every connection that can be resolved, sorted by name.

    Warns:
        UserWarning: a file has an entry that cannot be used.
    """
    from ematix_flow.connection import call

    found = call("list_connections", {"cwd": os.getcwd()})
    for warning in found["warnings"] or ():
        _warn(warning)
    return {entry["name"]: entry["dsn"] for entry in found["connections"]}


def set_connection(name: str, dsn: str) -> Path:
    """Write an entry of the user's own file, ``~/.ematix-flow/connections.toml``; the rest of the file stays as it is.

    Returns:
        The path of the file.
    """
    from ematix_flow.arguments import text
    from ematix_flow.connection import call

    return Path(call("set_connection", {"name": text("name", name), "dsn": text("dsn", dsn)}))


def check_connection(name: str) -> tuple[bool, str]:
    """Connect and ask the server for one answer.

    Returns:
        ``(True, redacted DSN)``, or ``(False, reason)``. Neither holds a password.
    """
    from ematix_flow.connection import call

    try:
        dsn = resolve_dsn(name)
        redacted = str(call("redact", {"dsn": dsn}))
        with connect(url=dsn) as connection:
            connection.ping()
    except (ValueError, LookupError) as error:
        return False, _message(error)
    return True, redacted


def _message(error: Exception) -> str:
    # str(KeyError) is the repr of its argument.
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
