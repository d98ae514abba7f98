"""The registry: which pipelines, transforms and feature views this process has declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
        schedule: a cron text, which is checked where it is read, or ``None``: never due, runs by name only.

    >>> @register(name="nightly", schedule="0 3 * * *")
    ... def nightly() -> dict[str, int]:
    ...     return {"rows": 1}
    >>> run_pipeline("nightly")
    {'rows': 1}

    Raises:
        ValueError: the name is registered already; the first function stays.
        TypeError: ``name`` or ``schedule`` is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"The name of a pipeline is a str, not {type(name).__name__}.")
    if schedule is not None and not isinstance(schedule, str):
        raise TypeError(f"The schedule of the pipeline {name!r} is a cron text (str) or None, not {type(schedule).__name__}.")

    def decorate(fn: Function) -> Function:
        if name in _REGISTRY:
            raise ValueError(
                f"A pipeline named {name!r} is registered already. Choose another name: run history and watermarks are kept by it."
            )
        _REGISTRY[name] = ScheduledPipeline(name, schedule, fn)
        return fn

    return decorate


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
