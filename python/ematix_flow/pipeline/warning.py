"""Warnings of loads, shown at the user's line and not at one of this package."""

from __future__ import annotations

import sys
import warnings


def warn_user(message: str) -> None:
    """Warn (``UserWarning``) at the first frame outside this package."""
    warnings.warn(message, UserWarning, stacklevel=_depth_of_caller())


def _depth_of_caller() -> int:
    """The stack level, seen from warn_user, of the first frame outside this package."""
    depth = 2
    frame = sys._getframe(depth)
    while frame.f_back is not None and f"{frame.f_globals.get('__name__', '')}.".startswith("ematix_flow."):
        frame, depth = frame.f_back, depth + 1
    return depth
