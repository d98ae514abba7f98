"""Random tables, options and sequences of loads against the models.

``EMATIX_LONG=2000`` draws so many examples instead of those of everyday; ``make test-long`` does that and prints what they amounted to.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.cases import Case
from tests.conformance.drawing import cases
from tests.conformance.loading import Lane, Subject
from tests.conformance.tally import TALLY

#: Of a hundred examples; history has by far the most that can be combined.
SHARES = {"append": 10, "truncate": 10, "merge": 25, "scd2": 55}
EXAMPLES = int(os.environ.get("EMATIX_LONG") or 200)


@pytest.fixture(scope="module")
def lanes(make_lane: Callable[[str], Lane]) -> dict[str, Lane]:
    return {path: make_lane(path) for path in ("same_db", "cross_db")}


@pytest.mark.timeout(0 if EXAMPLES > 200 else 300)
@pytest.mark.parametrize("family", SHARES)
def test_loads(lanes: dict[str, Lane], family: str) -> None:
    tally: dict[str, int] = {}

    @settings(
        max_examples=max(1, EXAMPLES * SHARES[family] // 100),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(case=cases(family), path=st.sampled_from(sorted(lanes)))
    def loads(case: Case, path: str) -> None:
        subject = Subject(lanes[path], case)
        for rows in case.sources:
            result = subject.load(rows)
            count(tally, result, len(rows))
        tally["examples"] = tally.get("examples", 0) + 1

    loads()
    TALLY.add(str(lanes["same_db"].database.server.major), family, **tally)


def count(tally: dict[str, int], result: dict[str, Any] | None, rows: int) -> None:
    for what, number in (("loads", 1), ("refused", int(result is None)), ("rows", rows)):
        tally[what] = tally.get(what, 0) + number
