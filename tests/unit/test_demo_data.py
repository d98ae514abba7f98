"""The releases that the demo ships."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from ematix_flow import demo
from ematix_flow.demo.output import cells, marked


def test_every_release_has_an_airport_once_and_the_columns_of_the_others() -> None:
    columns = {tuple(row) for rows in demo.releases().values() for row in rows}
    repeated = [icao for rows in demo.releases().values() for icao, count in Counter(row["icao"] for row in rows).items() if count > 1]

    assert columns == {("icao", "released", "iata", "name", "city", "subd", "country", "elevation", "lat", "lon", "tz")}
    assert repeated == []


def test_airports_open_close_and_come_back() -> None:
    keys = [{row["icao"] for row in rows} for rows in demo.releases().values()]

    assert [len(one & other) for one, other in pairwise(keys)] == [6403, 7572, 7706]
    assert (keys[0] & keys[2]) - keys[1] == {"BKPR"}


def test_values_that_changed_are_marked() -> None:
    rows = [
        {"valid_from": "2020", "valid_to": "2021", "name": "Old", "city": "X", "elevation": "1"},
        {"valid_from": "2021", "valid_to": "now", "name": "New", "city": "X", "elevation": "1"},
    ]

    assert [[text for text, changed in row if changed] for row in marked(rows)] == [[], ["New"]]


def test_counts_that_a_load_does_not_have_are_a_dash() -> None:
    assert cells([1234567, None, 0, 0.256]) == ["1,234,567", "-", "0", "0.26 s"]
