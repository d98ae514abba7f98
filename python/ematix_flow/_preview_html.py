"""Previews and dry runs in notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ematix_flow._html import code, escape, frame, heading, paragraph, table
from ematix_flow.preview import counts_text, live_facts, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ematix_flow.preview import PreviewResult, TargetPlan


def preview_html(result: PreviewResult) -> str:
    """One frame: what the pipeline is, then each target, its statements folded up."""
    what = "Dry run" if result.is_dry_run else "Preview"
    about = [f"schedule: {result.schedule or '—'}"]
    if result.mode:
        about.append(f"mode: {result.mode}")
    if result.source_connection_name:
        about.append(f"source connection: {result.source_connection_name}{place(result.source_connection_info)}")
    parts = [heading(f"{what}: {result.pipeline_name}"), paragraph(" · ".join(about), "quiet")]
    parts += [paragraph(f"Note: {note}") for note in result.notes]
    if result.source_sql:
        parts.append(_folded("source query", code(result.source_sql)))
    for target in result.targets:
        parts += _target(target)
    if result.transforms_post:
        parts += [
            heading("Transforms (post)"),
            table(["", "kind", "what"], [[n, t.kind, t.summary] for n, t in enumerate(result.transforms_post, 1)]),
        ]
    return frame(*parts)


def _target(target: TargetPlan) -> Iterator[str]:
    yield heading(target.schema_qualified_name)
    if target.dry_run_error is not None:
        yield paragraph(target.dry_run_error, "bad")
    elif target.dry_run_rows_affected:
        yield paragraph(counts_text(target.dry_run_rows_affected))
    facts = [("mode", target.mode), ("path", f"{target.path}: {target.path_reason}")]
    if target.target_connection_name:
        facts.append(("connection", f"{target.target_connection_name}{place(target.target_connection_info)}"))
    for word, names, reason in (
        ("merge keys", target.merge_keys, target.merge_keys_reason),
        ("compare columns", target.compare_columns, target.compare_columns_reason),
    ):
        if names:
            facts.append((word, f"{', '.join(names)} ({reason})"))
    facts += [(decision["about"], decision["text"]) for decision in target.decisions]
    if target.live is not None:
        facts += [(f"live: {word}", text) for word, text in live_facts(target.live)]
    yield table(["", ""], facts).replace("<tr><th></th><th></th></tr>", "")
    rows = [[c["name"], c["type"], "NULL" if c["nullable"] else "NOT NULL", _part(c)] for c in target.augmented_columns]
    yield _folded(f"{len(rows)} columns", table(["column", "type", "", ""], rows))
    body = "".join(_statement(number, sql, target) for number, sql in enumerate(target.plan_sql, 1))
    yield _folded(f"{len(target.plan_sql)} statements", body)


def _part(column: dict[str, Any]) -> str:
    return ", ".join(word for word, holds in (("key", column["primary_key"]), ("filled by the load", column["automatic"])) if holds)


def _statement(number: int, sql: str, target: TargetPlan) -> str:
    if len(target.statements) != len(target.plan_sql):
        return code(sql)
    about = target.statements[number - 1]
    side = ", on the source" if about["side"] == "source" else ""
    when = f" ({about['when']})" if about["when"] else ""
    locks = "; ".join(f"{lock['mode']} on {lock['relation']}" for lock in about["locks"])
    more = paragraph(f"locks: {locks}", "quiet") if locks else ""
    return paragraph(f"{number}. {about['name']}{side}{when}: {about['why']}") + more + code(sql)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{body}</details>"
