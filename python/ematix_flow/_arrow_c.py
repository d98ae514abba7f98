"""The structs of the Arrow C interfaces through ctypes, for the few rows that Python itself looks at.

https://arrow.apache.org/docs/format/CDataInterface.html
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


class _Schema(Structure):
    pass


class _Array(Structure):
    pass


class _Stream(Structure):
    pass


_Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(_Schema))),
    ("dictionary", POINTER(_Schema)),
    ("release", CFUNCTYPE(None, POINTER(_Schema))),
    ("private_data", c_void_p),
]
_Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(_Array))),
    ("dictionary", POINTER(_Array)),
    ("release", CFUNCTYPE(None, POINTER(_Array))),
    ("private_data", c_void_p),
]
_Stream._fields_ = [
    ("get_schema", CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Schema))),
    ("get_next", CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Array))),
    ("get_last_error", CFUNCTYPE(c_char_p, POINTER(_Stream))),
    ("release", CFUNCTYPE(None, POINTER(_Stream))),
    ("private_data", c_void_p),
]

_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = c_void_p
_pointer_of.argtypes = [ctypes.py_object, c_char_p]


class StreamFailed(Exception):
    """A callback of the stream gave an error; its text."""


class Column:
    """A column of a block. It is valid as long as the block."""

    def __init__(self, array: _Array) -> None:
        self._array = array
        self.length: int = array.length
        self.null_count: int = array.null_count

    def buffer(self, number: int, size: int) -> bytes:
        """A copy of the first bytes of a buffer."""
        return ctypes.string_at(self._array.buffers[number], size) if size else b""


class Block:
    """Some rows, until the ``with`` statement ends."""

    def __init__(self, array: _Array) -> None:
        self._array = array
        self.length: int = array.length
        self.columns = [Column(array.children[i].contents) for i in range(array.n_children)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._array.release(ctypes.byref(self._array))


def _stream(capsule: object) -> Any:
    return ctypes.cast(_pointer_of(capsule, b"arrow_array_stream"), POINTER(_Stream))


def columns(capsule: object) -> list[tuple[str, str]]:
    """Name and format of each column."""
    stream, schema = _stream(capsule), _Schema()
    if stream.contents.get_schema(stream, ctypes.byref(schema)):
        raise MemoryError
    try:
        children = [schema.children[i].contents for i in range(schema.n_children)]
        return [(child.name.decode(), child.format.decode()) for child in children]
    finally:
        schema.release(ctypes.byref(schema))


def next_block(capsule: object) -> Block | None:
    """The next block, or None at the end."""
    stream, array = _stream(capsule), _Array()
    if stream.contents.get_next(stream, ctypes.byref(array)):
        text = stream.contents.get_last_error(stream)
        raise StreamFailed(text.decode() if text else "The stream cannot be read.")
    return Block(array) if array.release else None
