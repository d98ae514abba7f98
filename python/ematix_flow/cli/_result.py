"""Results of pipelines as JSON."""

from __future__ import annotations


def jsonable(value: object) -> object:
    """The value with keys that JSON can have; other values become text when they are written."""
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    return [jsonable(item) for item in value] if isinstance(value, (list, tuple)) else value
