"""What holds for every strategy, option and path."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from ematix_flow.errors import DataError, EmatixError
from tests.conformance.cases import CASES, Case
from tests.conformance.loading import Lane, Subject, counts_of, sorted_rows
from tests.conformance.shapes import Rows
from tests.fix_db import Database
from tests.oracle.model import Refused
from tests.oracle.values import text

LEFT = """
SELECT 'temporary ' || relname FROM pg_class WHERE relpersistence = 't'
UNION ALL SELECT 'advisory lock' FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL SELECT state || ': ' || query FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND state <> 'idle'
"""
OURS = "SELECT count(*) FROM pg_class WHERE relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND relname !~ '^pg_toast'"


TWO_PATHS = pytest.mark.parametrize("lane", ["same_db", "cross_db"], indirect=True)
#: Tests that are about how a load runs leave out combinations of options that differ in their rows alone.
PLAIN_CASES = pytest.mark.parametrize("case", [name for name, case in CASES.items() if not case.combined], indirect=True)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def subject(lane: Lane, case: Case) -> Iterator[Subject]:
    """A table of its own; when the test is over nothing of its loads is left on either server."""
    if case.name == "scd2-guards_full":
        if not lane.database("SELECT 1 FROM pg_available_extensions WHERE name = 'btree_gist'"):
            pytest.skip("this PostgreSQL comes without btree_gist")
        lane.database("CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA public")
    yield Subject(lane, case)
    assert left_on(lane.database) == []
    assert left_on(lane.origin) == []
    if lane.origin is not lane.database:
        assert lane.origin.value(OURS) == 0, "a source is only read"


def left_on(database: Database) -> list[Any]:
    """What a load left; a session that was closed takes the server a moment to end."""
    for _ in range(100):
        if not (found := database(LEFT)):
            break
        database("SELECT pg_sleep(0.02)")
    return found


def test_each_load_leaves_what_the_model_says_and_a_second_run_writes_no_row(subject: Subject) -> None:
    for rows in subject.case.sources:
        if subject.load(rows) and subject.case.rerun:
            before = subject.rows()
            subject.load(rows)
            assert subject.rows() == before
    assert subject.results


@TWO_PATHS
def test_the_order_of_the_source_does_not_matter(subject: Subject) -> None:
    shuffle = random.Random(1)
    for rows in subject.case.sources:
        subject.load(shuffle.sample(rows, len(rows)))


@TWO_PATHS
@PLAIN_CASES
def test_a_source_that_fails_half_way_changes_nothing(subject: Subject) -> None:
    first, *others = (rows for rows in subject.case.sources if rows)
    subject.load(first)
    before = subject.state()
    with pytest.raises(DataError, match="division by zero"):
        subject.sync(subject.case.shape.failing_query(others[0]))
    assert subject.state()[:2] == before[:2]
    assert [status for status, _, _ in subject.history()] == ["success", "failed"]
    subject.check()


@TWO_PATHS
@PLAIN_CASES
def test_a_dry_run_counts_and_leaves_nothing(subject: Subject) -> None:
    for rows in subject.case.sources:
        before = subject.state()
        try:
            dry = subject.sync(subject.case.shape.query(rows), dry_run=True)
        except EmatixError as error:
            subject.agree_on_refusal(rows, error)
            assert subject.state() == before
            continue
        assert subject.state() == before
        assert (dry["status"], dry["path"]) == ("dry_run", subject.lane.path)
        changes = dry.pop("changes")
        real = subject.load(rows)
        assert real is not None
        assert changes == (subject.rows() != before[0])
        assert counts_of(dry) == counts_of(real)
        assert without_cap(dry) == without_cap(real)


def without_cap(result: dict[str, Any]) -> dict[str, Any]:
    """The watermark but for its cap, which is of the clock."""
    return {name: value for name, value in (result.get("watermark") or {}).items() if name != "cap"}


@TWO_PATHS
@PLAIN_CASES
@pytest.mark.parametrize("sources", [(0, 0), (1, 2)], ids=["first", "later"])
def test_two_runs_at_once_are_one_after_the_other(
    subject: Subject, sources: tuple[int, int], make_lane: Callable[..., Lane], request: Any
) -> None:
    usable = [rows for rows in subject.case.sources if rows]
    if sources[0]:
        subject.load(usable[0])
    pair = [usable[number] for number in sources]
    other = make_lane(request.node.callspec.params["lane"], 2)
    found = at_once(subject, pair, [subject.lane, other])

    rows, watermark, _ = subject.state()
    expected = [outcome for outcome in (in_order(subject, pair, found, order) for order in permutations(range(2))) if outcome]
    assert (rows, watermark) in expected


def at_once(subject: Subject, pair: list[Rows], lanes: list[Lane]) -> list[Any]:
    """Two loads that reach the same point at the same time: one holds the target and waits for its source, the other waits for the target."""
    found: list[Any] = [None, None]

    def run(number: int) -> None:
        query = f"SELECT s.* FROM ({subject.case.shape.query(pair[number])}) AS s WHERE NOT EXISTS (SELECT FROM public.gate)"
        try:
            found[number] = subject.sync(query, lane=lanes[number])
        except Exception as error:
            found[number] = error

    origin, database = subject.lane.origin, subject.lane.database
    waiting = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database WHERE NOT granted AND datname IN (%s, %s)"
    origin("CREATE TABLE public.gate ()")
    try:
        with origin.server.connect(origin.name) as gate:
            with gate.transaction():
                gate.execute("LOCK TABLE public.gate IN ACCESS EXCLUSIVE MODE")
                threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
                for thread in threads:
                    thread.start()
                while all(outcome is None for outcome in found) and database.value(waiting, origin.name, database.name) < 2:
                    pass
            for thread in threads:
                thread.join()
    finally:
        origin("DROP TABLE public.gate")
    for outcome in found:
        if isinstance(outcome, Exception) and not isinstance(outcome, EmatixError):
            raise outcome
    return found


def in_order(subject: Subject, pair: list[Rows], found: list[Any], order: tuple[int, ...]) -> tuple[Any, ...] | None:
    """What the model makes of the two loads in this order; None where that contradicts their outcomes or load times."""
    model = subject.case.model()
    if subject.results:
        first = subject.results[0]
        model.load(next(rows for rows in subject.case.sources if rows), subject.loaded_at(first), first["run_id"])
    times = []
    for number in order:
        outcome = found[number]
        done = not isinstance(outcome, EmatixError)
        times += [subject.loaded_at(outcome)] if done else []
        try:
            counts = model.load(pair[number], times[-1] if done else datetime.now(UTC), outcome["run_id"] if done else "")
        except Refused as refused:
            if done or type(outcome).__name__ not in refused.kinds:
                return None
        else:
            if not done or counts != counts_of(outcome):
                return None
    watermark = text(model.watermark.value) if model.watermark else None
    return (sorted_rows(model.table()), watermark) if times == sorted(times) else None
