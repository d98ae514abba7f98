"""HTML for notebooks: one frame, tables and code that are readable on light and dark, with all text escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["code", "escape", "frame", "heading", "paragraph", "table"]

# The notebook's own colours: text inherits, lines and grounds are its colour thinned out. Nothing is fetched and nothing runs.
_STYLE = """
.ematix{font:13px/1.5 system-ui,sans-serif;color:inherit;max-width:100%;overflow-x:auto;text-align:left}
.ematix h4{font-size:14px;margin:10px 0 4px;font-weight:600}
.ematix p{margin:2px 0;white-space:pre-line}
.ematix table{border-collapse:collapse;margin:6px 0;font-variant-numeric:tabular-nums}
.ematix th,.ematix td{padding:3px 10px 3px 0;border-bottom:1px solid rgba(128,128,128,.3);text-align:left;vertical-align:top;background:none;color:inherit}
.ematix th{font-weight:600;white-space:nowrap}
.ematix td.n{text-align:right}
.ematix pre{font:12px/1.45 ui-monospace,monospace;margin:4px 0;padding:6px 8px;background:rgba(128,128,128,.12);color:inherit;border-radius:4px}
.ematix pre{overflow-x:auto;white-space:pre}
.ematix .quiet{opacity:.7}
.ematix .bad{color:#d33;font-weight:600}
""".strip()


def frame(*parts: str) -> str:
    """What ``_repr_html_`` returns, around parts that are HTML already."""
    return f'<div class="ematix"><style>{_STYLE}</style>{"".join(parts)}</div>'


def heading(text: str) -> str:
    """A line above a part."""
    return f"<h4>{escape(text)}</h4>"


def paragraph(text: str, kind: str = "") -> str:
    """A line of text; ``kind`` is ``quiet``, ``bad`` or nothing."""
    return f'<p class="{kind}">{escape(text)}</p>' if kind else f"<p>{escape(text)}</p>"


def code(text: str) -> str:
    """SQL, with its lines as they are."""
    return f"<pre>{escape(text)}</pre>"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts; numbers stand at the right, ``None`` is a dash.

    >>> table(["key", "rows"], [["<a>", 1200]])
    '<table><tr><th>key</th><th>rows</th></tr><tr><td>&lt;a&gt;</td><td class="n">1,200</td></tr></table>'
    """
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    if value is None:
        return '<td class="quiet">—</td>'
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f'<td class="n">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"
