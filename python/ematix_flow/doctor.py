"""What is wrong with a table of versions, made by whatever tool: ``Connection.doctor`` returns a ``Report``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ematix_flow import _html
from ematix_flow.history import _counted, _visible, _wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Report"]


class Report:
    """The findings about one table, in the order in which their repairs are to be run.

    Attributes:
        table: ``schema.table``.
        keys: the columns of the key.
        rows: how many rows were looked at.
        healthy: there is no fault; there may be notes.
    """

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.table = f"{answer['schema']}.{answer['table']}"
        self.keys: list[str] = answer["keys"]
        self.rows: int = answer["rows"]
        self._findings: list[dict[str, Any]] = answer["findings"]
        self._versions = bool(answer["validity"]["valid_from"])

    @property
    def healthy(self) -> bool:
        return all(finding["level"] != "fault" for finding in self._findings)

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each finding.

        ``name``; ``level``, ``"fault"`` or ``"note"`` for what may well be meant; ``says``; ``count``; ``keys``, up to five, each a dict of
        column to text; ``remedy``, what the repair does; ``repair``, SQL to read and run, empty where there is nothing to repair.
        """
        return [dict(finding) for finding in self._findings]

    def __repr__(self) -> str:
        return f"<Report on {self.table}, {_counted(len(self._findings), 'finding')}>"

    def _title(self) -> str:
        what = "version" if self._versions else "row"
        return f"{self.table} ({', '.join(self.keys)}): {_counted(self.rows, what)}"

    def __str__(self) -> str:
        lines = list(_wrapped(_visible(self._title()) + ("" if self._findings else ", nothing found"), ""))
        for finding in self._findings:
            lines += ["", *_wrapped(_headline(finding), "")]
            lines += [line for key in finding["keys"] for line in _wrapped(_key(key), "  ")]
            if finding["repair"]:
                lines += [*_wrapped(f"The repair {finding['remedy']}.", "  "), "", textwrap.indent(finding["repair"].rstrip("\n"), "    ")]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = [_html.heading(self._title())]
        if not self._findings:
            parts.append(_html.paragraph("nothing found", "quiet"))
        for finding in self._findings:
            parts.append(_html.paragraph(_headline(finding), "bad" if finding["level"] == "fault" else ""))
            if finding["keys"]:
                parts.append(_html.paragraph("; ".join(map(_key, finding["keys"])), "quiet"))
            if finding["repair"]:
                parts += [_html.paragraph(f"The repair {finding['remedy']}."), _html.code(finding["repair"])]
        return _html.frame(*parts)


def _headline(finding: Mapping[str, Any]) -> str:
    number = f": {finding['count']:,}" if finding["keys"] else ""
    return f"{finding['level']}: {finding['says']}{number}"


def _key(key: Mapping[str, str | None]) -> str:
    return ", ".join(f"{_visible(name)} = {'NULL' if value is None else _visible(value)}" for name, value in key.items())
