"""The airports of ``flow demo``: four releases of a real table, and the pipelines that keep its history."""

from __future__ import annotations

import csv
import io
from importlib import resources

__all__ = ["SCHEMA", "releases"]

#: The schema that the demo has for itself.
SCHEMA = "airports_demo"


def releases() -> dict[str, list[dict[str, str]]]:
    """The rows of each release, by the date of the release, oldest first; every value is the text that was published.

    >>> {date: len(rows) for date, rows in releases().items()}
    {'2022-04-06': 6565, '2023-06-30': 7586, '2024-08-06': 7867, '2026-09-05': 7884}
    """
    found: dict[str, list[dict[str, str]]] = {}
    text = (resources.files(__name__) / "airports.csv").read_bytes().decode("utf-8")
    for row in csv.DictReader(io.StringIO(text, newline="")):
        found.setdefault(row["released"], []).append(row)
    return dict(sorted(found.items()))
