"""``@ematix.table``: a table class made from the annotations of a plain class."""

from __future__ import annotations

import inspect
import itertools
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, cast

from ematix_flow.markers import _NaturalKeyMarker, _NullableMarker, _PkMarker, natural_key, nullable, pk
from ematix_flow.table import ManagedTable
from ematix_flow.types import Column, ColumnType, Nullable, Numeric, String, column_type

if TYPE_CHECKING:
    from collections.abc import Mapping


def declare_table(cls: type, attributes: dict[str, Any], scope: Mapping[str, Any]) -> type[ManagedTable]:
    """The ``ManagedTable`` subclass that a decorated class describes.

    Args:
        cls: the class with the annotations.
        attributes: ``__schema__``, ``__tablename__`` and the defaults of loads.
        scope: the local names where the decorator stands, for string annotations.
    """
    _refuse_stacking(cls)
    columns: dict[str, Column] = {}
    groups: dict[str, list[str]] = {}
    for name, annotation in inspect.get_annotations(cls).items():
        read = _Annotation(cls, name, scope)
        if name.startswith("__") or read.is_class_variable(annotation):
            continue
        read.add(annotation)
        if name in vars(cls):
            raise TypeError(f"The column {cls.__name__}.{name} has a value. Columns have no defaults: the values come from the source.")
        columns[name] = read.column()
        for group in read.groups:
            groups.setdefault(group, []).append(name)
    for name, value in vars(cls).items():
        if isinstance(value, Column):
            raise TypeError(
                f"The column {cls.__name__}.{name} is a Column object. With @ematix.table, columns are annotations: {name}: BigInt."
            )
        if isinstance(value, ColumnType) or (isinstance(value, type) and issubclass(value, ColumnType)):
            raise TypeError(f"{cls.__name__}.{name} is a column type as a value. A column is an annotation, with a colon: {name}: Text.")
    if not columns:
        raise TypeError(f"The table class {cls.__name__} declares no Column. Annotate at least one: id: Annotated[BigInt, pk()].")
    body = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    body["__qualname__"] = cls.__qualname__
    if groups:
        body.setdefault("__unique_constraints__", tuple(tuple(groups[group]) for group in sorted(groups)))
    bases = tuple(base for base in cls.__bases__ if base is not object)
    if not issubclass(cls, ManagedTable):
        bases += (ManagedTable,)
    # No class statement: the metaclass of the bases decides, and a column may have any name.
    metaclass: Any = type(cls)
    return cast("type[ManagedTable]", metaclass(cls.__name__, bases, body | attributes | columns))


def _refuse_stacking(cls: type) -> None:
    """Refuse classes that another library has already rebuilt around the same annotations."""
    if not isinstance(cls, type):
        raise TypeError(f"@ematix.table decorates a class, not an object of type {type(cls).__name__}.")
    if issubclass(cls, ManagedTable) and cls.__columns__:
        raise TypeError(f"The class {cls.__name__} is a table class already. @ematix.table takes a plain class, once.")
    library = None
    # The names in the MRO come first: asking some versions of pydantic for __fields__ makes them warn.
    if hasattr(cls, "__pydantic_fields__") or (any(base.__name__ == "BaseModel" for base in cls.__mro__) and _has_fields(cls)):
        library = "pydantic (BaseModel)"
    elif hasattr(cls, "__attrs_attrs__"):
        library = "attrs"
    elif hasattr(cls, "__dataclass_fields__"):
        library = "dataclass"
    if library:
        raise TypeError(f"The class {cls.__name__} is already made by {library}. A table class is a plain class: keep the two apart.")


def _has_fields(cls: type) -> bool:
    return any("__fields__" in vars(base) or "model_fields" in vars(base) for base in (*cls.__mro__, type(cls)))


class _Annotation:
    """One annotation, read piece by piece from the outside in."""

    def __init__(self, cls: type, name: str, scope: Mapping[str, Any]) -> None:
        self._cls = cls
        self._name = name
        self._scope = scope
        self._type: ColumnType | None = None
        self._nullable = False
        self._primary_key = False
        self.groups: list[str] = []

    def column(self) -> Column:
        assert self._type is not None  # add() ends with a type or an error
        return Column(self._type, nullable=self._nullable, primary_key=self._primary_key, name=self._name)

    def is_class_variable(self, annotation: object) -> bool:
        if isinstance(annotation, str) and "ClassVar" in annotation:
            annotation = self._evaluated(annotation)
        return annotation is typing.ClassVar or typing.get_origin(annotation) is typing.ClassVar

    def add(self, annotation: object) -> None:
        if isinstance(annotation, typing.ForwardRef):
            annotation = annotation.__forward_arg__
        if isinstance(annotation, str):
            self.add(self._evaluated(annotation))
        elif isinstance(annotation, Nullable):
            self._nullable = True
            self.add(annotation.inner)
        elif typing.get_origin(annotation) is typing.Annotated:
            first, *markers = typing.get_args(annotation)
            numbers = list(itertools.takewhile(lambda marker: type(marker) is int, markers))
            del markers[: len(numbers)]
            self.add(self._sized(first, numbers) if numbers else first)
            for marker in markers:
                self._mark(marker)
        elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
            self._add_union(annotation)
        else:
            self._type = self._checked(annotation)

    def _add_union(self, annotation: object) -> None:
        members = [member for member in typing.get_args(annotation) if member is not type(None)]
        if len(members) != 1:
            raise TypeError(f"The column {self._where()} is annotated {annotation!r}: a column has one type, `| None` when it may be NULL.")
        self._nullable = True
        self.add(members[0])

    def _checked(self, annotation: object) -> ColumnType:
        try:
            return column_type(annotation)
        except TypeError as error:
            raise TypeError(f"The column {self._where()}: {error}") from None

    def _sized(self, bare: object, numbers: list[int]) -> object:
        """``Annotated[String, 64]``: ``String[64]`` as type checkers can read it, too."""
        if not (isinstance(bare, type) and issubclass(bare, (String, Numeric))):
            raise TypeError(
                f"The column {self._where()}: {numbers[0]} is no marker. Only String and Numeric take numbers, as in Annotated[String, 64]."
            )
        try:
            return bare[tuple(numbers) if len(numbers) > 1 else numbers[0]]  # type: ignore[index]
        except (TypeError, ValueError) as error:
            raise type(error)(f"The column {self._where()}: {error}") from None

    def _mark(self, marker: object) -> None:
        if isinstance(marker, _PkMarker):
            self._primary_key = True
        elif isinstance(marker, _NaturalKeyMarker):
            if marker.group not in self.groups:
                self.groups.append(marker.group)
        elif isinstance(marker, _NullableMarker):
            self._nullable = True
        elif any(marker is function for function in (pk, natural_key, nullable)):
            name = getattr(marker, "__name__", "")
            raise TypeError(f"The column {self._where()}: the marker {name} is not called. Write {name}().")
        else:
            raise TypeError(f"The column {self._where()}: {marker!r} is no marker. Markers are pk(), natural_key() and nullable().")

    def _evaluated(self, text: str) -> object:
        """A string annotation, with the names of the class body, of the enclosing function and of the module."""
        module = sys.modules.get(self._cls.__module__)
        local_names = dict(self._scope) | dict(vars(self._cls))
        try:
            return eval(text, dict(vars(module)) if module else {}, local_names)
        except (NameError, SyntaxError) as error:
            raise TypeError(f"The column {self._where()} is annotated {text!r}, which cannot be read: {error}.") from error

    def _where(self) -> str:
        return f"{self._cls.__name__}.{self._name}"
