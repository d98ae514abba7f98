"""ematix-flow: load, historise and read data in PostgreSQL.

A table is a class, a pipeline is a decorated function that returns SQL, a mode (``append``, ``truncate``, ``merge``, ``scd2``) decides
what a load does:

>>> from typing import Annotated
>>> from ematix_flow import ematix, pk
>>> from ematix_flow.types import BigInt, String
>>> @ematix.table(schema="warehouse")
... class Customers:
...     id: Annotated[BigInt, pk()]
...     email: String[256]
>>> @ematix.pipeline(target=Customers, mode="merge", schedule="0 3 * * *")
... def customers(conn):
...     return "SELECT id, email FROM shop.customers"

``customers()`` runs the load on the connection ``default`` and returns its result.

Importing the package loads no compiled code and nothing heavy: each name below is imported when it is first used.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # type checkers read it as true; importing it from typing would cost more than this whole module
if TYPE_CHECKING:
    from ematix_flow import _core, config, pipeline
    from ematix_flow import cli as cli
    from ematix_flow import embedded as embedded
    from ematix_flow import errors as errors
    from ematix_flow import markers as markers
    from ematix_flow import result as result
    from ematix_flow import source as source
    from ematix_flow import strategy as strategy
    from ematix_flow import table as table
    from ematix_flow import types as types
    from ematix_flow.config import connect
    from ematix_flow.connection import Connection
    from ematix_flow.errors import (
        AuthenticationFailed,
        CommitUnknown,
        ConfigError,
        Conflict,
        ConnectionFailed,
        ConnectionLost,
        DataError,
        DeleteGuard,
        DuplicateKeys,
        EmatixError,
        ForkUnsafeError,
        InternalError,
        InvalidIdentifier,
        InvalidQuery,
        InvalidSchedule,
        InvalidSpec,
        LockTimeout,
        NullKey,
        OutOfOrder,
        PermissionDenied,
        QueryError,
        ReadOnlyTarget,
        SchemaDrift,
        ServerResources,
        TargetBusy,
        TargetNotLoadable,
        Timeout,
        TLSError,
        UnknownConnection,
        UnsetVariable,
    )
    from ematix_flow.markers import natural_key, nullable, pk
    from ematix_flow.namespace import ematix
    from ematix_flow.result import Result
    from ematix_flow.source import Source
    from ematix_flow.table import ManagedTable
    from ematix_flow.types import (
        JSON,
        JSONB,
        UUID,
        BigInt,
        Boolean,
        Bytes,
        Column,
        ColumnType,
        Date,
        Double,
        Float,
        Integer,
        Numeric,
        SmallInt,
        String,
        Text,
        Timestamp,
        TimestampTZ,
    )

# Where each name comes from.
_NAMES = {
    "config": "connect",
    "connection": "Connection",
    "errors": (
        "AuthenticationFailed CommitUnknown ConfigError Conflict ConnectionFailed ConnectionLost DataError DeleteGuard "
        "DuplicateKeys EmatixError ForkUnsafeError InternalError InvalidIdentifier InvalidQuery InvalidSchedule "
        "InvalidSpec LockTimeout NullKey OutOfOrder PermissionDenied QueryError ReadOnlyTarget SchemaDrift "
        "ServerResources TLSError TargetBusy TargetNotLoadable Timeout UnknownConnection UnsetVariable"
    ),
    "markers": "natural_key nullable pk",
    "namespace": "ematix",
    "result": "Result",
    "source": "Source",
    "table": "ManagedTable",
    "types": (
        "JSON JSONB UUID BigInt Boolean Bytes Column ColumnType Date Double Float Integer Numeric SmallInt String Text "
        "Timestamp TimestampTZ"
    ),
}
_SUBMODULES = frozenset(
    {"_core", "cli", "config", "embedded", "errors", "markers", "pipeline", "preview", "result", "source", "strategy", "table", "types"}
)
_HOME = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "JSON",
    "JSONB",
    "UUID",
    "AuthenticationFailed",
    "BigInt",
    "Boolean",
    "Bytes",
    "Column",
    "ColumnType",
    "CommitUnknown",
    "ConfigError",
    "Conflict",
    "Connection",
    "ConnectionFailed",
    "ConnectionLost",
    "DataError",
    "Date",
    "DeleteGuard",
    "Double",
    "DuplicateKeys",
    "EmatixError",
    "Float",
    "ForkUnsafeError",
    "Integer",
    "InternalError",
    "InvalidIdentifier",
    "InvalidQuery",
    "InvalidSchedule",
    "InvalidSpec",
    "LockTimeout",
    "ManagedTable",
    "NullKey",
    "Numeric",
    "OutOfOrder",
    "PermissionDenied",
    "QueryError",
    "ReadOnlyTarget",
    "Result",
    "SchemaDrift",
    "ServerResources",
    "SmallInt",
    "Source",
    "String",
    "TLSError",
    "TargetBusy",
    "TargetNotLoadable",
    "Text",
    "Timeout",
    "Timestamp",
    "TimestampTZ",
    "UnknownConnection",
    "UnsetVariable",
    "__version__",
    "_core",
    "config",
    "connect",
    "ematix",
    "natural_key",
    "nullable",
    "pipeline",
    "pk",
]


if not TYPE_CHECKING:  # or every misspelled name of the package would be one

    def __getattr__(name: str) -> object:
        """Import what is asked for, and keep it."""
        from importlib import import_module

        if name in _HOME:
            value = getattr(import_module(f"ematix_flow.{_HOME[name]}"), name)
        elif name in _SUBMODULES:
            value = import_module(f"ematix_flow.{name}")
        else:
            raise AttributeError(f"module 'ematix_flow' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
