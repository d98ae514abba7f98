"""``flow history`` and ``flow doctor``: whole outputs and exit statuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import Source, ematix, pipeline, pk
from ematix_flow.cli import main
from ematix_flow.types import Integer
from tests.integration.test_doctor import SOUND, TOOLS, make

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIRST, SECOND, FAILED = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "123")


@pytest.fixture
def flow(
    dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("EMATIX_FLOW_DSN", dsn)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main(words)
        except SystemExit as left:
            status = int(str(left.code))
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def recorded(conn: Any, psql: Any) -> Any:
    """A table with three runs, at fixed times."""

    @ematix.table(schema="h")
    class X:
        id: Annotated[Integer, pk()]

    pipeline.sync(target=X, source=Source(connection=conn, query="SELECT 1 AS id"), target_connection=conn)
    psql("DELETE FROM ematix_flow.run_history; DROP TABLE h.x")
    psql(
        "CREATE TABLE h.customers (id int NOT NULL, name text, price numeric(9,2), valid_from timestamptz NOT NULL, valid_to timestamptz,"
        " is_current boolean NOT NULL, row_hash bytea, _loaded_at timestamptz NOT NULL, _batch_id uuid NOT NULL, PRIMARY KEY (id, valid_from))"
    )
    psql(
        "CREATE UNIQUE INDEX ON h.customers (id) NULLS NOT DISTINCT WHERE is_current; ALTER TABLE h.customers ADD CHECK (valid_from < valid_to)"
    )
    psql(
        "CREATE TABLE h.customers__closures (id int NOT NULL, valid_from timestamptz NOT NULL, valid_to timestamptz NOT NULL, run_id uuid NOT NULL)"
    )
    psql(
        f"""INSERT INTO h.customers VALUES
        (1, 'Ada', 1.50, '2026-01-01Z', '2026-02-01 12:00Z', false, '\\x01', '2026-01-02Z', '{FIRST}'),
        (1, 'Ada', NULL, '2026-02-01 12:00Z', '2026-02-03Z', false, '\\x02', '2026-02-02 00:00:00.5Z', '{SECOND}'),
        (1, E'Ada \\x1b[31m{"King " * 14}', NULL, '2026-03-01Z', NULL, true, '\\x03', '2026-03-01Z', '{FAILED}')"""
    )
    psql(
        f"INSERT INTO h.customers__closures VALUES (1, '2026-01-01Z', '2026-02-01 12:00Z', '{SECOND}'), (1, '2026-02-01 12:00Z', '2026-02-03Z', '{SECOND}')"
    )
    insert = "INSERT INTO ematix_flow.run_history (run_id, pipeline_name, target_schema, target_table, mode, path, started_at, finished_at, status, loaded_at, "
    psql(
        insert + "rows_inserted, rows_updated, rows_closed, rows_unchanged) VALUES"
        f" ('{FIRST}', 'h.customers', 'h', 'customers', 'scd2', 'same_db', '2026-01-02Z', '2026-01-02 00:00:01.25Z', 'success', '2026-01-02Z', 1200, 0, 0, 0),"
        f" ('{SECOND}', 'fan::h.customers', 'h', 'customers', 'scd2', 'cross_db', '2026-02-02Z', '2026-02-02 00:01Z', 'success', '2026-02-02 00:00:00.5Z',"
        " 1, 1, 1, 0)"
    )
    psql(
        insert
        + f"error_message) VALUES ('{FAILED}', 'a_{'long_' * 18}name', 'h', 'customers', 'merge', 'same_db', '2026-02-03Z', '2026-02-03Z', 'failed', NULL,"
        " E'The source of h.customers has a key (id) more than once: 1 (2 rows). Nothing was written.\\nLet the query return one row for each key.')"
    )
    return psql


RUNS = f"""\
2026-02-03 00:00:00  failed   a_long_long_long_long_long_long_long_long_long_lon
    g_long_long_long_long_long_long_long_long_name into h.customers
    merge, same_db, 0.00 s
    run {FAILED}
    The source of h.customers has a key (id) more than once: 1 (2 rows). Nothing
        was written.
    Let the query return one row for each key.
2026-02-02 00:00:00  success  fan::h.customers
    scd2, cross_db, 60.00 s; 1 inserted, 1 closed
    run {SECOND}
2026-01-02 00:00:00  success  h.customers
    scd2, same_db, 1.25 s; 1,200 inserted, 0 closed
    run {FIRST}
"""

VERSIONS = f"""\
h.customers, id = 1: 3 versions, times in UTC

1  2026-01-01 00:00:00 -> 2026-02-01 12:00:00
   known since 2026-01-02 00:00:00
   run {FIRST} by h.customers (scd2)
   end 2026-02-01 12:00:00 known since 2026-02-02 00:00:00.500000, run
       {SECOND}
   id = 1
   name = 'Ada'
   price = 1.50

2  2026-02-01 12:00:00 -> 2026-02-03 00:00:00
   known since 2026-02-02 00:00:00.500000
   run {SECOND} by fan::h.customers (scd2)
   end 2026-02-03 00:00:00 known since 2026-02-02 00:00:00.500000, run
       {SECOND}
   price: 1.50 -> NULL

-  nothing from 2026-02-03 00:00:00 on

3  2026-03-01 00:00:00 -> ...  (current)
   known since 2026-03-01 00:00:00
   run {FAILED} by a_long_long_long_long_long_long_l
       ong_long_long_long_long_long_long_long_long_long_long_long_name (merge)
   name: 'Ada' -> 'Ada \\x1b[31mKing King King King King King King King King King
       King King King King '
"""

UNKNOWN = """\
error: There is no connection "nope". Searched, in this order:
  1. the environment variable EMATIX_FLOW_DSN_NOPE
  2. {cwd}/.ematix-flow.toml (does not exist)
  3. {home}/.ematix-flow/connections.toml (does not exist)
hint: Set the variable, or store the connection with `flow connections set NAME=URL`.
"""


def test_runs(flow: Any, recorded: Any) -> None:
    assert flow("history") == (0, RUNS, "")
    assert max(map(len, RUNS.splitlines())) <= 80
    assert flow("history", "h.customers") == (0, RUNS, "")
    last = "".join(RUNS.splitlines(keepends=True)[7:10])
    assert flow("history", "fan") == (0, last, "")
    status, out, err = flow("history", "H.Customers", "--limit", "2", "--format", "json")
    assert (status, err) == (0, "note: These are the newest 2 of 3 runs.\n")
    assert [(run["run_id"], run["rows_inserted"], run["loaded_at"]) for run in json.loads(out)] == [
        (FAILED, None, None),
        (SECOND, 1, "2026-02-02T00:00:00.500000+00:00"),
    ]


def test_versions(flow: Any, recorded: Any) -> None:
    assert flow("history", "h.customers", "--key", "1") == (0, VERSIONS, "")
    assert max(map(len, VERSIONS.splitlines())) <= 80
    status, out, err = flow("history", "h.customers", "--key", "id=1", "--limit", "1", "--format", "json")
    assert (status, err) == (0, "note: These are the newest 1 of 3 versions.\n")
    assert json.loads(out) == {
        "table": "h.customers",
        "key": {"id": 1},
        "versions": [
            {
                "version": 3,
                "valid_from": "2026-03-01T00:00:00+00:00",
                "valid_to": None,
                "is_current": True,
                "loaded_at": "2026-03-01T00:00:00+00:00",
                "run_id": FAILED,
                "pipeline": f"a_{'long_' * 18}name",
                "mode": "merge",
                "ends": [],
                "values": {"id": 1, "name": f"Ada \x1b[31m{'King ' * 14}", "price": None},
                "changes": [],
            }
        ],
    }
    status, out, _ = flow("history", "h.customers", "--key", "1", "--format", "json")
    first, second, _ = json.loads(out)["versions"]
    assert first["ends"] == [
        {
            "valid_to": "2026-02-01T12:00:00+00:00",
            "known_since": "2026-02-02T00:00:00.500000+00:00",
            "run_id": SECOND,
            "pipeline": "fan::h.customers",
        }
    ]
    assert second["changes"] == [{"column": "price", "before": "1.50", "after": None}]


def test_no_version_of_a_key_is_no_failure(flow: Any, recorded: Any) -> None:
    assert flow("history", "h.customers", "--key", "9") == (
        0,
        "h.customers, id = 9: 0 versions\n",
        "note: h.customers has no row of this key.\n",
    )


def test_no_runs(flow: Any, psql: Any) -> None:
    assert flow("history") == (0, "", "note: No run has been recorded in this database.\n")
    assert flow("history", "--format", "json") == (0, "[]\n", "note: No run has been recorded in this database.\n")
    assert psql("SELECT to_regnamespace('ematix_flow')") == [(None,)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["history", "nope"],
            """error: No run is recorded under the name "nope", nor is it a table of the database.
hint: Runs are found by the name of their pipeline, or by schema.table.
""",
        ),
        (
            ["history", "h.nope", "--key", "1"],
            "error: There is no table h.nope in the database.\nhint: Check the name and the connection.\n",
        ),
        (
            ["history", "h.customers", "--key", "canary"],
            'error: The value that was given for "id" of h.customers is no integer.\n',
        ),
        (["history", "--key", "1"], "error: --key needs a table\nhint: For example: flow history warehouse.customers --key 42\n"),
        (
            ["history", "h.customers", "--key", "1", "--key", "id=1"],
            "error: --key is given with and without a column\nhint: Name the column in each: --key COLUMN=VALUE.\n",
        ),
        (["history", "h.customers", "--key", "id=1", "--key", "id=2"], "error: --key names a column twice\n"),
        (["doctor", "h.nope"], "error: There is no table h.nope in the database.\nhint: Check the name and the connection.\n"),
        (
            ["doctor", "h.customers", "--keys", "id,nope"],
            'error: The table h.customers has no column "nope".\nhint: --keys names columns of the table, with commas between them.\n',
        ),
    ],
    ids=" ".join,
)
def test_wrong_requests(flow: Any, recorded: Any, words: list[str], message: str) -> None:
    assert flow(*words) == (2, "", message)


@pytest.mark.parametrize("words", [["history"], ["history", "h.t", "--key", "1"], ["doctor", "h.t"]], ids=" ".join)
def test_connections_that_cannot_be_used(flow: Any, words: list[str], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert flow(*words, "--connection", "nope") == (2, "", UNKNOWN.format(cwd=tmp_path, home=home))
    monkeypatch.setenv("EMATIX_FLOW_DSN_GONE", "postgresql://u:canary@127.0.0.1:1/d")
    status, out, err = flow(*words, "--connection", "gone")
    assert (status, out) == (2, "")
    assert err == UNREACHABLE


UNREACHABLE = """\
error: No connection to database d on 127.0.0.1 port 1 as u. Nothing listens there: connect: connection refused.
hint: Check host and port, and that the server is running.
"""


def test_a_sound_table(flow: Any, recorded: Any) -> None:
    assert flow("doctor", "h.customers") == (0, SOUND_REPORT, "")


SOUND_REPORT = """\
h.customers (id): 3 versions

note: versions that end before the next one of their key starts, as after a
    delete: 1
  id = 1
"""


def test_a_table_with_a_fault(flow: Any, psql: Any) -> None:
    make(psql, TOOLS[0], [*SOUND, (3, "a", 1, 5), (3, "b", 4, None)])
    psql("CREATE UNIQUE INDEX ON h.t (id) NULLS NOT DISTINCT WHERE is_current")
    psql("ALTER TABLE h.t ADD CHECK (valid_from < valid_to)")
    assert flow("doctor", "h.t") == (4, FAULTY, "")
    status, out, err = flow("doctor", "h.t", "--format", "json")
    assert (status, err) == (4, "")
    found = json.loads(out)
    (finding,) = found.pop("findings")
    assert found == {"table": "h.t", "keys": ["id"], "rows": 5, "healthy": False}
    assert finding.pop("repair") in FAULTY.replace("\n    ", "\n")
    assert finding == {
        "name": "overlap",
        "level": "fault",
        "says": "versions that still hold when the next one of their key starts",
        "count": 1,
        "keys": [{"id": "3"}],
        "remedy": "ends them where the next version starts, also a current one: look at the keys first; "
        "of those that start at once all but one go to h.t__doctor",
    }


FAULTY = """\
h.t (id): 5 versions

fault: versions that still hold when the next one of their key starts: 1
  id = 3
  The repair ends them where the next version starts, also a current one: look
      at the keys first; of those that start at once all but one go to
      h.t__doctor.

    BEGIN;
    LOCK TABLE h.t IN SHARE ROW EXCLUSIVE MODE;
    UPDATE h.t AS t
    SET valid_to = l.next_start, is_current = false
    FROM (
        SELECT
            id,
            ctid AS place,
            valid_from,
            valid_to,
            is_current AS current,
            (valid_to <= valid_from) IS TRUE AS empty,
            lead(valid_from) OVER line AS next_start,
            count(*) FILTER (WHERE is_current) OVER (
                line ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ) AS later_currents
        FROM h.t
        WINDOW line AS (
            PARTITION BY id, (valid_to <= valid_from) IS TRUE
            ORDER BY valid_from, ctid
        )
    ) AS l
    WHERE t.ctid = l.place
      AND NOT l.empty
      AND l.next_start IS NOT NULL
      AND (l.valid_to > l.next_start
           OR l.valid_to IS NULL AND l.current AND l.later_currents = 0)
      AND l.next_start > l.valid_from;
    COMMIT;
"""
