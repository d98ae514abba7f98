"""The registry: which pipelines, transforms and feature views this process has declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any, Literal, TypeVar

__all__ = [
    "RegistryEntry",
    "ScheduledPipeline",
    "get_pipeline",
    "list_entries",
    "list_pipelines",
    "list_transforms",
    "register",
    "run_pipeline",
]

Function = TypeVar("Function", bound=Callable[[], Any])


@dataclass(frozen=True)
class ScheduledPipeline:
    """A registered function: its name, its cron text or ``None``, and the function."""

    name: str
    schedule: str | None
    fn: Callable[[], Any]


@dataclass(frozen=True)
class RegistryEntry:
    """What ``flow list`` shows of a pipeline or a transform."""

    name: str
    kind: Literal["pipeline", "transform"]
    schedule: str | None


# Plain dicts on purpose: callers may clear them or pop a name, as tests do.
_REGISTRY: dict[str, ScheduledPipeline] = {}
_TRANSFORMS_REGISTRY: dict[str, Any] = {}
_FEATURE_VIEWS_REGISTRY: dict[str, Any] = {}


def register(*, name: str, schedule: str | None) -> Callable[[Function], Function]:
    """Register a function without arguments under a name; the function itself is returned unchanged.

    Args:
        name: the name; ``flow run`` and ``run_pipeline`` find it by this.
        schedule: a cron text (see ``is_due``), or ``None``: never due, runs by name only. Nothing runs by itself: ``flow run-due``, called each
            minute, runs what is due. The text is checked where it is read, and not here; ``flow list`` marks one that cannot be used.

    A name has one function. In a notebook or at a prompt (module ``__main__``) the same function, by ``__qualname__``, replaces itself, so
    that a cell may run again.

    >>> @register(name="nightly", schedule="0 3 * * *")
    ... def nightly() -> dict[str, int]:
    ...     return {"rows": 1}
    >>> run_pipeline("nightly")
    {'rows': 1}

    Raises:
        ValueError: the name is registered already, by another function; the first stays.
        TypeError: ``name`` or ``schedule`` is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a pipeline is a str, not {type(name).__name__}.")
    if schedule is not None and not isinstance(schedule, str):
        raise TypeError(f"The schedule of the pipeline {name!r} is a cron text (str) or None, not {type(schedule).__name__}.")

    def decorate(fn: Function) -> Function:
        if name in _REGISTRY and not _runs_again(_REGISTRY[name].fn, fn):
            raise ValueError(
                f"A pipeline named {name!r} is registered already. Give one of the two another name=; its run history is kept by the name. "
                "If it is one function whose module was loaded twice, start Python anew."
            )
        _REGISTRY[name] = ScheduledPipeline(name, schedule, fn)
        return fn

    return decorate


def _runs_again(old: Any, new: Any) -> bool:
    """Whether a function of a notebook or a prompt is defined anew, by the same cell or a changed one. A script that has two is not."""
    old, new = inspect.unwrap(old), inspect.unwrap(new)
    if not (isinstance(old, FunctionType) and isinstance(new, FunctionType)):
        return False
    if not old.__module__ == new.__module__ == "__main__" or old.__qualname__ != new.__qualname__ or new.__name__ == "<lambda>":
        return False
    script = new.__globals__.get("__file__") == new.__code__.co_filename
    return not (script and old.__globals__ is new.__globals__)


def list_pipelines() -> list[ScheduledPipeline]:
    """All pipelines in order of registration."""
    return list(_REGISTRY.values())


def get_pipeline(name: str) -> ScheduledPipeline:
    """The pipeline of that name.

    Raises:
        KeyError: no pipeline has it.
    """
    try:
        return _REGISTRY[name]
    except KeyError:
        raise KeyError(f"no pipeline named {name!r}") from None


def run_pipeline(name: str) -> Any:
    """Call the pipeline of that name and return its result; its errors come through unchanged.

    Raises:
        KeyError: no pipeline has that name.
    """
    return get_pipeline(name).fn()


def list_transforms() -> list[RegistryEntry]:
    """All transforms, sorted by name."""
    return [entry for entry in list_entries() if entry.kind == "transform"]


def list_entries() -> list[RegistryEntry]:
    """Pipelines and transforms together, sorted by name."""
    pipelines = [RegistryEntry(entry.name, "pipeline", entry.schedule) for entry in _REGISTRY.values()]
    transforms = [RegistryEntry(entry.name, "transform", entry.schedule) for entry in _TRANSFORMS_REGISTRY.values()]
    return sorted(pipelines + transforms, key=lambda entry: entry.name)
