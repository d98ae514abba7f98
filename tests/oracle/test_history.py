"""Worked examples of each rule of scd2, and what must hold for every history whatever the rules make of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.oracle.history import History, flaws
from tests.oracle.model import Refused

DAY = timedelta(days=1)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return EPOCH + number * DAY


def history(**options: Any) -> History:
    return History(keys=("k",), columns=("k", "v", "w"), compare=("v",), primary=("k",), **options)


def source(text: str) -> list[dict[str, Any]]:
    """``a1 b3``: the value a of the event of day 1, b of day 3, all of key 1; ``2:a1`` is of key 2."""
    found = []
    for word in text.split():
        key, _, rest = word.rpartition(":")
        found.append({"k": int(key or 1), "v": rest[0], "w": "w", "e": day(float(rest[1:] or 0))})
    return found


def shown(found: History) -> str:
    """``a1-3 b3-``: a from day 1 to day 3, b from then on. Of several keys, those after 1 have their number in front."""
    return " ".join(
        f"{f'{one.key[0]}:' if one.key != (1,) else ''}{one.values[1]}{(one.start - EPOCH) / DAY:g}-{'' if one.end is None else f'{(one.end - EPOCH) / DAY:g}'}"
        for one in found.all()
    )


EVENT = {"event": "e"}
ALL = {"event": "e", "versions": "all"}
SPLICE = {"event": "e", "versions": "all", "late": "splice"}
IGNORE = {"event": "e", "versions": "all", "late": "ignore"}
EXPIRING = {"event": "e", "ttl": 10 * DAY}

# Each load is at the day in front of it; the counts are those of the last one: versions inserted, and closed or shortened.
EXAMPLES = [
    # Without event time
    ({}, [(100, "a")], "a100-", (1, 0)),
    ({}, [(100, "a"), (101, "a")], "a100-", (0, 0)),
    ({}, [(100, "a"), (101, "b")], "a100-101 b101-", (1, 1)),
    ({"soft": True}, [(100, "a 2:a"), (101, "2:a")], "a100-101 2:a100-", (0, 1)),
    ({"soft": True}, [(100, "a"), (101, ""), (102, "a")], "a100-101 a102-", (1, 0)),
    ({"ttl": 2 * DAY}, [(100, "a"), (102, "a")], "a100-", (0, 0)),  # exactly as old as the limit is not older
    ({"ttl": 2 * DAY}, [(100, "a"), (103, "a")], "a100-103", (0, 1)),
    ({"ttl": 2 * DAY}, [(100, "a"), (103, "a"), (104, "a")], "a100-103 a104-", (1, 0)),
    # 0. Equal rows of one event count once
    (ALL, [(100, "a1 a1 b2")], "a1-2 b2-", (2, 0)),
    # 1. Which rows count
    (EVENT, [(100, "a1 b3 c2")], "b3-", (1, 0)),
    (ALL, [(100, "a1 b3 c2")], "a1-2 c2-3 b3-", (3, 0)),
    # 3. A key with a current version
    (ALL, [(100, "a1"), (101, "a2 b3 b4 c5")], "a1-3 b3-5 c5-", (2, 1)),
    (EVENT, [(100, "a3"), (101, "a1")], "a3-", (0, 0)),  # the newest row, unchanged: no change though it is old
    (EVENT, [(100, "a1"), (101, "b5"), (102, "c2")], None, "OutOfOrder"),
    (ALL, [(100, "a1 b5"), (101, "a2")], "a1-5 b5-", (0, 0)),  # what held then
    (ALL, [(100, "a1 b5"), (101, "b2 c6")], None, "OutOfOrder"),
    (ALL, [(100, "a1 b5"), (101, "a2 c6")], "a1-5 b5-6 c6-", (1, 1)),
    (EVENT, [(100, "a3"), (101, "b3")], None, "OutOfOrder"),
    (IGNORE, [(100, "a1 b5"), (101, "c2 d6")], "a1-5 b5-6 d6-", (1, 1)),
    (IGNORE, [(100, "a3"), (101, "b3")], "a3-", (0, 0)),
    # 4. A key without a current version
    (ALL, [(100, "a1 a2 b3 b4")], "a1-3 b3-", (2, 0)),
    (EVENT | {"soft": True}, [(10, "a1"), (20, ""), (30, "a1")], "a1-20 a30-", (1, 0)),
    (EVENT | {"soft": True}, [(10, "a1"), (20, ""), (30, "b25")], "a1-20 b25-", (1, 0)),
    (EVENT | {"soft": True}, [(10, "a1"), (20, ""), (30, "b20")], "a1-20 b20-", (1, 0)),
    (EVENT | {"soft": True}, [(10, "a1"), (20, ""), (30, "b5")], "a1-20 b30-", (1, 0)),
    (EVENT | {"soft": True}, [(10, "a50"), (20, ""), (30, "b5")], "a50-50 b50-", (1, 0)),  # closed a microsecond after a start to come
    (ALL | {"soft": True}, [(10, "a1"), (20, ""), (30, "a21 a22 b23")], "a1-20 a21-23 b23-", (2, 0)),
    (ALL | {"soft": True}, [(10, "a1"), (20, ""), (30, "b2 a3")], None, "OutOfOrder"),
    (ALL | {"soft": True}, [(10, "a1"), (20, ""), (30, "a2 b3")], "a1-20 b30-", (1, 0)),
    (IGNORE | {"soft": True}, [(10, "a1"), (20, ""), (30, "c2 a3")], "a1-20 a30-", (1, 0)),
    (SPLICE | {"soft": True}, [(10, "a1"), (20, ""), (30, "b5")], "a1-5 b5-20 b30-", (2, 1)),
    (EXPIRING, [(5, "a1"), (20, "a1")], "a1-20", (0, 1)),
    (EXPIRING, [(5, "a1"), (20, "a1"), (21, "a1")], "a1-20", (0, 0)),  # stored and expired
    (EXPIRING, [(5, "a1"), (20, "a1"), (21, "b1")], "a1-20 b21-", (1, 0)),  # not what was stored: it comes back
    (EXPIRING, [(5, "a1"), (20, "a1"), (21, "b20.5")], "a1-20 b20.5-", (1, 0)),
    (EXPIRING | {"soft": True}, [(5, "a1"), (6, ""), (7, "a1")], "a1-6 a7-", (1, 0)),  # not old enough to have expired
    # 5. Splice
    (SPLICE, [(100, "a1 b9"), (101, "c5")], "a1-5 c5-9 b9-", (1, 1)),
    (SPLICE, [(100, "a1 b9"), (101, "c3 d5")], "a1-3 c3-5 d5-9 b9-", (2, 1)),
    (SPLICE, [(100, "a1 b9"), (101, "c3 a5")], "a1-3 c3-5 a5-9 b9-", (2, 1)),  # a again, after c
    (SPLICE, [(100, "a1 b9"), (101, "a5 c7")], "a1-7 c7-9 b9-", (1, 1)),
    (SPLICE, [(100, "a1 b9"), (101, "c3 c5")], "a1-3 c3-9 b9-", (1, 1)),
    (SPLICE, [(100, "a5"), (101, "b1")], "b1-5 a5-", (1, 0)),
    (SPLICE, [(100, "a5"), (101, "a1")], "a1-5 a5-", (1, 0)),  # before the first version, and the newest row all the same
    (SPLICE, [(100, "a5"), (101, "b1 b2 c3")], "b1-3 c3-5 a5-", (2, 0)),
    (SPLICE, [(100, "a5"), (101, "b5")], None, "OutOfOrder"),
    (SPLICE, [(100, "a1 b9"), (101, "c1")], None, "OutOfOrder"),
    (SPLICE, [(100, "a1 b9"), (101, "c5 d10")], "a1-5 c5-9 b9-10 d10-", (2, 2)),
    (SPLICE | {"soft": True}, [(10, "a1"), (11, ""), (20, "b15"), (21, "c12 b15")], "a1-11 c12-15 b15-", (1, 0)),  # in a gap
    # 7. Absent keys; rows that are ignored are there all the same
    (EVENT | {"soft": True}, [(10, "a1 2:b2"), (20, "2:b2")], "a1-20 2:b2-", (0, 1)),
    (IGNORE | {"soft": True}, [(10, "a5"), (20, "b1")], "a5-", (0, 0)),
    # 8. Expiry, of what this load inserts as well
    (EXPIRING, [(20, "a1")], "a1-20", (1, 1)),
    (EXPIRING | ALL, [(20, "a1 b2 c15")], "a1-2 b2-15 c15-", (3, 0)),
    (EXPIRING | ALL, [(20, "a1 b2")], "a1-2 b2-20", (2, 1)),
    (EXPIRING | ALL, [(8, "a1"), (20, "b2")], "a1-2 b2-20", (1, 2)),
]


@pytest.mark.parametrize(("options", "loads", "expected", "counts"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples(options: dict[str, Any], loads: list[tuple[int, str]], expected: str | None, counts: Any) -> None:
    found = history(**options)
    *earlier, (last, text) = loads
    for at, rows in earlier:
        found.load(source(rows), day(at))
    before = shown(found)
    if expected is None:
        with pytest.raises(Refused) as refused:
            found.load(source(text), day(last))
        assert refused.value.kinds == {counts}
        assert shown(found) == before
    else:
        assert tuple(found.load(source(text), day(last)).values())[:2] == counts
        assert shown(found) == expected


@pytest.mark.parametrize(
    ("options", "rows", "kinds"),
    [
        ({}, [{"k": 1, "v": "a", "w": None}, {"k": 1, "v": "a", "w": None}], {"DuplicateKeys"}),
        (ALL, [{"k": 1, "v": "a", "w": "x", "e": day(1)}, {"k": 1, "v": "a", "w": "y", "e": day(1)}], {"DuplicateKeys"}),
        (EVENT, [{"k": 1, "v": "a", "w": None, "e": None}], {"DataError"}),
        (EVENT, [{"k": None, "v": "a", "w": None, "e": day(1)}], {"NullKey"}),
    ],
)
def test_refused_sources(options: dict[str, Any], rows: list[dict[str, Any]], kinds: set[str]) -> None:
    found = history(**options)
    with pytest.raises(Refused) as refused:
        found.load(rows, day(1))
    assert (refused.value.kinds, found.all()) == (kinds, [])


def test_deletes_are_guarded() -> None:
    found = history(soft=True)
    found.load([{"k": n, "v": "a", "w": None} for n in range(101)], day(1))
    with pytest.raises(Refused, match="DeleteGuard"):
        found.load([], day(2))
    found.limit = 0.5
    with pytest.raises(Refused, match="DeleteGuard"):
        found.load([{"k": n, "v": "a", "w": None} for n in range(50)], day(2))
    assert found.load([{"k": n, "v": "a", "w": None} for n in range(51)], day(2)) == {
        "rows_inserted": 0,
        "rows_closed": 50,
        "rows_deleted": 50,
    }


def test_closures_have_each_closing_and_each_version_that_was_inserted_closed() -> None:
    found = history(**SPLICE)
    found.load(source("a1 b9"), day(100), "first")
    found.load(source("c5 d10"), day(101), "second")

    assert [(start, end, run) for _, start, end, run in found.closures] == [
        (day(1), day(9), "first"),
        (day(1), day(5), "second"),
        (day(9), day(10), "second"),
        (day(5), day(9), "second"),
    ]


def test_columns_that_are_not_compared_come_with_the_version() -> None:
    found = history()
    for at, (value, other) in enumerate([("a", "x"), ("a", "y"), ("b", "z")]):
        found.load([{"k": 1, "v": value, "w": other}], day(at))
    assert [one.values for one in found.all()] == [(1, "a", "x"), (1, "b", "z")]


# What holds for all of them

rows = st.lists(
    st.fixed_dictionaries(
        {"k": st.integers(1, 2), "v": st.sampled_from("ab"), "w": st.just("w"), "e": st.sampled_from([1, 2, 3, 4, 25, 26, 27]).map(day)}
    ),
    max_size=4,
)
options = st.fixed_dictionaries(
    {
        "event": st.just("e"),
        "versions": st.sampled_from(["latest", "all"]),
        "late": st.sampled_from(["error", "ignore", "splice"]),
        "soft": st.booleans(),
        "ttl": st.none() | st.just(10 * DAY),
    }
)


def loaded(chosen: dict[str, Any], sources: Sequence[list[dict[str, Any]]]) -> tuple[History, list[Any]]:
    found, outcomes = history(**chosen), []
    for number, given_rows in enumerate(sources):
        try:
            outcomes.append(found.load(given_rows, day(20 + number)))
        except Refused as refused:
            outcomes.append(refused.kinds)
    return found, outcomes


@settings(max_examples=500, deadline=None)
@given(chosen=options, sources=st.lists(rows, min_size=1, max_size=4))
def test_no_history_has_flaws(chosen: dict[str, Any], sources: list[list[dict[str, Any]]]) -> None:
    found, _ = loaded(chosen, sources)
    assert flaws(found.all()) == []


@settings(max_examples=500, deadline=None)
@given(chosen=options, sources=st.lists(rows, min_size=1, max_size=3), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(chosen: dict[str, Any], sources: list[list[dict[str, Any]]], order: Any) -> None:
    shuffled = [order.sample(one, len(one)) for one in sources]
    (one, counts), (other, same_counts) = loaded(chosen, sources), loaded(chosen, shuffled)
    assert (one.all(), counts) == (other.all(), same_counts)


@settings(max_examples=1000, deadline=None)
@given(chosen=options, sources=st.lists(rows, min_size=1, max_size=4))
def test_a_second_run_over_the_same_source_changes_nothing(chosen: dict[str, Any], sources: list[list[dict[str, Any]]]) -> None:
    # With versions="all" the newest row of an expired version may lie after the end of that version, or be spliced into a younger one: it comes back once.
    found, outcomes = loaded(chosen, sources)
    if isinstance(outcomes[-1], dict) and not (chosen["ttl"] and chosen["versions"] == "all"):
        before = found.all()
        assert set(found.load(sources[-1], day(20 + len(sources))).values()) == {0}
        assert found.all() == before
