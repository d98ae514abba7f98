"""The strategies and their options: one entry for each, by ``register``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ematix_flow.strategy import SCD2, MergeUpsert, TruncateReplace
from tests.conformance.shapes import COMPOUND, NULLABLE, SINGLE, Rows, Shape
from tests.oracle.history import History
from tests.oracle.model import Model
from tests.oracle.rows import Append, Truncate
from tests.oracle.upsert import Merge
from tests.oracle.values import instant, numeric
from tests.oracle.watermark import Watermark

DAY = timedelta(days=1)
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
#: Versions that start on the tenth day of 2020 or earlier are too old for it, for as long as a test run lasts.
TTL = datetime.now(UTC) - (EPOCH + 10 * DAY)


@dataclass(frozen=True)
class Case:
    """One way to load.

    Args:
        name: the id of its tests.
        arguments: of ``pipeline.sync``.
        model: makes the model of a fresh table.
        sources: what is loaded, one after the other; the model says which of them are refused.
        rerun: whether a second run over the same source leaves every row as it is.
        combined: it puts options together that other entries have alone.
    """

    name: str
    shape: Shape
    arguments: Mapping[str, Any]
    model: Callable[[], Model]
    sources: tuple[Rows, ...]
    rerun: bool = True
    combined: bool = False


CASES: dict[str, Case] = {}


def register(case: Case) -> None:
    assert case.name not in CASES, case.name
    CASES[case.name] = case


def day(number: float) -> datetime:
    return EPOCH + number * DAY


@dataclass(frozen=True)
class Item:
    """Rows of the shapes: ``Item(1).row(name="a")``; what is not given is NULL, and ``e`` and ``at`` are days of 2020."""

    id: int | None
    region: str | None = "x"
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def row(
        self, name: str | None = None, amount: Any = None, *, open: bool | None = None, at: float | None = None, e: float | None = 1
    ) -> dict[str, Any]:
        number = None if amount is None else numeric(Decimal(str(amount)), 2)
        days = {"at": None if at is None else instant(day(at)), "e": None if e is None else instant(day(e))}
        sid = 100 * (-1 if self.id is None else self.id) + (0 if self.region is None else 1 + sum(self.region.encode()))
        return {"sid": sid, "id": self.id, "region": self.region, "name": name, "amount": number, "open": open, **days}


ONE, TWO, THREE, FOUR, FIVE = (Item(number) for number in range(1, 6))
OTHER = Item(1, "y")

FIRST = (ONE.row("a", 1, open=True, at=1), TWO.row(at=2), THREE.row("", 0, open=False, at=3))
#: A value becomes NULL, NULL becomes a value, one stays, one is gone, one is new, '' becomes NULL.
SECOND = (ONE.row(None, 1, open=True, at=4), TWO.row("b", "2.50", open=True, at=4), FOUR.row("\\N", at=5))
SNAPSHOTS: tuple[Rows, ...] = (
    FIRST,
    FIRST,
    SECOND,
    (),
    (*FIRST, FOUR.row("\\N", at=5)),
    (*SECOND, ONE.row("twice", at=9)),
    (Item(None).row("no key", at=6), ONE.row("beside it", at=6)),
    SECOND,
)
#: What append can take: a key comes once. Refused: a repeated one within the source, and one that is there.
GROWING: tuple[Rows, ...] = (
    (ONE.row("a", at=1), TWO.row("b", at=2), THREE.row(at=None)),
    (FOUR.row("c", at=2), FIVE.row("d", at=3)),
    (Item(6).row(at=3), Item(6).row(at=4)),
    (ONE.row("again", at=1), Item(7).row(at=5)),
    (),
    (Item(8).row("late", at=0), Item(9).row(at=None), Item(10).row("e", at=6)),
)
#: A source that grows and is read again: late ties, late rows, corrections, NULLs.
CHANGING: tuple[Rows, ...] = (
    (ONE.row("a", at=1), TWO.row("b", at=4), THREE.row("no time", at=None)),
    (ONE.row("a", at=1), TWO.row("b", at=4), FOUR.row("tie", at=4), FIVE.row("late", at=2.5), THREE.row("changed", at=None)),
    (ONE.row("corrected", at=3), Item(6).row("far too late", at=1)),
    (),
    (Item(7).row("e", at=9), ONE.row("corrected", at=3)),
)
EVENTS: tuple[Rows, ...] = (
    (ONE.row("a", e=5), ONE.row("b", e=7), TWO.row("a", e=5), THREE.row(e=5), OTHER.row("o", e=5)),
    (ONE.row("b", e=7), TWO.row("b", e=15), TWO.row("c", e=16), TWO.row("c", e=17), OTHER.row("o", e=5)),
    (ONE.row("x", e=6), ONE.row("c", e=20), OTHER.row("o", e=5)),  # late, before a normal one
    (
        ONE.row("y", e=5.5),
        ONE.row("a", e=6.5),
        TWO.row("z", e=1),
        TWO.row("c", e=18),
        OTHER.row("p", e=3),
    ),  # late in versions and before them
    (TWO.row("elsewise", e=15), TWO.row("d", e=30)),  # at a stored start
    (TWO.row("d", e=30), TWO.row("e", e=30)),
    (),
    (ONE.row("c", e=20), TWO.row("n", e=4), THREE.row("back", e=40), OTHER.row("o", e=5)),  # back, with old and new events
    (FOUR.row("future", e=30_000), FIVE.row("old", e=2), FIVE.row("young", e=300)),
    (FOUR.row("before", e=3),),
    (ONE.row(e=None),),
)


def with_nulls_in_keys(sources: tuple[Rows, ...]) -> tuple[Rows, ...]:
    """The same with an item of each kind of NULL in its key."""
    return tuple(
        (*rows, Item(None).row("n", e=n + 1), Item(None, None).row(e=n + 1), Item(9, None).row(str(n), e=n + 1))
        for n, rows in enumerate(sources)
    )


def simple(name: str, arguments: dict[str, Any], model: type[Append], sources: tuple[Rows, ...], **options: Any) -> None:
    """append or truncate."""
    mark = arguments.get("incremental_column")

    def make() -> Model:
        found = Watermark(mark, strict=True) if mark else None
        return model(columns=tuple(SINGLE.columns), primary=SINGLE.primary, watermark=found, **options)

    # Everything is written anew, or again, but for what a watermark or a comparison keeps out.
    register(Case(name, SINGLE, arguments, make, sources, rerun=bool(mark) or options.get("replace") == "diff"))


def keyed(
    name: str,
    arguments: dict[str, Any],
    model: type[Any],
    sources: tuple[Rows, ...],
    shape: Shape = SINGLE,
    combined: bool = False,
    **options: Any,
) -> None:
    """merge or scd2; the model compares and sets what is neither key nor given."""
    mark, lag = arguments.get("incremental_column"), arguments.get("lag")
    others = tuple(column for column in shape.columns if column not in shape.keys)
    options = {"compare" if model is History else "update": others, **options}

    def make() -> Model:
        found = Watermark(mark, lag=lag) if mark else None
        own: Model = model(columns=tuple(shape.columns), primary=shape.primary, keys=shape.keys, watermark=found, **options)
        return own

    register(Case(name, shape, {"keys": shape.keys, **arguments}, make, sources, combined=combined))


simple("append", {"mode": "append"}, Append, GROWING)
simple("append-watermark", {"mode": "append", "incremental_column": "at"}, Append, GROWING)
simple("append-watermark-number", {"mode": "append", "incremental_column": "id"}, Append, GROWING)

simple("truncate", {"mode": "truncate"}, Truncate, SNAPSHOTS)
simple("truncate-delete", {"strategy": TruncateReplace(replace="delete")}, Truncate, SNAPSHOTS, replace="delete")
simple("truncate-diff", {"strategy": TruncateReplace(replace="diff")}, Truncate, SNAPSHOTS, replace="diff")

for mode in ("merge", "scd1"):
    keyed(mode, {"mode": mode}, Merge, SNAPSHOTS)
keyed("merge-some", {"mode": "merge", "update_columns": ("amount", "open")}, Merge, SNAPSHOTS, update=("amount", "open"))
keyed("merge-insert_only", {"mode": "merge", "update_columns": ()}, Merge, SNAPSHOTS, update=())
keyed("merge-hard", {"mode": "merge", "handle_deletes": "hard"}, Merge, SNAPSHOTS, deletes="hard")
keyed("merge-soft", {"mode": "merge", "handle_deletes": "soft"}, Merge, SNAPSHOTS, deletes="soft")
keyed(
    "merge-soft-named",
    {"strategy": MergeUpsert(handle_deletes="soft", deleted_column="Gone")},
    Merge,
    SNAPSHOTS,
    deletes="soft",
    mark="Gone",
)
keyed(
    "merge-soft-insert_only", {"mode": "merge", "handle_deletes": "soft", "update_columns": ()}, Merge, SNAPSHOTS, deletes="soft", update=()
)
for share in (0.0, 0.34, 1.0):
    given = {"mode": "merge", "handle_deletes": "hard", "max_delete_fraction": share}
    keyed(f"merge-hard-at_most_{share}", given, Merge, SNAPSHOTS, deletes="hard", limit=share)
keyed("merge-watermark", {"mode": "merge", "incremental_column": "at"}, Merge, CHANGING)
keyed("merge-watermark-lag", {"mode": "merge", "incremental_column": "at", "lag": 2 * DAY}, Merge, CHANGING)
keyed("merge-watermark-lag-number", {"mode": "merge", "incremental_column": "id", "lag": 2}, Merge, CHANGING)
keyed("merge-compound-hard", {"mode": "merge", "handle_deletes": "hard"}, Merge, (*SNAPSHOTS, *EVENTS[:4]), COMPOUND, deletes="hard")
for how in (None, "hard", "soft"):
    name = "merge-nullable" + (f"-{how}" if how else "")
    keyed(name, {"mode": "merge", "handle_deletes": how}, Merge, with_nulls_in_keys(SNAPSHOTS[:6]), NULLABLE, deletes=how)

keyed("scd2", {"mode": "scd2"}, History, SNAPSHOTS)
keyed("scd2-some", {"mode": "scd2", "compare_columns": ("open", "name")}, History, SNAPSHOTS, compare=("open", "name"))
keyed("scd2-soft", {"mode": "scd2", "handle_deletes": "soft"}, History, SNAPSHOTS, soft=True)
keyed(
    "scd2-soft-at_most_0.5",
    {"mode": "scd2", "handle_deletes": "soft", "max_delete_fraction": 0.5},
    History,
    SNAPSHOTS,
    soft=True,
    limit=0.5,
)
keyed("scd2-watermark", {"mode": "scd2", "incremental_column": "at"}, History, CHANGING)
keyed("scd2-watermark-lag", {"mode": "scd2", "incremental_column": "at", "lag": 2 * DAY}, History, CHANGING)
keyed("scd2-compound-soft", {"mode": "scd2", "handle_deletes": "soft"}, History, SNAPSHOTS, COMPOUND, soft=True)
keyed("scd2-nullable-soft", {"mode": "scd2", "handle_deletes": "soft"}, History, with_nulls_in_keys(SNAPSHOTS[:6]), NULLABLE, soft=True)
RENAMED = {"valid_from": "Start", "valid_to": "end", "is_current": "Now", "row_hash": "hash of it"}
keyed("scd2-renamed", {"strategy": SCD2(scd2_columns=RENAMED, handle_deletes="soft")}, History, SNAPSHOTS, soft=True, names=RENAMED)
keyed("scd2-partly_renamed", {"strategy": SCD2(scd2_columns={"valid_to": "until"})}, History, SNAPSHOTS, names={"valid_to": "until"})
for guards in ("full", "off"):
    keyed(f"scd2-guards_{guards}", {"strategy": SCD2(guards=guards, handle_deletes="soft")}, History, SNAPSHOTS, soft=True)  # type: ignore[arg-type]
keyed("scd2-closures", {"strategy": SCD2(closures=True, handle_deletes="soft")}, History, SNAPSHOTS, soft=True)

keyed("scd2-event", {"mode": "scd2", "event_timestamp_column": "e"}, History, EVENTS, COMPOUND, event="e")
keyed(
    "scd2-event-soft",
    {"mode": "scd2", "event_timestamp_column": "e", "handle_deletes": "soft"},
    History,
    EVENTS,
    COMPOUND,
    event="e",
    soft=True,
)
keyed("scd2-event-ttl", {"mode": "scd2", "event_timestamp_column": "e", "ttl": TTL}, History, EVENTS, COMPOUND, event="e", ttl=TTL)
keyed("scd2-event-nullable", {"mode": "scd2", "event_timestamp_column": "e"}, History, with_nulls_in_keys(EVENTS), NULLABLE, event="e")
keyed(
    "scd2-event-declared",
    {"mode": "scd2", "event_timestamp_column": "at"},
    History,
    (FIRST, SECOND, (ONE.row("late", at=2),), (ONE.row("new", at=8), ONE.row("newer", at=9))),
    event="at",
    compare=("region", "name", "amount", "open"),
)
for versions in ("latest", "all"):
    for late in ("error", "splice", "ignore"):
        for extra in ({}, {"handle_deletes": "soft"}, {"ttl": TTL}, {"closures": True}):
            if (versions, late) == ("latest", "error") and extra != {"closures": True}:
                continue
            said = "".join(f"-{name}" for name in extra)
            chosen: Any = {"event_timestamp_column": "e", "versions": versions, "late": late, **extra}
            keyed(
                f"scd2-event-{versions}-{late}{said}",
                {"strategy": SCD2(**chosen)},
                History,
                EVENTS,
                COMPOUND,
                event="e",
                versions=versions,
                late=late,
                soft="handle_deletes" in extra,
                ttl=extra.get("ttl"),
                combined=bool(extra) or versions == "latest",
            )
