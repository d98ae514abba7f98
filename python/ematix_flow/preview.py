"""What a pipeline would do, as data and as text: the results of ``preview``, ``dry_run`` and ``validate``."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["PreviewResult", "TargetPlan", "TransformPlan", "ValidateResult", "render_text"]

_WIDTH = 80
"""Columns of our own text. Lines of SQL are as long as they are."""


@dataclass
class TransformPlan:
    """A step after the load; it is listed and never run by a preview."""

    #: ``sql``, ``callable`` or ``transform_ref``.
    kind: str
    #: The first line of the SQL, at most 200 characters; the name of the function; the name referred to.
    summary: str


@dataclass
class TargetPlan:
    """What the load of one target does, and why."""

    schema_qualified_name: str
    mode: str
    #: ``same_db`` or ``cross_db``.
    path: str
    path_reason: str
    #: ``name``, ``type``, ``nullable``, ``primary_key`` and ``automatic`` (the load fills it) of each column, in order.
    augmented_columns: list[dict[str, Any]] = field(default_factory=list)
    declared_columns: list[str] = field(default_factory=list)
    merge_keys: list[str] = field(default_factory=list)
    merge_keys_reason: str = ""
    compare_columns: list[str] = field(default_factory=list)
    compare_columns_reason: str = ""
    target_connection_name: str | None = None
    target_connection_info: dict[str, Any] | None = None
    #: Every statement in order; a last line says what is bound to ``$1``, ``$2``, ...
    plan_sql: list[str] = field(default_factory=list)
    plan_sql_label: str = ""
    #: ``rows_inserted`` and the like; empty in a preview.
    dry_run_rows_affected: dict[str, int] = field(default_factory=dict)
    dry_run_error: str | None = None
    #: Whether a run would change anything: rows, or the table itself, which it may make, alter or empty.
    dry_run_changes: bool = False
    #: The same statements as data: ``name``, ``why``, ``when`` (empty: always), ``side`` (``source`` or ``target``), ``sql``, ``parameters``
    #: and ``locks``, each the strongest that the statement takes on a relation.
    statements: list[dict[str, Any]] = field(default_factory=list)
    #: What else was decided, each with ``about`` (watermark, deletes, delete guard, event time, guards, ...) and ``text``.
    decisions: list[dict[str, str]] = field(default_factory=list)
    #: What the databases say now, with ``live=True`` only.
    live: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain values; ``live`` only where it was asked for."""
        plain = asdict(self)
        if plain["live"] is None:
            del plain["live"]
        return plain


@dataclass
class PreviewResult:
    """What ``preview`` and ``dry_run`` return; ``print`` shows it as text, a notebook as HTML."""

    pipeline_name: str
    schedule: str | None = None
    #: ``None`` with several targets.
    mode: str | None = None
    #: As declared.
    source_connection_name: str | None = None
    #: ``host``, ``port``, ``dbname`` and ``user``; ``None`` where the connection is not configured.
    source_connection_info: dict[str, Any] | None = None
    #: Of the first target, where they differ.
    source_sql: str = ""
    targets: list[TargetPlan] = field(default_factory=list)
    is_dry_run: bool = False
    notes: list[str] = field(default_factory=list)
    transforms_post: list[TransformPlan] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain nested dicts and lists."""
        return asdict(self) | {"targets": [target.to_dict() for target in self.targets]}

    def to_json(self) -> str:
        """``to_dict`` as indented JSON. Two previews of one pipeline are equal to the byte, without ``live``."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, default=str)

    def __str__(self) -> str:
        return render_text(self, use_color=False)

    def _repr_html_(self) -> str:
        from ematix_flow._preview_html import preview_html

        return preview_html(self)


@dataclass(frozen=True)
class ValidateResult:
    """What ``validate`` returns."""

    pipeline_name: str
    ok: bool
    source_sql: str
    errors: list[str]
    target_connection_name: str | None
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def render_text(result: PreviewResult, *, verbose: bool = False, use_color: bool = True) -> str:
    """The preview as text; nothing is printed.

    Args:
        verbose: show every target in full; with one target it is anyway.
        use_color: colours where stdout is a terminal and ``NO_COLOR`` is not set.

    >>> print(render_text(PreviewResult("nightly", schedule="0 3 * * *", notes=["The function returned a dict: nothing is loaded."])))
    PREVIEW  nightly  schedule: 0 3 * * *
    <BLANKLINE>
    Notes:
      • The function returned a dict: nothing is loaded.
    """
    coloured = use_color and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return "\n".join(_Text(_Style(coloured)).lines(result, verbose))


class _Style:
    """Escape sequences, or none."""

    def __init__(self, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, kind: str, text: str) -> str:
        if not self._coloured:
            return text
        code = {"strong": "1", "quiet": "2", "bad": "31", "good": "32", "name": "36"}[kind]
        return f"\x1b[{code}m{text}\x1b[0m"


def plural(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _outcome(result: PreviewResult, target: TargetPlan) -> tuple[str, str]:
    """What became of a target in a dry run, in a few words, and their style."""
    if not result.is_dry_run:
        return "", "quiet"
    if target.dry_run_error is not None:
        return f"✗ {target.dry_run_error.split(chr(10))[0]}", "bad"
    return f"✓ ({counts_text(target.dry_run_rows_affected)})", "good"


def _changed(rows: dict[str, int]) -> bool:
    return any(count for name, count in rows.items() if name != "rows_unchanged")


def counts_text(rows: dict[str, int]) -> str:
    """``rows_inserted=3, rows_updated=0``."""
    return ", ".join(f"{name}={count}" for name, count in rows.items())


def place(info: dict[str, Any] | None) -> str:
    """``(host/dbname)``, or nothing."""
    if info is None:
        return ""
    return f" ({'/'.join(str(part) for part in (info['host'], info['dbname']) if part)})"


def _wrapped(first: str, text: str, rest: str) -> Iterator[str]:
    """Lines of at most _WIDTH; a line break of the text stays one."""
    for number, line in enumerate(text.split("\n")):
        lead = first if number == 0 else rest
        yield from textwrap.wrap(
            line.strip(), _WIDTH, initial_indent=lead, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
        ) or [lead.rstrip()]


class _Text:
    def __init__(self, style: _Style) -> None:
        self._style = style

    def lines(self, result: PreviewResult, verbose: bool) -> Iterator[str]:
        style, targets = self._style, result.targets
        what = "DRY RUN" if result.is_dry_run else "PREVIEW"
        yield f"{style('strong', what)}  {style('strong', result.pipeline_name)}  schedule: {result.schedule or '—'}"
        if result.mode:
            yield f"mode: {result.mode}"
        if result.source_connection_name:
            yield f"source connection: {result.source_connection_name}{place(result.source_connection_info)}"
        compact = len(targets) > 1 and not verbose
        if compact:
            yield ""
            yield from self._compact(result)
        else:
            for number, target in enumerate(targets, 1):
                yield ""
                head = f"[{number}/{len(targets)}] {target.schema_qualified_name}"
                yield style("strong", head if len(targets) > 1 else f"Target: {target.schema_qualified_name}")
                yield from self._target(target, several=len(targets) > 1)
        if result.transforms_post:
            yield ""
            yield style("strong", "Transforms (post):")
            for number, step in enumerate(result.transforms_post, 1):
                yield f"  {number}. {step.kind}: {step.summary}"
        if result.notes:
            yield ""
            yield style("strong", "Notes:")
            for note in result.notes:
                yield from _wrapped("  • ", note, "    ")
        if compact:
            yield ""
            yield style("quiet", "--verbose (-v) shows each target in full: columns, reasons, SQL and locks.")

    def _compact(self, result: PreviewResult) -> Iterator[str]:
        yield f"targets ({len(result.targets)}):"
        rows = [
            (target.schema_qualified_name, f"mode={target.mode}", f"keys={_keys(target.merge_keys)}", f"path={target.path}")
            for target in result.targets
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for target, row in zip(result.targets, rows, strict=True):
            cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
            line = "  ".join(["  •", *cells, row[3]]).replace("  •  ", "  • ", 1)
            outcome, kind = _outcome(result, target)
            if len(line) + len(outcome) + 2 <= _WIDTH:
                yield line + (f"  {self._style(kind, outcome)}" if outcome else "")
            else:  # below it, where a terminal would break it anywhere
                yield line
                yield from (self._style(kind, part) for part in _wrapped("      ", outcome, "      "))
            if target.live is not None:
                yield from _live_lines(target.live, "      ")

    def _target(self, target: TargetPlan, *, several: bool) -> Iterator[str]:
        style = self._style
        if several:
            yield f"  Mode: {target.mode}"
        yield from _wrapped(f"  Path: {target.path}  ", target.path_reason, "    ")
        if target.target_connection_name:
            yield f"  Target connection: {target.target_connection_name}{place(target.target_connection_info)}"
        if target.augmented_columns:
            yield "  Columns:"
            for column in target.augmented_columns:
                yield f"    {column['name']}{' (auto)' if column.get('automatic') else ''}"
        for title, names, reason in (
            ("Merge keys", target.merge_keys, target.merge_keys_reason),
            ("Compare columns", target.compare_columns, target.compare_columns_reason),
        ):
            if names:
                yield from _wrapped(f"  {title}: ", f"({', '.join(names)}) [{reason}]", "    ")
        for decision in target.decisions:
            yield from _wrapped(f"  {decision['about'][:1].upper()}{decision['about'][1:]}: ", decision["text"], "    ")
        if target.live is not None:
            yield "  Live:"
            yield from _live_lines(target.live, "    ")
        if target.plan_sql:
            yield f"  SQL plan ({len(target.plan_sql)} statement(s)):"
            yield from self._statements(target)
        # Last, so that it is what stands on the screen after all the SQL.
        if target.dry_run_error is not None:
            yield from (style("bad", line) for line in _wrapped("  Dry-run error: ", target.dry_run_error, "    "))
        elif target.dry_run_rows_affected:
            rows = target.dry_run_rows_affected
            itself = "; the table would be made, altered or emptied" if target.dry_run_changes and not _changed(rows) else ""
            yield from _wrapped("  Dry-run rows affected: ", counts_text(rows) + itself, "    ")

    def _statements(self, target: TargetPlan) -> Iterator[str]:
        total = len(target.plan_sql)
        for number, sql in enumerate(target.plan_sql, 1):
            about = target.statements[number - 1] if len(target.statements) == total else None
            head = f"    [{number}/{total}]"
            if about is None:
                yield head
            else:
                yield from self._about(head, about)
            yield from (f"    {line}".rstrip() for line in sql.split("\n"))
            if number < total:
                yield ""

    def _about(self, head: str, about: dict[str, Any]) -> Iterator[str]:
        side = ", on the source" if about["side"] == "source" else ""
        when = f" ({about['when']})" if about["when"] else ""
        yield f"{head} {self._style('name', about['name'])}{side}{when}"
        yield from (self._style("quiet", line) for line in _wrapped("    -- ", about["why"], "    -- "))
        if about["locks"]:
            taken = "; ".join(f"{lock['mode']} on {lock['relation']}" for lock in about["locks"])
            yield from (self._style("quiet", line) for line in _wrapped("    -- locks: ", taken, "    --        "))


def _keys(names: Iterable[str]) -> str:
    text = ", ".join(names)
    return f"({text})" if text else "—"


def live_facts(live: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the databases say, as pairs of a word and a text."""
    if live.get("source_rows") is not None:
        yield "source", f"about {plural(round(live['source_rows']), 'row')} (the planner's estimate)"
    if live.get("target_exists") is not None:
        rows = live["target_rows"]
        known = "" if rows is None else f", about {plural(round(rows), 'row')}"
        yield "target", f"is there{known}" if live["target_exists"] else "is missing: the load makes it"
    for difference in live.get("differences") or ():
        yield "difference", difference
    if live.get("alter"):
        yield "alter", f"{' '.join(live['alter'].split())} (ACCESS EXCLUSIVE)"
    for guard in live.get("missing_guards") or ():
        yield "guard to add", guard
    if live.get("watermark") is not None:
        yield "watermark", str(live["watermark"])
    for lock in live.get("locks") or ():
        if not lock["conflicting"]:
            yield "locks", f"nobody is in the way of {lock['mode']} on {lock['relation']}"
        for holder in lock["conflicting"]:
            yield "locks", f"{_holder(holder)}, in the way of {lock['mode']} on {lock['relation']}"
    for note in live.get("notes") or ():
        yield "note", note


def _holder(holder: dict[str, Any]) -> str:
    who = f"process {holder['pid']}" if holder["pid"] else "a prepared transaction"
    if holder["application"]:
        who += f" ({holder['application']})"
    since = f" in a transaction open for {holder['seconds']} s" if holder["seconds"] >= 0 else ""
    return f"{who} {'holds' if holder['granted'] else 'waits for'} {holder['mode']}{since}"


def _live_lines(live: dict[str, Any], indent: str) -> Iterator[str]:
    for word, text in live_facts(live):
        yield from _wrapped(f"{indent}{word}: ", text, indent + "  ")
