"""``Result``: what a load returns."""

from __future__ import annotations

from typing import Any

__all__ = ["Result"]

_COUNTS = ("inserted", "updated", "closed", "deleted", "unchanged")


class Result(dict[str, Any]):
    """The outcome of a load: a dict that also reads well.

    >>> result = Result(run_id="8f14e45f", status="success", path="same_db", rows_inserted=3, rows_unchanged=5)
    >>> result["rows_inserted"]
    3
    >>> print(result)
    success: 3 inserted, 5 unchanged (same_db, run 8f14e45f)
    """

    def __str__(self) -> str:
        if "status" not in self:
            return repr(self)
        counts = ", ".join(f"{self[f'rows_{what}']:,} {what}" for what in _COUNTS if self.get(f"rows_{what}") is not None)
        about = [str(self["path"])] if self.get("path") else []
        if self.get("duration_seconds") is not None:
            about.append(f"{self['duration_seconds']:.2f} s")
        if self.get("run_id"):
            about.append(f"run {self['run_id']}")
        return f"{self['status']}{': ' if counts else ''}{counts}" + (f" ({', '.join(about)})" if about else "")
