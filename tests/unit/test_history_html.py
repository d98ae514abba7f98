"""Histories and reports as a notebook shows them: looked at in a browser, light and dark."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from ematix_flow import _html, _timeline
from ematix_flow.doctor import Report
from ematix_flow.history import KeyHistory, RunHistory
from tests.screen import BROWSER, problems

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)

Version = dict[str, Any]


def version(number: int, start: datetime | None, end: datetime | None, current: bool | None = None) -> Version:
    flag = end is None if current is None else current
    return {"version": number, "valid_from": start, "valid_to": end, "is_current": flag, "changes": [{"column": "tier<"}]}


def chain(*starts: timedelta, opens: bool = True) -> list[Version]:
    times = [START + start for start in starts]
    ends = [*times[1:], None] if opens else times[1:]
    return [version(number, start, end) for number, (start, end) in enumerate(zip(times, ends, strict=False), 1)]


def drawn_at_random() -> list[Version]:
    random_times = random.Random(1)
    return chain(*sorted(random_times.random() * 900 * DAY for _ in range(40)))


LINES = {
    "one": chain(0 * DAY),
    "three": chain(0 * DAY, 40 * DAY, 100 * DAY),
    "ended": chain(0 * DAY, 40 * DAY, 100 * DAY, opens=False),
    "many in the last moment": chain(0 * DAY, *(3000 * DAY + second * SECOND for second in range(20))),
    "two hundred": chain(*(day * DAY for day in range(200))),
    "a thousand": chain(*(hour * timedelta(hours=1) for hour in range(1000))),
    "at random": drawn_at_random(),
    "microseconds and a gap": [
        version(1, START, START + timedelta(microseconds=1)),
        version(2, START + timedelta(microseconds=5), START + timedelta(microseconds=9)),
        version(3, START + timedelta(hours=1), None),
    ],
    "overlaps": [version(1, START, START + 10 * DAY), version(2, START + 5 * DAY, None), version(3, START + 7 * DAY, None)],
    "without zone": [version(1, datetime(2024, 1, 1), None)],
}


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_overlaps_or_is_cut(theme: str) -> None:
    drawings = "".join(_html.frame(_html.heading(name), _timeline.svg(versions)) for name, versions in LINES.items())
    assert problems(drawings + KEY._repr_html_() + RUNS._repr_html_() + REPORT._repr_html_(), theme=theme) == []


@pytest.mark.parametrize("name", LINES, ids=lambda name: name.replace(" ", "_"))
def test_every_version_has_a_bar_of_some_width_in_its_order(name: str) -> None:
    root = ElementTree.fromstring(_timeline.svg(LINES[name]))
    bars = [group for group in root if group.tag == "g"]
    assert [cast("str", bar[0].text).split(":")[0] for bar in bars] == [f"version {one['version']}" for one in LINES[name]]
    edges = [[float(point.split(",")[0]) for point in bar[1].attrib["points"].split()] for bar in bars]
    lefts = [edge[0] for edge in edges]
    assert lefts == sorted(lefts)
    assert len(set(lefts)) == len({one["valid_from"] for one in LINES[name]})
    assert all(max(edge) - edge[0] > 0.5 and min(edge) >= 0 and max(edge) <= 760 for edge in edges)
    assert [max(edge) == 748 for edge in edges] == [one["valid_to"] is None for one in LINES[name]]  # an open end is an arrow


def test_tooltips_tell_the_version_and_are_escaped() -> None:
    drawing = _timeline.svg(chain(0 * DAY, 40 * DAY))
    assert re.findall("<title>(.*?)</title>", drawing) == [
        "version 1: 2024-01-01 00:00:00 to 2024-02-10 00:00:00; changed: tier&lt;",
        "version 2: 2024-02-10 00:00:00 to now; changed: tier&lt;",
    ]


def test_a_start_before_all_times_has_no_drawing() -> None:
    assert _timeline.svg([version(1, cast("datetime", "-infinity"), None)]) == ""


RUN = "11111111-0000-4000-8000-000000000000"

KEY = KeyHistory(
    cast("Any", None),
    {
        "schema": "w",
        "table": "t",
        "kind": "versions",
        "total": 3,
        "key": [{"column": "id", "type": "integer", "value": "1"}],
        "validity": {"valid_from": "valid_from", "valid_to": "valid_to", "is_current": "", "row_hash": ""},
        "columns": [
            {"name": "id", "type": "integer"},
            {"name": "<name>", "type": "text"},
            {"name": "valid_from", "type": "date"},
            {"name": "valid_to", "type": "date"},
        ],
        "versions": [
            {
                "version": 2,
                "valid_from": "2026-01-01",
                "valid_to": "2026-02-01",
                "is_current": None,
                "loaded_at": None,
                "run_id": RUN,
                "values": ["1", "<b>", "2026-01-01", "2026-02-01"],
                "changed": ["<name>"],
                "ends": [{"valid_to": "2026-02-01", "run_id": RUN}],
            },
            {
                "version": 3,
                "valid_from": "2026-02-01",
                "valid_to": None,
                "is_current": None,
                "loaded_at": None,
                "run_id": None,
                "values": ["1", None, "2026-02-01", None],
                "changed": ["<name>"],
                "ends": [],
            },
        ],
        "runs": {RUN: {"pipeline": "p&q", "mode": "scd2", "status": "success", "loaded_at": "2026-02-03 00:00:00+00"}},
        "notes": [],
    },
)


def test_html_of_a_key() -> None:
    html = KEY._repr_html_()
    table = html[html.index("<table>") :]
    assert table == (
        "<table><tr><th>version</th><th>from (UTC)</th><th>to</th><th>known since</th><th>run</th><th>column</th><th>before</th><th>after</th></tr>"
        f"<tr><td>2</td><td>2026-01-01</td><td>2026-02-01</td><td></td><td>p&amp;q (scd2) {RUN}</td><td>&lt;name&gt;</td>"
        '<td class="quiet">—</td><td>&#x27;&lt;b&gt;&#x27;</td></tr>'
        "<tr><td>3</td><td>2026-02-01</td><td>…</td><td></td><td></td><td>&lt;name&gt;</td><td>&#x27;&lt;b&gt;&#x27;</td><td>NULL</td></tr>"
        "</table><table><tr><th>version</th><th>ended (UTC)</th><th>known since</th><th>run</th></tr>"
        f'<tr><td class="n">2</td><td>2026-02-01</td><td>2026-02-03 00:00:00</td><td>p&amp;q {RUN}</td></tr>'
        '</table><p class="quiet">These are the newest 2 of 3 versions.</p></div>'
    )


RUNS = RunHistory(
    cast("Any", None),
    {
        "rows": [
            {
                "run_id": RUN,
                "pipeline_name": "nightly",
                "target_schema": "w",
                "target_table": "t",
                "mode": "merge",
                "path": "same_db",
                "status": "failed",
                "started_at": "2026-01-01T00:00:00+00:00",
                "finished_at": "2026-01-01T00:00:01.5+00:00",
                "rows_inserted": None,
                "error_message": "The <table> is gone.",
            }
        ],
        "total": 1,
        "lost": [],
        "notes": [],
    },
)


def test_html_of_runs() -> None:
    html = RUNS._repr_html_()
    assert html[html.index("<table>") :] == (
        "<table><tr><th>started (UTC)</th><th>status</th><th>pipeline</th><th>mode</th><th>seconds</th><th>run</th></tr>"
        f'<tr><td>2026-01-01 00:00:00</td><td>failed</td><td>nightly into w.t</td><td>merge</td><td class="n">1.5</td><td>{RUN}</td></tr></table>'
        '<p class="bad">2026-01-01 00:00:00 nightly: The &lt;table&gt; is gone.</p></div>'
    )


REPORT = Report(
    {
        "schema": "w",
        "table": "t",
        "keys": ["id"],
        "rows": 1200,
        "validity": {"valid_from": "valid_from"},
        "findings": [
            {
                "name": "overlap",
                "level": "fault",
                "says": "they overlap",
                "count": 2,
                "keys": [{"id": "<1>"}],
                "remedy": "ends them",
                "repair": "SELECT 1 < 2;",
            }
        ],
    }
)


def test_html_of_a_report() -> None:
    assert REPORT._repr_html_().endswith(
        '<h4>w.t (id): 1,200 versions</h4><p class="bad">fault: they overlap: 2</p><p class="quiet">id = &lt;1&gt;</p>'
        "<p>The repair ends them.</p><pre>SELECT 1 &lt; 2;</pre></div>"
    )
