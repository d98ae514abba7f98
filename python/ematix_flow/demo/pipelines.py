"""The pipelines of ``flow demo``: the history of the world's airports, and the newest state of each.

The connection is called ``demo``. After ``flow demo`` they run like any others::

    export EMATIX_FLOW_DSN_DEMO=embedded://demo
    flow run --module ematix_flow.demo.pipelines airport_history
"""

# Column types are values, which mypy does not take for types.
# mypy: disable-error-code="valid-type, type-arg"

from typing import Annotated

from ematix_flow import ematix, pk
from ematix_flow.connection import Connection
from ematix_flow.types import Double, String, Text, TimestampTZ

# airports_demo.release holds one release at a time, every column as text, as it was published.
SOURCE = """
    SELECT icao, iata, name, nullif(city, '') AS city, nullif(subd, '') AS subd, country,
           elevation::double precision AS elevation, lat::double precision AS lat, lon::double precision AS lon, tz,
           released::timestamp AT TIME ZONE 'UTC' AS released
    FROM airports_demo.release
"""


@ematix.table(schema="airports_demo")
class AirportHistory:
    """Every version of every airport."""

    icao: Annotated[String[4], pk()]
    iata: String[3]
    name: Text
    city: Text | None
    subd: Text | None
    country: String[2]
    elevation: Double  # in feet
    lat: Double
    lon: Double
    tz: Text
    released: TimestampTZ


@ematix.table(schema="airports_demo")
class AirportLatest:
    """The newest state of every airport, also of those that a later release does not have any more."""

    icao: Annotated[String[4], pk()]
    iata: String[3]
    name: Text
    city: Text | None
    subd: Text | None
    country: String[2]
    elevation: Double
    lat: Double
    lon: Double
    tz: Text


# The coordinates are stored but do not make versions: the release of 2024 wrote nearly all of them with fewer digits, and no airport moved.
@ematix.pipeline(
    target=AirportHistory,
    target_connection="demo",
    mode="scd2",
    schedule=None,
    event_timestamp_column="released",
    compare_columns=("iata", "name", "city", "subd", "country", "elevation", "tz"),
    handle_deletes="soft",
)
def airport_history(conn: Connection) -> str:
    """One version for each state that an airport was published in."""
    return SOURCE


@ematix.pipeline(target=AirportLatest, target_connection="demo", mode="merge", schedule=None)
def airport_latest(conn: Connection) -> str:
    """The table that others join with."""
    return SOURCE
