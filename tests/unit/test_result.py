from __future__ import annotations

import copy
import json

import pytest

from ematix_flow import Result
from ematix_flow.result import Results


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (
            Result(status="success", path="cross_db", run_id="r", rows_inserted=1234567, rows_updated=0, rows_unchanged=2, rows_deleted=3),
            "success: 1,234,567 inserted, 0 updated, 3 deleted, 2 unchanged (cross_db, run r)",
        ),
        (Result(status="dry_run", rows_inserted=1, rows_closed=1, duration_seconds=1.234), "dry_run: 1 inserted, 1 closed (1.23 s)"),
        (Result(status="skipped"), "skipped"),
        (Result(), "{}"),
    ],
)
def test_text(result: Result, text: str) -> None:
    assert str(result) == text


def test_it_is_a_dict() -> None:
    result = Result(status="success", rows_inserted=1)
    assert result == {"status": "success", "rows_inserted": 1}
    assert repr(result) == "{'status': 'success', 'rows_inserted': 1}"
    assert json.loads(json.dumps(result)) == result
    assert copy.deepcopy(result) == result


LOADED = Result(
    pipeline="nightly", status="success", path="same_db", run_id="r-1", rows_inserted=1234, rows_unchanged=0, duration_seconds=0.128
)


def test_html_of_a_result() -> None:
    html = Result(LOADED, watermark={"column": "<at>", "since": None, "stored": "2026-01-01", "cap": None})._repr_html_()
    assert html.endswith(
        "<h4>nightly</h4><table><tr><th>status</th><th>inserted</th><th>unchanged</th><th>seconds</th><th>path</th><th>run</th></tr>"
        '<tr><td>success</td><td class="n">1,234</td><td class="n">0</td><td class="n">0.13</td><td>same_db</td><td>r-1</td></tr></table>'
        '<p class="quiet">watermark of &lt;at&gt;: read from the beginning, next from 2026-01-01</p></div>'
    )


def test_results_of_several_targets() -> None:
    both = Results({"w.a": LOADED, "w.b": Result(status="skipped")})
    assert json.loads(json.dumps(both)) == both
    assert str(both) == "w.a: success: 1,234 inserted, 0 unchanged (same_db, 0.13 s, run r-1)\nw.b: skipped"
    assert both._repr_html_().endswith(
        '<tr><td>w.b</td><td>skipped</td><td class="quiet">—</td><td class="quiet">—</td><td class="quiet">—</td><td class="quiet">—</td>'
        '<td class="quiet">—</td></tr></table></div>'
    )


def test_results_where_one_failed() -> None:
    some = Results(results={"w.a": Result(status="skipped")}, errors={"w.b": "It is <gone>."})
    assert str(some) == "w.a: skipped\nw.b: failed: It is <gone>."
    assert "<td>w.b</td><td>failed</td>" in some._repr_html_()
    assert some._repr_html_().endswith('<p class="bad">w.b: It is &lt;gone&gt;.</p></div>')
