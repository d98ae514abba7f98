"""Every error that ematix_flow raises for what a database, a file or a declaration did.

::

    ValueError
    └── EmatixError                  attributes: kind, hint, detail, sqlstate, phase, run_id, retryable
        ├── AuthenticationFailed     the server does not let this user in
        ├── CommitUnknown            the answer to a COMMIT was lost, and the server could not be asked
        ├── ConfigError              a connection, file or environment variable cannot be used
        │   ├── UnknownConnection    also LookupError: no connection has this name
        │   └── UnsetVariable        also KeyError: a connection refers to an environment variable that is not set
        ├── Conflict                 deadlock or serialization failure
        ├── ConnectionFailed         no connection could be made
        ├── ConnectionLost           a connection broke
        ├── DataError                a value does not fit, or a constraint refuses it
        ├── DeleteGuard              a load would have deleted more than it may
        ├── DuplicateKeys            source rows share a key
        ├── ForkUnsafeError          a forked child uses the engine of its parent
        ├── InternalError            a defect of ematix_flow
        ├── InvalidIdentifier        a name that PostgreSQL cannot have
        ├── InvalidQuery             the server does not understand a statement
        ├── InvalidSchedule          a cron expression that is none
        ├── InvalidSpec              a declaration or argument that is not valid
        ├── LockTimeout              a lock of somebody else was not given in time
        ├── NullKey                  a key column is NULL
        ├── OutOfOrder               a version is older than one that is stored
        ├── PermissionDenied         the user may not do this
        ├── QueryError               the server refuses a statement for another reason
        ├── ReadOnlyTarget           the server or transaction is read only
        ├── SchemaDrift              a table is not what was declared
        ├── ServerResources          the server lacks memory, disk or connections
        ├── TargetBusy               another run holds the target
        ├── TargetNotLoadable        the target is no table that can be loaded
        ├── Timeout                  the server did not answer in time
        └── TLSError                 TLS is refused, or a certificate cannot be verified

Messages hold no passwords, and no values of rows but two: ``DuplicateKeys`` shows the repeated keys (the key columns, how many rows, up to
five keys, each cut to 80 characters), ``OutOfOrder`` the two times that contradict each other. Run history stores the same text.

An option that is documented and not there yet raises the built-in ``NotImplementedError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

__all__ = [
    "AuthenticationFailed",
    "CommitUnknown",
    "ConfigError",
    "Conflict",
    "ConnectionFailed",
    "ConnectionLost",
    "DataError",
    "DeleteGuard",
    "DuplicateKeys",
    "EmatixError",
    "ForkUnsafeError",
    "InternalError",
    "InvalidIdentifier",
    "InvalidQuery",
    "InvalidSchedule",
    "InvalidSpec",
    "LockTimeout",
    "NullKey",
    "OutOfOrder",
    "PermissionDenied",
    "QueryError",
    "ReadOnlyTarget",
    "SchemaDrift",
    "ServerResources",
    "TLSError",
    "TargetBusy",
    "TargetNotLoadable",
    "Timeout",
    "UnknownConnection",
    "UnsetVariable",
]


class EmatixError(ValueError):
    """The base of all errors of this package. ``str(error)`` is the message, and the hint on a line of its own.

    Attributes:
        kind: the class in snake case, such as ``"duplicate_keys"``; ``None`` on the base class only.
        hint: what to do about it, or ``""``.
        detail: what the server said besides, or ``""``. It may hold values of rows.
        sqlstate: the server's five characters, or ``""``.
        phase: what was being done, such as ``"connect"``, or ``""``.
        run_id: the run that failed, or ``""``.
        retryable: whether the same call may succeed if it is made again.
    """

    kind: ClassVar[str | None] = None

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        detail: str = "",
        sqlstate: str = "",
        phase: str = "",
        run_id: str = "",
        retryable: bool = False,
    ) -> None:
        super().__init__(f"{message}\n{hint}" if hint else message)
        self.hint = hint
        self.detail = detail
        self.sqlstate = sqlstate
        self.phase = phase
        self.run_id = run_id
        self.retryable = retryable

    def __str__(self) -> str:
        # Said here because KeyError, a base of UnsetVariable, shows the repr of its argument.
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.args, self.__dict__)


def _revive(cls: type[EmatixError], args: tuple[Any, ...], attributes: dict[str, Any]) -> EmatixError:
    # An error comes back from a worker process as it was: message and hint are one text in args already.
    error = cls(*args)
    error.__dict__.update(attributes)
    return error


class AuthenticationFailed(EmatixError):
    kind = "authentication_failed"


class CommitUnknown(EmatixError):
    kind = "commit_unknown"


class ConfigError(EmatixError):
    kind = "config_error"


class Conflict(EmatixError):
    kind = "conflict"


class ConnectionFailed(EmatixError):
    kind = "connection_failed"


class ConnectionLost(EmatixError):
    kind = "connection_lost"


class DataError(EmatixError):
    kind = "data_error"


class DeleteGuard(EmatixError):
    kind = "delete_guard"


class DuplicateKeys(EmatixError):
    kind = "duplicate_keys"


class ForkUnsafeError(EmatixError):
    kind = "fork_unsafe_error"


class InternalError(EmatixError):
    kind = "internal_error"


class InvalidIdentifier(EmatixError):
    kind = "invalid_identifier"


class InvalidQuery(EmatixError):
    kind = "invalid_query"


class InvalidSchedule(EmatixError):
    kind = "invalid_schedule"


class InvalidSpec(EmatixError):
    kind = "invalid_spec"


class LockTimeout(EmatixError):
    kind = "lock_timeout"


class NullKey(EmatixError):
    kind = "null_key"


class OutOfOrder(EmatixError):
    kind = "out_of_order"


class PermissionDenied(EmatixError):
    kind = "permission_denied"


class QueryError(EmatixError):
    kind = "query_error"


class ReadOnlyTarget(EmatixError):
    kind = "read_only_target"


class SchemaDrift(EmatixError):
    kind = "schema_drift"


class ServerResources(EmatixError):
    kind = "server_resources"


class TargetBusy(EmatixError):
    kind = "target_busy"


class TargetNotLoadable(EmatixError):
    kind = "target_not_loadable"


class Timeout(EmatixError):
    kind = "timeout"


class TLSError(EmatixError):
    kind = "tls_error"


class UnknownConnection(ConfigError, LookupError):
    kind = "unknown_connection"


class UnsetVariable(ConfigError, KeyError):
    kind = "unset_variable"


# The one table of kinds. A test compares it with the engine's (core/internal/fault/kind.go).
BY_KIND: dict[str, type[EmatixError]] = {cls.kind: cls for cls in map(globals().__getitem__, __all__) if cls.kind is not None}


def from_reply(error: Mapping[str, Any]) -> Exception:
    """The exception for an error as the engine describes it."""
    fields = {name: error.get(name) or "" for name in ("hint", "detail", "sqlstate", "phase", "run_id")}
    message, kind = str(error.get("message", "")), str(error.get("kind", ""))
    if kind == "not_implemented":
        return NotImplementedError(f"{message}\n{fields['hint']}" if fields["hint"] else message)
    cls = BY_KIND.get(kind, InternalError)
    return cls(message, **fields, retryable=bool(error.get("retryable")))
