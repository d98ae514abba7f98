"""Loads and the registry of pipelines: ``sync`` loads one table, the rest finds and runs what was declared."""

from __future__ import annotations

from typing import NoReturn

from ematix_flow.pipeline.inspect import dry_run, preview, validate
from ematix_flow.pipeline.keys import _resolve_merge_keys
from ematix_flow.pipeline.registry import (
    _FEATURE_VIEWS_REGISTRY,
    _REGISTRY,
    _TRANSFORMS_REGISTRY,
    RegistryEntry,
    ScheduledPipeline,
    get_pipeline,
    list_entries,
    list_pipelines,
    list_transforms,
    register,
    run_pipeline,
)
from ematix_flow.pipeline.schedule import is_due
from ematix_flow.pipeline.spec import Pipeline, Source, Target
from ematix_flow.pipeline.sync import Mode, sync

__all__ = [
    "_FEATURE_VIEWS_REGISTRY",
    "_REGISTRY",
    "_TRANSFORMS_REGISTRY",
    "Mode",
    "Pipeline",
    "RegistryEntry",
    "ScheduledPipeline",
    "Source",
    "Target",
    "_resolve_merge_keys",
    "dry_run",
    "get_pipeline",
    "is_due",
    "list_entries",
    "list_feature_views",
    "list_pipelines",
    "list_transforms",
    "preview",
    "register",
    "run_pipeline",
    "run_transform",
    "sync",
    "validate",
]


def run_transform(name: str) -> NoReturn:
    """Not implemented yet."""
    raise NotImplementedError("pipeline.run_transform is not implemented yet.")


def list_feature_views() -> NoReturn:
    """Not implemented yet."""
    raise NotImplementedError("pipeline.list_feature_views is not implemented yet.")
