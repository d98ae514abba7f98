"""``Connection.doctor`` on tables that were spoiled by hand, one fault each, under the column names of every tool."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from ematix_flow import InvalidSpec, PermissionDenied, Source, _core, ematix, pipeline, pk
from ematix_flow.strategy import SCD2
from ematix_flow.types import BigInt, Text

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Tool:
    name: str
    valid_from: str
    valid_to: str
    is_current: str | None = None

    @property
    def columns(self) -> str:
        flag = f", {self.is_current} boolean" if self.is_current else ""
        return f"id bigint, name text, {self.valid_from} timestamptz, {self.valid_to} timestamptz{flag}"


TOOLS = [
    Tool("ematix", "valid_from", "valid_to", "is_current"),
    Tool("dbt", "dbt_valid_from", "dbt_valid_to"),
    Tool("dlt", "_dlt_valid_from", "_dlt_valid_to"),
    Tool("sqlmesh", "valid_from", "valid_to"),
]

# Key, name, start and end as days of January; the last is the flag, where the tool has one, and by default what the end says.
Row = tuple[int | None, str, int | None, int | None] | tuple[int | None, str, int | None, int | None, bool | None]

SOUND: list[Row] = [(1, "a", 1, 5), (1, "b", 5, None), (2, "a", 1, None)]

# What was done to the table, what is found, and the table after the repairs.
SPOILED: dict[str, tuple[list[Row], dict[str, int], list[Row], list[Row]]] = {
    "two current": ([(3, "a", 1, None), (3, "b", 4, None)], {"duplicate_current": 1}, [(3, "a", 1, 4), (3, "b", 4, None)], []),
    "three current": (
        [(3, "a", 1, None), (3, "b", 4, None), (3, "c", 6, None)],
        {"duplicate_current": 1},
        [(3, "a", 1, 4), (3, "b", 4, 6), (3, "c", 6, None)],
        [],
    ),
    "two current that start at once": (
        [(3, "a", 1, None), (3, "b", 1, None)],
        {"duplicate_current": 1},
        [(3, "b", 1, None)],
        [(3, "a", 1, None)],
    ),
    "overlap": ([(3, "a", 1, 5), (3, "b", 4, None)], {"overlap": 1}, [(3, "a", 1, 4), (3, "b", 4, None)], []),
    "one within another": (
        [(3, "a", 1, 9), (3, "b", 2, 4), (3, "c", 9, None)],
        {"overlap": 1, "gap": 1, "then gap": 1},
        [(3, "a", 1, 2), (3, "b", 2, 4), (3, "c", 9, None)],
        [],
    ),
    "current over a later one": ([(3, "a", 1, None), (3, "b", 4, 6)], {"overlap": 1}, [(3, "a", 1, 4), (3, "b", 4, 6)], []),
    "ends before it starts": ([(3, "a", 5, 2), (3, "b", 5, None)], {"ends_before_start": 1}, [(3, "b", 5, None)], [(3, "a", 5, 2)]),
    "never held": ([(3, "a", 5, 5), (3, "b", 5, None)], {"ends_before_start": 1}, [(3, "b", 5, None)], [(3, "a", 5, 5)]),
    "no start": ([(3, "a", None, 5), (3, "b", 5, None)], {"no_start": 1}, [(3, "b", 5, None)], [(3, "a", None, 5)]),
    "gap": ([(3, "a", 1, 2), (3, "b", 4, None)], {"gap": 1, "then gap": 1}, [(3, "a", 1, 2), (3, "b", 4, None)], []),
}

FLAGS: dict[str, tuple[list[Row], dict[str, int], list[Row], list[Row]]] = {
    "current and ended": ([(3, "a", 1, 5, True)], {"flag_mismatch": 1}, [(3, "a", 1, 5)], []),
    "neither current nor ended": ([(3, "a", 1, None, False)], {"flag_mismatch": 1}, [(3, "a", 1, None)], []),
    "without a flag": ([(3, "a", 1, 5, None), (3, "b", 5, None)], {"flag_mismatch": 1}, [(3, "a", 1, 5), (3, "b", 5, None)], []),
    "not ended when the next began": (
        [(3, "a", 1, None, False), (3, "b", 5, None)],
        {"flag_mismatch": 1},
        [(3, "a", 1, 5), (3, "b", 5, None)],
        [],
    ),
    "the wrong one is current": (
        [(3, "a", 1, 5, True), (3, "b", 5, None, False)],
        {"flag_mismatch": 2},
        [(3, "a", 1, 5), (3, "b", 5, None)],
        [],
    ),
}


def day(number: int | None) -> str:
    return "NULL" if number is None else f"'2026-01-0{number}T00:00:00Z'"


def literal(tool: Tool, row: Row) -> str:
    key, name, start, end, *flag = row
    current = flag[0] if flag else end is None
    more = f", {'NULL' if current is None else current}" if tool.is_current else ""
    return f"({'NULL' if key is None else key}, '{name}', {day(start)}, {day(end)}{more})"


def make(psql: Any, tool: Tool, rows: list[Row]) -> None:
    psql(f"CREATE SCHEMA h; CREATE TABLE h.t ({tool.columns})")
    psql(f"INSERT INTO h.t VALUES {', '.join(literal(tool, row) for row in rows)}")


def content(psql: Any, tool: Tool, table: str = "h.t") -> list[Any]:
    found: list[Any] = psql(f"SELECT * FROM {table} ORDER BY id, {tool.valid_from}, name")
    return found


def as_rows(psql: Any, tool: Tool, rows: list[Row]) -> list[Any]:
    if not rows:
        return []
    found: list[Any] = psql(
        f"WITH t ({', '.join(part.split()[0] for part in tool.columns.split(', '))}) AS (VALUES {', '.join(literal(tool, row) for row in rows)})"
        f" SELECT id::bigint, name, {tool.valid_from}::timestamptz, {tool.valid_to}::timestamptz{f', {tool.is_current}' if tool.is_current else ''}"
        f" FROM t ORDER BY 1, 3, 2"
    )
    return found


def counts(report: Any, *, without: tuple[str, ...] = ("no_guard", "no_check", "no_index")) -> dict[str, int]:
    return {finding["name"]: finding["count"] for finding in report.to_dicts() if finding["name"] not in without}


CASES = [(tool, case) for tool in TOOLS for case in SPOILED] + [(TOOLS[0], case) for case in FLAGS]


@pytest.mark.parametrize(("tool", "case"), CASES, ids=[f"{tool.name}-{case}".replace(" ", "_") for tool, case in CASES])
def test_repairs_mend_what_they_name_and_nothing_else(conn: Any, psql: Any, tool: Tool, case: str) -> None:
    spoiled, found, mended, aside = (SPOILED | FLAGS)[case]
    make(psql, tool, [*SOUND, *spoiled])
    report = conn.doctor("h.t", keys=["id"], made_by=tool.name)
    then = {name.removeprefix("then "): count for name, count in found.items() if name.startswith("then ")}
    assert counts(report) == {name: count for name, count in found.items() if not name.startswith("then ")}
    for finding in report.to_dicts():
        if finding["name"] in found and finding["level"] == "fault":
            assert finding["keys"] == [{"id": "3"}]
        for _ in range(2 if finding["repair"] else 0):  # running it again changes nothing
            psql(finding["repair"])
    after = conn.doctor("h.t", keys=["id"], made_by=tool.name)
    assert counts(after, without=()) == then
    assert after.healthy
    assert content(psql, tool) == as_rows(psql, tool, [*SOUND, *mended])
    assert (content(psql, tool, "h.t__doctor") if aside else psql("SELECT to_regclass('h.t__doctor')")) == (
        as_rows(psql, tool, aside) if aside else [(None,)]
    )


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_null_keys(conn: Any, psql: Any, tool: Tool) -> None:
    make(psql, tool, [*SOUND, (None, "a", 1, None)])
    report = conn.doctor("h.t", keys=["id"], made_by=tool.name)
    assert counts(report) == {"null_key": 1}
    (finding,) = (finding for finding in report.to_dicts() if finding["name"] == "null_key")
    assert (finding["level"], finding["keys"]) == ("note" if tool.name == "ematix" else "fault", [{"id": None}])
    if tool.name == "ematix":  # whose index takes NULL as a key
        assert finding["repair"] == ""
        return
    psql(finding["repair"])
    assert counts(conn.doctor("h.t", keys=["id"], made_by=tool.name)) == {}
    assert content(psql, tool) == as_rows(psql, tool, SOUND)
    assert content(psql, tool, "h.t__doctor") == as_rows(psql, tool, [(None, "a", 1, None)])


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_partitions_are_mended_by_partition_and_place(conn: Any, psql: Any, tool: Tool) -> None:
    psql(f"CREATE SCHEMA h; CREATE TABLE h.t ({tool.columns}) PARTITION BY LIST (name)")
    psql("CREATE TABLE h.a PARTITION OF h.t FOR VALUES IN ('a'); CREATE TABLE h.b PARTITION OF h.t FOR VALUES IN ('b')")
    spoiled: list[Row] = [(3, "a", 1, None), (3, "b", 4, None)]
    psql(f"INSERT INTO h.t VALUES {', '.join(literal(tool, row) for row in spoiled)}")
    for finding in conn.doctor("h.t", keys=["id"], made_by=tool.name).to_dicts():
        if finding["name"] == "duplicate_current":
            psql(finding["repair"])
    assert content(psql, tool) == as_rows(psql, tool, [(3, "a", 1, 4), (3, "b", 4, None)])


def test_a_table_that_others_inherit_from_is_left_alone(conn: Any, psql: Any) -> None:
    make(psql, TOOLS[0], SOUND)
    psql("CREATE TABLE h.child (more text) INHERITS (h.t)")
    with pytest.raises(InvalidSpec) as refused:
        conn.doctor("h.t", keys=["id"])
    assert str(refused.value) == (
        "The table h.t cannot be examined: other tables inherit from it.\nExamine those that hold the rows, each by itself."
    )
    assert counts(conn.doctor("h.child", keys=["id"])) == {}


@pytest.mark.parametrize("end", ["9999-12-31", "infinity"])
def test_an_end_that_never_comes_is_none(conn: Any, psql: Any, end: str) -> None:
    make(psql, TOOLS[0], [*SOUND, (3, "a", 1, 5, True), (3, "b", 5, None)])
    psql(f"UPDATE h.t SET valid_to = '{end}' WHERE valid_to IS NULL")
    report = conn.doctor("h.t", keys=["id"])
    assert counts(report) == {"duplicate_current": 1, "flag_mismatch": 1}
    for finding in report.to_dicts():
        if finding["name"] == "flag_mismatch":
            psql(finding["repair"])
    assert counts(conn.doctor("h.t", keys=["id"])) == {}
    assert psql("SELECT id, name FROM h.t WHERE is_current ORDER BY id") == [(1, "b"), (2, "a"), (3, "b")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_tables_spoiled_at_random_are_mended_in_a_few_rounds(conn: Any, psql: Any, tool: Tool, seed: int) -> None:
    drawn = random.Random(f"{tool.name} {seed}")
    rows: list[Row] = []
    for number in range(120):
        start, end = drawn.choice([*range(1, 9), None]), drawn.choice([*range(1, 9), None, None])
        flag = drawn.choice([end is None, end is None, True, False, None])
        rows.append((drawn.choice([*range(40), None]), f"row {number}", start, end, flag))
    make(psql, tool, rows)
    before = {row[1]: row for row in content(psql, tool)}
    for _ in range(4):
        report = conn.doctor("h.t", keys=["id"], made_by=tool.name)
        for finding in report.to_dicts():
            if finding["level"] == "fault" and finding["name"] not in ("no_guard", "no_check"):
                psql(finding["repair"])
    for finding in conn.doctor("h.t", keys=["id"], made_by=tool.name).to_dicts():
        if finding["repair"]:  # the guards, which only a sound table takes
            psql(finding["repair"])
    report = conn.doctor("h.t", keys=["id"], made_by=tool.name)
    assert report.healthy, str(report)
    kept, aside = content(psql, tool), content(psql, tool, "h.t__doctor")
    assert sorted(row[1] for row in (*kept, *aside)) == sorted(before)
    for row in (*kept, *aside):
        was = before[row[1]]
        assert row[:3] == was[:3]
        assert row[3] == was[3] or (was[3] is None and row[3] > row[2]) or row[3] < was[3]


def test_composite_and_odd_keys(conn: Any, psql: Any) -> None:
    psql("CREATE SCHEMA h")
    history = "valid_from timestamptz NOT NULL, valid_to timestamptz, is_current boolean NOT NULL"
    psql(f'CREATE TABLE h."T x" ("a AND (b" text, place int NOT NULL, {history})')
    psql(
        """INSERT INTO h."T x" VALUES ('it''s', 1, '2026-01-01', NULL, true), ('it''s', 1, '2026-01-02', NULL, true), (NULL, 1, '2026-01-01', NULL, true)"""
    )
    report = conn.doctor('h."T x"', keys=["a AND (b", "place"])
    assert counts(report) == {"null_key": 1, "duplicate_current": 1}
    for finding in report.to_dicts():
        if finding["repair"]:
            psql(finding["repair"])
    assert counts(conn.doctor('h."T x"'), without=()) == {"null_key": 1}  # the key is that of the index now
    assert conn.doctor('h."T x"').keys == ["a AND (b", "place"]


def test_a_table_without_versions(conn: Any, psql: Any) -> None:
    psql("CREATE SCHEMA h; CREATE TABLE h.t (id int, name text, _loaded_at timestamptz)")
    psql("INSERT INTO h.t VALUES (1, 'new', '2026-01-02'), (1, 'old', '2026-01-01'), (2, 'a', '2026-01-01')")
    report = conn.doctor("h.t", keys=["id"])
    assert counts(report) == {"duplicate_key": 1, "no_unique_key": 1}
    for finding in report.to_dicts():
        psql(finding["repair"])
        psql(finding["repair"])
    assert psql("SELECT id, name FROM h.t ORDER BY id") == [(1, "new"), (2, "a")]
    assert psql("SELECT id, name FROM h.t__doctor") == [(1, "old")]
    assert conn.doctor("h.t").to_dicts() == []


@pytest.fixture
def customers(conn: Any) -> Iterator[Any]:
    @ematix.table(schema="h")
    class Customers:
        id: Annotated[BigInt, pk()]
        name: Text

    def load(rows: str) -> None:
        pipeline.sync(
            target=Customers,
            source=Source(connection=conn, query=f"SELECT * FROM (VALUES {rows}) AS v (id, name)"),
            target_connection=conn,
            strategy=SCD2(
                closures=True, handle_deletes="soft", scd2_columns={"valid_from": "since", "valid_to": "until", "is_current": "now"}
            ),
        )

    yield load
    pipeline._REGISTRY.clear()


def test_what_loads_made_is_sound(conn: Any, customers: Any) -> None:
    customers("(1, 'a'), (2, 'a')")
    customers("(1, 'b')")
    customers("(1, 'b'), (2, 'a')")
    report = conn.doctor("h.customers")
    assert (report.keys, report.rows, report.healthy) == (["id"], 4, True)
    assert counts(report, without=()) == {"gap": 1}  # the key 2 was gone for a while


@pytest.mark.parametrize("guards", ["off", "current", "full"])
def test_guards_that_a_load_left_out_are_a_note(conn: Any, psql: Any, guards: Any) -> None:
    @ematix.table(schema="h")
    class Guarded:
        id: Annotated[BigInt, pk()]
        name: Text

    psql("CREATE EXTENSION btree_gist WITH SCHEMA public")
    source = Source(connection=conn, query="SELECT 1 AS id, 'a' AS name")
    pipeline.sync(target=Guarded, source=source, target_connection=conn, strategy=SCD2(guards=guards))
    found = {finding["name"]: finding["level"] for finding in conn.doctor("h.guarded").to_dicts()}
    assert found == ({"no_guard": "note", "no_check": "note"} if guards == "off" else {})
    psql(
        "DROP TABLE h.guarded; CREATE TABLE h.guarded (id int NOT NULL, valid_from timestamptz NOT NULL, valid_to timestamptz, is_current boolean NOT NULL)"
    )
    report = conn.doctor("h.guarded", keys=["id"])
    assert {finding["name"]: finding["level"] for finding in report.to_dicts()} == {"no_guard": "fault", "no_check": "fault"}
    for finding in report.to_dicts() * 2:
        psql(finding["repair"])
    assert conn.doctor("h.guarded").to_dicts() == []


def test_closures_that_do_not_agree(conn: Any, psql: Any, customers: Any) -> None:
    customers("(1, 'a'), (2, 'a'), (3, 'a')")
    customers("(1, 'b'), (2, 'a'), (3, 'b')")
    customers("(1, 'b'), (2, 'b'), (3, 'b')")
    before = psql("SELECT id, name, since, until, now FROM h.customers ORDER BY id, since")
    psql("UPDATE h.customers SET until = until + interval '1 hour' WHERE id = 1 AND NOT now")
    psql("DELETE FROM h.customers WHERE id = 2 AND NOT now")
    psql("DELETE FROM h.customers__closures WHERE id = 3")
    report = conn.doctor("h.customers")
    assert counts(report) == {"overlap": 1, "closure_without_version": 1, "ends_after_closure": 1, "closure_missing": 1}
    by = {finding["name"]: finding for finding in report.to_dicts()}
    assert [by[name]["keys"] for name in ("ends_after_closure", "closure_without_version", "closure_missing")] == [
        [{"id": "1"}],
        [{"id": "2"}],
        [{"id": "3"}],
    ]
    for name in ("ends_after_closure", "closure_without_version"):
        psql(by[name]["repair"])
        psql(by[name]["repair"])
    assert counts(conn.doctor("h.customers")) == {"closure_missing": 1}
    assert psql("SELECT id, name, since, until, now FROM h.customers ORDER BY id, since") == [row for row in before if row[:2] != (2, "a")]
    assert psql("SELECT id FROM h.customers__closures__doctor") == [(2,)]


@pytest.mark.parametrize(
    ("make", "asked", "message"),
    [
        (
            "CREATE TABLE h.t (id int)",
            {},
            'The key of h.t cannot be told from its indexes.\nName its columns: --keys a,b, or keys=["a", "b"].',
        ),
        (
            "CREATE TABLE h.t (id int)",
            {"keys": ["x"]},
            'The table h.t has no column "x".\n--keys names columns of the table, with commas between them.',
        ),
        (
            "CREATE TABLE h.t (id int)",
            {"keys": ["id", "id"]},
            'The column "id" cannot stand in the key of h.t: it stands there twice, or says when a version holds.',
        ),
        ("CREATE TABLE h.t (id int)", {"made_by": "dbt"}, 'The table h.t has no column "dbt_valid_'),
        (
            "CREATE TABLE h.t (id int)",
            {"made_by": "excel"},
            '"excel" is none of the tools whose columns are known: ematix, dbt, dlt, sqlmesh.',
        ),
        (
            "CREATE TABLE h.t (id int)",
            {"made_by": "ematix"},
            """The table h.t keeps no versions: it lacks the columns valid_from, valid_to and is_current.
Leave --from out to look for duplicates of its key only.""",
        ),
        (
            "CREATE TABLE h.t (id int, dbt_valid_from timestamp, dbt_valid_to timestamp)",
            {"keys": ["id"]},
            'The table h.t has the columns of a history made by dbt.\nSay so: --from dbt, or made_by="dbt".',
        ),
        ("CREATE TABLE h.x (id int)", {}, "There is no table h.t in the database.\nCheck the name and the connection."),
    ],
)
def test_requests_that_cannot_be_answered(conn: Any, psql: Any, make: str, asked: dict[str, Any], message: str) -> None:
    psql("CREATE SCHEMA h")
    psql(make)
    with pytest.raises(InvalidSpec) as refused:
        conn.doctor("h.t", **asked)
    assert str(refused.value).startswith(message) if message.endswith("_") else str(refused.value) == message


def test_a_role_that_may_not_read_is_told_what_it_needs(psql: Any, server: Any) -> None:
    role = f"doctor_{psql.name}"
    make(psql, TOOLS[0], SOUND)
    psql(f"CREATE ROLE {role} LOGIN PASSWORD 'canary'")
    try:
        psql(f"GRANT USAGE ON SCHEMA h TO {role}")
        url = psql.dsn.replace(f"{server.user}:{server.password}@", f"{role}:canary@")
        with _core.connect(url) as limited, pytest.raises(PermissionDenied) as refused:
            limited.doctor("h.t", keys=["id"])
        assert (
            str(refused.value)
            == "ERROR: permission denied for table t\nLet the owner run: GRANT SELECT ON h.t TO the user of this connection."
        )
    finally:
        psql(f"DROP OWNED BY {role}")
        psql(f"DROP ROLE {role}")


def test_one_pass_over_a_large_table(conn: Any, psql: Any) -> None:
    """One scan and one sort of the table: no join of it with itself."""
    make(psql, TOOLS[0], SOUND)
    psql("INSERT INTO h.t SELECT i, 'x', '2026-01-01', NULL, true FROM generate_series(10, 20000) AS i; ANALYZE h.t")
    before = psql.value("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 't'")
    assert conn.doctor("h.t", keys=["id"]).rows == 19994
    psql("SELECT pg_stat_clear_snapshot()")
    conn.execute("SELECT pg_stat_force_next_flush()")
    conn.ping()
    assert psql.value("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 't'") - before <= 1


def test_the_text_of_a_report(conn: Any, psql: Any) -> None:
    make(psql, TOOLS[1], [*SOUND, (3, "a", 1, None), (3, "b", 4, None)])
    psql("CREATE INDEX ON h.t (id) WHERE dbt_valid_to IS NULL")
    report = conn.doctor("h.t", made_by="dbt")  # the key is that of the index
    assert str(report) == REPORT
    assert repr(report) == "<Report on h.t, 1 finding>"
    html = report._repr_html_()
    assert html.startswith('<div class="ematix">')
    assert "l.later_currents &gt; 0" in html


REPORT = """\
h.t (id): 5 versions

fault: keys with more than one current version: 1
  id = 3
  The repair ends all but the one that starts last, where the next version of
      the key starts; of those that start at once all but one go to h.t__doctor.

    BEGIN;
    LOCK TABLE h.t IN SHARE ROW EXCLUSIVE MODE;
    UPDATE h.t AS t
    SET dbt_valid_to = l.next_start
    FROM (
        SELECT
            id,
            ctid AS place,
            dbt_valid_from,
            dbt_valid_to,
            dbt_valid_to IS NULL AS current,
            lead(dbt_valid_from) OVER line AS next_start,
            count(*) FILTER (WHERE dbt_valid_to IS NULL) OVER (
                line ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
            ) AS later_currents
        FROM h.t
        WINDOW line AS (
            PARTITION BY id, (dbt_valid_to <= dbt_valid_from) IS TRUE
            ORDER BY dbt_valid_from, ctid
        )
    ) AS l
    WHERE t.ctid = l.place
      AND l.current
      AND l.later_currents > 0
      AND l.next_start > l.dbt_valid_from;
    COMMIT;"""


def test_a_table_whose_rows_are_followed_by_others_gets_no_repair_that_deletes(conn: Any, psql: Any) -> None:
    psql("CREATE SCHEMA h; CREATE TABLE h.t (id int, n int UNIQUE); CREATE TABLE h.line (n int REFERENCES h.t (n) ON DELETE CASCADE)")
    psql("INSERT INTO h.t VALUES (1, 1), (1, 2)")
    (finding,) = (finding for finding in conn.doctor("h.t", keys=["id"]).to_dicts() if finding["name"] == "duplicate_key")
    assert (finding["says"], finding["repair"], finding["remedy"]) == (
        "keys with more than one row; no repair is written, since the foreign key line_n_fkey of h.line would delete or change rows there",
        "",
        "",
    )
    psql("ALTER TABLE h.line DROP CONSTRAINT line_n_fkey, ADD FOREIGN KEY (n) REFERENCES h.t (n)")
    assert "DELETE FROM h.t" in conn.doctor("h.t", keys=["id"]).to_dicts()[0]["repair"]


@pytest.mark.parametrize(("by", "guarded"), [("name", False), ("id", True)])
def test_no_guard_is_asked_of_a_table_partitioned_by_other_columns(conn: Any, psql: Any, by: str, guarded: bool) -> None:
    psql(f"CREATE SCHEMA h; CREATE TABLE h.t ({TOOLS[0].columns}) PARTITION BY HASH ({by})")
    psql("CREATE TABLE h.p PARTITION OF h.t FOR VALUES WITH (MODULUS 1, REMAINDER 0)")
    for finding in conn.doctor("h.t", keys=["id"]).to_dicts():
        psql(finding["repair"] or "SELECT")
    found = [(finding["name"], finding["level"]) for finding in conn.doctor("h.t", keys=["id"]).to_dicts()]
    assert found == ([] if guarded else [("no_guard", "note")])
    if not guarded:
        assert conn.doctor("h.t", keys=["id"]).to_dicts()[0]["says"] == (
            "no unique index allows one current version for each key, nor can one on a table partitioned by other columns"
        )
