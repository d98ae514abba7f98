"""``Result``: what a load returns, and ``Results``: what a pipeline of several targets returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Result", "Results"]

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

    def _repr_html_(self) -> str:
        from ematix_flow import _html

        counted = [what for what in _COUNTS if self.get(f"rows_{what}") is not None]
        return _html.frame(
            _html.heading(str(self.get("pipeline") or "load")),
            _html.table(["status", *counted, "seconds", "path", "run"], [_row(self, counted)]),
            *(_html.paragraph(f"watermark of {name}", "quiet") for name in _watermark(self)),
        )


def _row(result: Mapping[str, Any], counted: list[str]) -> list[object]:
    seconds = result.get("duration_seconds")
    took = None if seconds is None else round(seconds, 2)
    return [result.get("status"), *(result.get(f"rows_{what}") for what in counted), took, result.get("path"), result.get("run_id")]


def _watermark(result: Mapping[str, Any]) -> list[str]:
    mark = result.get("watermark") or {}
    if not mark:
        return []
    return [f"{mark.get('column')}: read from {mark.get('since') or 'the beginning'}, next from {mark.get('stored') or 'the beginning'}"]


class Results(dict[str, Any]):
    """The outcomes of a pipeline of several targets: a dict of ``schema.table`` to its `Result`, which also reads well. Where a target failed under
    ``continue_on_failure`` it is ``{"results": {...}, "errors": {"schema.table": message}}``.

    >>> print(Results({"w.a": Result(status="success", rows_inserted=3), "w.b": Result(status="skipped")}))
    w.a: success: 3 inserted
    w.b: skipped
    """

    def __str__(self) -> str:
        lines = [f"{target}: {result}" for target, result in self._loaded().items()]
        return "\n".join(lines + [f"{target}: failed: {message}" for target, message in self._failed().items()]) or "{}"

    def _loaded(self) -> Mapping[str, Any]:
        loaded: Mapping[str, Any] = self["results"] if "errors" in self else self
        return loaded

    def _failed(self) -> Mapping[str, str]:
        failed: Mapping[str, str] = self.get("errors", {})
        return failed

    def _repr_html_(self) -> str:
        from ematix_flow import _html

        results = self._loaded()
        counted = [what for what in _COUNTS if any(result.get(f"rows_{what}") is not None for result in results.values())]
        rows = [[target, *_row(result, counted)] for target, result in results.items()]
        rows += [[target, "failed", *[None] * (len(counted) + 3)] for target in self._failed()]
        return _html.frame(
            _html.table(["target", "status", *counted, "seconds", "path", "run"], rows),
            *(_html.paragraph(f"{target}: {message}", "bad") for target, message in self._failed().items()),
        )
