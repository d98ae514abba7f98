"""Four releases of the world's airports, loaded by ``flow demo``, against the history that plain Python makes of the same rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from ematix_flow import demo
from ematix_flow.cli import main
from tests.fix_db import Database, Server
from tests.oracle.history import History, Version, flaws, gaps

COLUMNS = ("iata", "name", "city", "subd", "country", "elevation", "lat", "lon", "tz", "released")
COMPARED = ("iata", "name", "city", "subd", "country", "elevation", "tz")


def published(row: dict[str, str]) -> dict[str, Any]:
    """A row of a release as the pipeline of the demo takes it."""
    numbers = {name: float(row[name]) for name in ("elevation", "lat", "lon")}
    texts = {name: row[name] or None for name in ("city", "subd")}
    released = date.fromisoformat(row["released"])
    return row | numbers | texts | {"released": datetime(released.year, released.month, released.day, tzinfo=UTC)}


@pytest.fixture(scope="module")
def loaded(server: Server) -> Iterator[Database]:
    """A database with all releases in it; the tests only read."""
    name = f"ematix_airports_{os.getpid()}"
    with server.connect() as admin:
        admin.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
        try:
            assert main(["demo", "--dsn", server.dsn(name)]) == 0
            with server.connect(name) as raw:
                yield Database(server, name, raw)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


def stored(database: Database) -> list[Version]:
    rows = database(
        f'SELECT icao, {", ".join(COLUMNS)}, valid_from, valid_to FROM airports_demo.airport_history ORDER BY icao COLLATE "C", valid_from'
    )
    return [Version((icao,), tuple(values), start, end) for icao, *values, start, end in rows]


def computed(database: Database) -> tuple[History, list[tuple[int, ...]]]:
    """The history of the oracle. An absent key is closed at the load time of its run, which only the run history knows."""
    times = database("SELECT loaded_at FROM ematix_flow.run_history WHERE pipeline_name = 'airport_history' ORDER BY loaded_at")
    history = History(keys=("icao",), columns=COLUMNS, compare=COMPARED, event="released", soft=True)
    return history, [
        tuple(history.load([published(row) for row in rows], at).values())[:2]
        for rows, (at,) in zip(demo.releases().values(), times, strict=True)
    ]


def test_every_version_is_the_computed_one(loaded: Database) -> None:
    history, counts = computed(loaded)

    assert stored(loaded) == history.all()
    assert (
        loaded("SELECT rows_inserted, rows_closed FROM ematix_flow.run_history WHERE pipeline_name = 'airport_history' ORDER BY loaded_at")
        == counts
    )


def test_no_version_overlaps_another_and_none_is_missing_while_a_key_was_there(loaded: Database) -> None:
    versions = stored(loaded)
    releases = [{row["icao"] for row in rows} for rows in demo.releases().values()]
    always = {(key,) for key in set.intersection(*releases)}

    assert flaws(versions) == []
    assert [gap for gap in gaps(versions) if gap[0] in always] == []
    assert {version.key for version in versions if version.start <= datetime(2022, 4, 6, tzinfo=UTC)} >= always


def test_each_airport_of_the_newest_release_has_one_current_version_and_no_other_has(loaded: Database) -> None:
    newest = [row["icao"] for row in list(demo.releases().values())[-1]]

    assert loaded('SELECT icao FROM airports_demo.airport_history WHERE is_current ORDER BY icao COLLATE "C"') == [
        (key,) for key in sorted(newest)
    ]


def test_an_airport_that_came_back_has_a_gap(loaded: Database) -> None:
    gone, back = loaded(
        "SELECT released::date, valid_to IS NULL FROM airports_demo.airport_history WHERE icao = 'BKPR' ORDER BY valid_from"
    )

    assert (gone[1], back) == (False, (date(2024, 8, 6), True))


def test_the_table_of_newest_rows_has_the_newest_row_of_every_airport(loaded: Database) -> None:
    newest: dict[str, dict[str, Any]] = {}
    for rows in demo.releases().values():
        newest.update({row["icao"]: published(row) for row in rows})
    names = COLUMNS[:-1]

    found = loaded(f'SELECT icao, {", ".join(names)} FROM airports_demo.airport_latest ORDER BY icao COLLATE "C"')

    assert found == [(icao, *(newest[icao][name] for name in names)) for icao in sorted(newest)]
