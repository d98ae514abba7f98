"""What happened to a table: its runs, and the versions of a key. ``Connection.history`` returns these objects."""

from __future__ import annotations

import json
import textwrap
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ematix_flow import _html

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ematix_flow.connection import Connection

__all__ = ["KeyHistory", "RunHistory"]

_WIDTH = 80
_COUNTS = ("inserted", "updated", "closed", "deleted", "unchanged")

# The columns of a run, in the order of the state table, with their types.
_RUN_COLUMNS = {
    "run_id": "uuid",
    "pipeline_name": "text",
    "target_schema": "text",
    "target_table": "text",
    "mode": "text",
    "path": "text",
    "started_at": "timestamp with time zone",
    "finished_at": "timestamp with time zone",
    "status": "text",
    "rows_inserted": "bigint",
    "error_message": "text",
    "rows_updated": "bigint",
    "rows_unchanged": "bigint",
    "parent_run_id": "uuid",
    "step_name": "text",
    "metrics_json": "text",
    "rows_closed": "bigint",
    "rows_deleted": "bigint",
    "loaded_at": "timestamp with time zone",
    "xact_id": "text",
    "server_version": "text",
    "engine_version": "text",
    "host": "text",
    "pid": "integer",
}


class _Records:
    """Rows that were read already, and can be given to consumers of Arrow."""

    _connection: Connection

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each row, with plain Python values."""
        raise NotImplementedError

    def _records(self) -> tuple[dict[str, str], list[dict[str, str | None]]]:
        """Columns with their types, and rows of texts."""
        raise NotImplementedError

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows as an Arrow stream: ``polars.DataFrame(history)``, ``pyarrow.table(history)``. The connection must still be open."""
        from ematix_flow import _bridge

        columns, rows = self._records()
        asked = {
            "connection": self._connection._id,
            "columns": [{"name": name, "type": kind} for name, kind in columns.items()],
            "rows": json.dumps(rows, ensure_ascii=False),
        }
        return _bridge.call_stream("read_records", asked)[1]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.to_dicts())


class RunHistory(_Records):
    """Runs, the newest first.

    Attributes:
        notes: what there is to know about them: that only the newest are here, that no run was ever recorded.
    """

    def __init__(self, connection: Connection, answer: Mapping[str, Any]) -> None:
        self._connection = connection
        lost = set(answer["lost"])
        self._runs = [{name: row.get(name) for name in _RUN_COLUMNS} for row in answer["rows"]]
        for run in self._runs:
            if run["run_id"] in lost:
                run["status"] = "lost"
        self.notes: list[str] = list(answer["notes"])
        if answer["total"] > len(self._runs):
            self.notes.append(f"These are the newest {len(self._runs):,} of {answer['total']:,} runs.")

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each run, with the columns of ``ematix_flow.run_history``."""
        return [{name: _value(_text(run[name]), kind) for name, kind in _RUN_COLUMNS.items()} for run in self._runs]

    def _records(self) -> tuple[dict[str, str], list[dict[str, str | None]]]:
        return _RUN_COLUMNS, [{name: _text(value) for name, value in run.items()} for run in self._runs]

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        return f"<RunHistory of {_counted(len(self), 'run')}>"

    def __str__(self) -> str:
        return "\n".join(line for run in self.to_dicts() for line in _run_lines(run)) or "no runs"

    def _repr_html_(self) -> str:
        runs = self.to_dicts()
        counted = [what for what in _COUNTS if any(what in _counted_by(run) for run in runs)]
        columns = ["started (UTC)", "status", "pipeline", "mode", *counted, "seconds", "run"]
        rows = [
            [
                _moment(run["started_at"])[:19],
                run["status"],
                _pipeline(run),
                run["mode"],
                *(run[f"rows_{what}"] if what in _counted_by(run) else None for what in counted),
                _seconds(run),
                run["run_id"],
            ]
            for run in runs
        ]
        errors = [
            _html.paragraph(f"{_moment(run['started_at'])} {run['pipeline_name']}: {run['error_message']}", "bad")
            for run in runs
            if run["error_message"]
        ]
        body = [_html.table(columns, rows)] if rows else [_html.paragraph("no runs", "quiet")]
        return _html.frame(*body, *errors, *(_html.paragraph(note, "quiet") for note in self.notes))


def _run_lines(run: Mapping[str, Any]) -> Iterator[str]:
    yield from _wrapped(f"{_moment(run['started_at'])[:19]}  {run['status']:<8} {_pipeline(run)}", "")
    counts = ", ".join(f"{run[f'rows_{what}']:,} {what}" for what in _counted_by(run))
    seconds = _seconds(run)
    took = [] if seconds is None else [f"{seconds:.2f} s"]
    yield from _wrapped("; ".join(filter(None, [", ".join([run["mode"], run["path"], *took]), counts])), "    ")
    yield f"    run {run['run_id']}"
    for line in (run["error_message"] or "").splitlines():
        yield from _wrapped(_visible(line), "    ")


def _counted_by(run: Mapping[str, Any]) -> list[str]:
    """What a run has counted. The updated rows of a history are the closed ones, and it counts none as unchanged."""
    return [
        what for what in _COUNTS if run[f"rows_{what}"] is not None and not (run["mode"] == "scd2" and what in ("updated", "unchanged"))
    ]


def _pipeline(run: Mapping[str, Any]) -> str:
    """The name of the pipeline with its target, where it does not say so itself."""
    pipeline, target = run["pipeline_name"], f"{run['target_schema']}.{run['target_table']}"
    about = pipeline if pipeline == target or pipeline.endswith(f"::{target}") else f"{pipeline} into {target}"
    return f"{about}, step {run['step_name']}" if run["step_name"] else str(about)


def _seconds(run: Mapping[str, Any]) -> float | None:
    if run["finished_at"] is None or run["status"] == "lost":
        return None
    seconds: float = (run["finished_at"] - run["started_at"]).total_seconds()
    return round(seconds, 2)


class KeyHistory(_Records):
    """Every version of one key of a table, the oldest first.

    Attributes:
        table: ``schema.table``.
        key: the columns of the key with their values.
        kind: ``"versions"``, or ``"rows"`` for a table that keeps no versions.
        notes: what there is to know about them.
    """

    def __init__(self, connection: Connection, answer: Mapping[str, Any]) -> None:
        self._connection = connection
        self._answer = answer
        self._types = {column["name"]: column["type"] for column in answer["columns"]}
        validity = answer["validity"]
        self._own = {name for name in validity.values() if name} | ({"_loaded_at", "_batch_id"} & set(self._types))
        self.table = f"{answer['schema']}.{answer['table']}"
        self.kind: str = answer["kind"]
        self.key = {part["column"]: _value(part["value"], part["type"]) for part in answer["key"]}
        self.notes: list[str] = list(answer["notes"])
        if not len(self):
            self.notes.append(f"{self.table} has no row of this key.")
        if answer["total"] > len(self):
            self.notes.append(f"These are the newest {len(self):,} of {answer['total']:,} {self.kind}.")

    def to_dicts(self) -> list[dict[str, Any]]:
        """One dict for each version.

        ``valid_from`` and ``valid_to`` say when it held, ``loaded_at`` since when it is known; ``run_id``, ``pipeline`` and ``mode`` are of the run
        that wrote it. ``changes`` are what differs from the version before: ``column``, ``before`` and ``after``. ``ends`` are the times at which
        its end was set, where the table has closures: ``valid_to``, ``known_since``, ``run_id`` and ``pipeline``, in the order in which they
        became known. ``values`` are the columns of the table.
        """
        previous: dict[str, Any] = {}
        found = []
        for version in self._versions():
            values = version["values"]
            version["changes"] = [
                {"column": name, "before": previous.get(name), "after": values[name]} for name in version.pop("changed") if name in previous
            ]
            found.append(version)
            previous = values
        return found

    def _versions(self) -> Iterator[dict[str, Any]]:
        validity, runs = self._answer["validity"], self._answer["runs"]
        span = self._types.get(validity["valid_from"], "")
        loaded = self._types.get("_loaded_at", "")
        for version in self._answer["versions"]:
            run = runs.get(version["run_id"], {})
            ends = [
                {
                    "valid_to": _value(end["valid_to"], span),
                    "known_since": _value(runs.get(end["run_id"], {}).get("loaded_at"), "timestamp with time zone"),
                    "run_id": end["run_id"],
                    "pipeline": runs.get(end["run_id"], {}).get("pipeline"),
                }
                for end in version["ends"]
            ]
            values = zip(self._types.items(), version["values"], strict=True)
            yield {
                "version": version["version"],
                "valid_from": _value(version["valid_from"], span),
                "valid_to": _value(version["valid_to"], span),
                "is_current": version["is_current"],
                "loaded_at": _value(version["loaded_at"], loaded),
                "run_id": version["run_id"],
                "pipeline": run.get("pipeline"),
                "mode": run.get("mode"),
                "ends": sorted(ends, key=lambda end: (str(end["known_since"]), str(end["run_id"]))),
                "changed": version["changed"],
                "values": {name: _value(text, kind) for (name, kind), text in values if name not in self._own},
            }

    def _records(self) -> tuple[dict[str, str], list[dict[str, str | None]]]:
        """The rows of the table as they are, and beside them what is known of each."""
        more = ["_version", "_pipeline", "_mode", "_changed", "_end_known_since", "_end_run_id"]
        while any(name in self._types for name in more):
            more = [f"_{name}" for name in more]
        kinds = ["bigint", "text", "text", "text", "timestamp with time zone", "uuid"]
        rows = []
        for version, found in zip(self._answer["versions"], self.to_dicts(), strict=True):
            last = found["ends"][-1] if found["ends"] else {}
            known = last.get("known_since")
            changed = ", ".join(change["column"] for change in found["changes"])
            about = [found["version"], found["pipeline"], found["mode"], changed, known and known.isoformat(), last.get("run_id")]
            row: dict[str, str | None] = dict(zip(self._types, version["values"], strict=True))
            rows.append(row | dict(zip(more, map(_text, about), strict=True)))
        return self._types | dict(zip(more, kinds, strict=True)), rows

    def __len__(self) -> int:
        return len(self._answer["versions"])

    def __repr__(self) -> str:
        return f"<KeyHistory of {self.table}, {_counted(len(self), self.kind[:-1])}>"

    def _title(self) -> str:
        key = ", ".join(f"{name} = {_shown(value)}" for name, value in self.key.items())
        return f"{self.table}, {key}: {_counted(len(self), self.kind[:-1])}"

    def __str__(self) -> str:
        lines = list(_wrapped(self._title() + (", times in UTC" if len(self) else ""), ""))
        end = None
        for version in self.to_dicts():
            if end is not None and version["valid_from"] != end:
                lines += ["", f"-  nothing from {_moment(end)} on"] if str(version["valid_from"]) > str(end) else []
            lines += ["", *_version_lines(version, self.kind)]
            end = version["valid_to"]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from ematix_flow import _timeline

        versions = self.to_dicts()
        rows = []
        for version in versions:
            shown: list[tuple[str, str | None, str]] = [
                (change["column"], _shown(change["before"]), _shown(change["after"])) for change in version["changes"]
            ]
            if version is versions[0]:
                shown = [(name, None, _shown(value)) for name, value in version["values"].items() if name not in self.key]
            rows += [[*(_about(version) if first else [""] * 5), *line] for first, line in _firsts(shown or [("", "", "")])]
        columns = ["version", "from (UTC)", "to", "known since", "run", "column", "before", "after"]
        parts = [_html.heading(self._title())]
        if self.kind == "versions":
            parts.append(_timeline.svg(versions))
        if rows:
            parts.append(_html.table(columns, rows))
        ends = [
            [
                version["version"],
                _moment(end["valid_to"]),
                _moment(end["known_since"]),
                " ".join(filter(None, [end["pipeline"], end["run_id"]])),
            ]
            for version in versions
            for end in version["ends"]
        ]
        if ends:
            parts.append(_html.table(["version", "ended (UTC)", "known since", "run"], ends))
        return _html.frame(*parts, *(_html.paragraph(note, "quiet") for note in self.notes))


def _firsts(lines: list[Any]) -> Iterator[tuple[bool, Any]]:
    return ((number == 0, line) for number, line in enumerate(lines))


def _about(version: Mapping[str, Any]) -> list[str]:
    run = " ".join(filter(None, [version["pipeline"], version["mode"] and f"({version['mode']})", version["run_id"]]))
    number = f"{version['version']}{' (current)' if version['is_current'] else ''}"
    return [number, _moment(version["valid_from"]), _moment(version["valid_to"]) or "…", _moment(version["loaded_at"]), run]


def _version_lines(version: Mapping[str, Any], kind: str) -> Iterator[str]:
    current = "  (current)" if version["is_current"] else ""
    if kind == "versions":
        yield f"{version['version']}  {_moment(version['valid_from'])} -> {_moment(version['valid_to']) or '...'}{current}"
    else:
        yield f"row {version['version']}"
    if version["loaded_at"] is not None:
        yield f"   known since {_moment(version['loaded_at'])}"
    if version["run_id"]:
        by = f" by {version['pipeline']} ({version['mode']})" if version["pipeline"] else ""
        yield from _wrapped(f"run {version['run_id']}{by}", "   ")
    for end in version["ends"]:
        yield from _wrapped(
            f"end {_moment(end['valid_to'])} known since {_moment(end['known_since']) or 'a run that is not recorded'}, run {end['run_id']}",
            "   ",
        )
    for change in version["changes"]:
        yield from _wrapped(f"{_visible(change['column'])}: {_shown(change['before'])} -> {_shown(change['after'])}", "   ")
    if version["version"] == 1 or not version["changes"]:
        for name, value in version["values"].items():
            yield from _wrapped(f"{_visible(name)} = {_shown(value)}", "   ")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _wrapped(text: str, indent: str) -> list[str]:
    """Lines of at most 80 characters; nothing is left out."""
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    ", break_on_hyphens=False, drop_whitespace=True
    ) or [indent]


def _visible(text: str) -> str:
    """The text with control characters spelled, so that none reaches a terminal."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, bool):
        return str(value).lower()
    return _moment(value) if isinstance(value, (datetime, date, time)) else repr(value) if isinstance(value, str) else str(value)


def _moment(value: object) -> str:
    """A time in UTC without saying so each time, to the microsecond where it has some."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ")
    return "" if value is None else value.isoformat() if isinstance(value, (date, time)) else str(value)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _value(text: str | None, kind: str) -> Any:
    """A text of the server as a Python value; what Python does not have (infinite dates, types of its own) stays text."""
    if text is None:
        return None
    try:
        return _read(text, kind.partition("(")[0].strip())
    except ValueError:
        return text


def _read(text: str, kind: str) -> Any:
    if kind in ("smallint", "integer", "bigint"):
        return int(text)
    if kind == "boolean":
        return text == "true"
    if kind in ("real", "double precision"):
        return float(text)
    if kind == "numeric":
        return Decimal(text)
    if kind == "bytea":
        return bytes.fromhex(text.removeprefix("\\x"))
    if kind.startswith("timestamp"):
        return datetime.fromisoformat(text)
    if kind == "date":
        return date.fromisoformat(text)
    return time.fromisoformat(text) if kind in ("time", "time without time zone") else text


def key_arguments(key: object) -> dict[str, Any]:
    """A key as the engine takes it: a value, a tuple of them in the order of the table's key, or a mapping of columns.

    >>> key_arguments({"id": 7})
    {'values': None, 'named': {'id': '7'}}
    >>> key_arguments((7, None))
    {'values': ['7', None], 'named': None}

    Raises:
        TypeError: a value of a type that no column has.
    """
    if isinstance(key, dict):
        if not key or not all(isinstance(name, str) for name in key):
            raise TypeError("key is a value, a tuple of values, or a dict of column names to values, at least one.")
        return {"values": None, "named": {name: spelled(value) for name, value in key.items()}}
    parts = key if isinstance(key, (tuple, list)) else (key,)
    return {"values": [spelled(part) for part in parts], "named": None}


def spelled(value: object) -> str | None:
    """A value as text, which the server reads as the type of the column."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (bytes, bytearray)):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, (int, float, Decimal, UUID)):
        return str(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    raise TypeError(f"A value of key is a str, number, bool, date or time, UUID, bytes or None, not {type(value).__name__}.")


def jsonable(value: object) -> Any:
    """The value as JSON has it: times in ISO 8601, exact and infinite numbers as text, bytes in hexadecimal.

    >>> json.dumps(jsonable({"at": date(2026, 1, 2), "price": Decimal("1.50"), "size": float("nan"), "raw": b"1"}))
    '{"at": "2026-01-02", "price": "1.50", "size": "nan", "raw": "\\\\\\\\x31"}'
    """
    if isinstance(value, dict):
        return {str(name): jsonable(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    plain = value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and isfinite(value))
    return value if plain else str(value)
