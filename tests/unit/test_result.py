from __future__ import annotations

import copy
import json

import pytest

from ematix_flow import Result


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
