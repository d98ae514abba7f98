package run

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/testkit"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// encoded is a fresh database of an encoding.
func encoded(t *testing.T, encoding string) string {
	t.Helper()
	server := testkit.Server(t)
	name := testkit.Rows(t, server, "SELECT current_database()")[0][0] + "_" + strings.ToLower(encoding)
	testkit.Exec(t, server, "CREATE DATABASE "+name+" ENCODING '"+encoding+"' LOCALE 'C' TEMPLATE template0")
	t.Cleanup(func() { testkit.Exec(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func plain(t *testing.T, source, target string) *crossing {
	t.Helper()
	c := &crossing{t: t, source: testkit.Connect(t, source), target: testkit.Connect(t, target), table: "pg_temp._ematix_stage"}
	c.begin("", "")
	return c
}

func (c *crossing) stage(columns string) *crossing {
	c.t.Helper()
	if _, err := c.in.Exec(c.t.Context(), "CREATE TEMPORARY TABLE _ematix_stage ("+columns+") ON COMMIT DROP"); err != nil {
		c.t.Fatal(err)
	}
	return c
}

func (c *crossing) staged() string {
	c.t.Helper()
	var text *string
	if err := c.in.QueryRow(c.t.Context(), "SELECT string_agg(s::text, ' ' ORDER BY s::text) FROM pg_temp._ematix_stage AS s").Scan(&text); err != nil {
		c.t.Fatal(err)
	}
	if text == nil {
		return ""
	}
	return *text
}

func TestTextCrossesEncodings(t *testing.T) {
	text := []wanted{{"x", "x", types.Must("text")}}
	const mixed = "SELECT 'Grün' AS x"
	for _, way := range []struct{ from, to string }{{"LATIN1", "UTF8"}, {"UTF8", "LATIN1"}, {"LATIN1", "LATIN1"}, {"EUC_JP", "UTF8"}, {"UTF8", "SQL_ASCII"}, {"SQL_ASCII", "UTF8"}} {
		query := mixed
		if way.from == "EUC_JP" {
			query = "SELECT '漢字' AS x"
		}
		c := plain(t, encoded(t, way.from), encoded(t, way.to)).stage("x text")
		if _, err := c.relay(query, text); err != nil {
			t.Errorf("%s to %s: %v", way.from, way.to, err)
			continue
		}
		if got := c.staged(); "SELECT '"+strings.Trim(got, "()")+"' AS x" != query {
			t.Errorf("%s to %s: %q from %s", way.from, way.to, got, query)
		}
	}
}

func TestTextThatTheTargetCannotHoldIsRefused(t *testing.T) {
	c := plain(t, testkit.Server(t), encoded(t, "LATIN1")).stage("id integer, x text")
	x, err := c.relay("SELECT id, CASE WHEN id = 3 THEN '漢字' ELSE 'é' END AS x FROM generate_series(1, 5) AS id", []wanted{{"id", "id", types.Must("integer")}, {"x", "x", types.Must("text")}})
	e := pg.Fault(x.placed(err), "")
	if e.Kind != fault.DataError || e.Phase != pg.Stage || !strings.HasSuffix(e.Message, `has no equivalent in encoding "LATIN1" (column "x" of row 3)`) {
		t.Errorf("%s, %s: %v", e.Kind, e.Phase, e)
	}
}

func TestBytesThatAreNoTextAreNamed(t *testing.T) {
	source := encoded(t, "SQL_ASCII")
	testkit.Exec(t, source, "CREATE TABLE public.places (id integer, city text, name text)",
		`INSERT INTO public.places SELECT id, 'ok', CASE WHEN id = 3 THEN convert_from('Gr\374n'::bytea, 'SQL_ASCII') ELSE 'ok' END FROM generate_series(1, 5) AS id`)
	want := []wanted{{"id", "id", types.Must("integer")}, {"city", "city", types.Must("text")}, {"name", "name", types.Must("text")}}
	c := plain(t, source, testkit.Server(t)).stage("id integer, city text, name text")
	const query = "SELECT * FROM public.places"
	x, err := c.relay(query, want)
	e := pg.Fault(err, "")
	x.misencoded(t.Context(), c.out, query, "", "clean", e)
	if e.Kind != fault.DataError || !strings.HasPrefix(e.Message, `Column "name" of row 3 of the source query is not valid text`) {
		t.Errorf("%s: %v", e.Kind, e)
	}
	for _, tx := range []pgx.Tx{c.out, c.in} {
		if _, err := tx.Exec(t.Context(), "ROLLBACK TO SAVEPOINT clean"); err != nil {
			t.Fatal(err)
		}
	}
	// What the hint says.
	c.stage("id integer, city text, name text")
	if _, err := c.relay("SELECT id, city, convert_from(convert(convert_to(name, 'SQL_ASCII'), 'LATIN1', 'UTF8'), 'UTF8') AS name FROM public.places WHERE id = 3", want); err != nil || c.staged() != "(3,ok,Grün)" {
		t.Errorf("%v: %s", err, c.staged())
	}
}

func TestTheStatementsOfAnExtract(t *testing.T) {
	c := plain(t, testkit.Server(t), testkit.Server(t)).stage(`"a ""b""" bigint, n numeric(6,2), at text, event timestamptz NOT NULL`)
	const query = `SELECT 7::smallint AS "a ""b""", 'dropped' AS other, 1.005 AS n, g * interval '1 day' + '2024-01-01'::timestamp AS at FROM generate_series(0, 2) AS g -- a remark`
	want := []wanted{{`a "b"`, `a "b"`, types.Must("big_int")}, {"n", "n", types.Must("numeric", 6, 2)}, {"at", "at", types.Must("text")}, {"event", "at", types.Must("timestamp_tz")}}
	described, err := c.source.PgConn().Prepare(t.Context(), "", query, nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := newExtract(t.Context(), c.out, c.target.PgConn(), described.Fields, want, c.table, arrivalName)
	if err != nil {
		t.Fatal(err)
	}
	out := x.copyOut(query, `q.at > '2024-01-01'`)
	for got, wanted := range map[string]string{
		out:        "COPY (\nSELECT q.\"a \"\"b\"\"\"::pg_catalog.\"int8\", q.n, q.at, q.at\nFROM (\n" + query + "\n) AS q\nWHERE q.at > '2024-01-01'\n) TO STDOUT (FORMAT binary)",
		x.copyIn(): `COPY pg_temp._ematix_arrived ("a ""b""", n, at, event) FROM STDIN (FORMAT binary)`,
		x.createArrival(): "CREATE TEMPORARY TABLE _ematix_arrived (\n    \"a \"\"b\"\"\" pg_catalog.\"int8\",\n    n pg_catalog.\"numeric\",\n    at pg_catalog.\"timestamp\",\n" +
			"    event pg_catalog.\"timestamp\"\n) ON COMMIT DROP",
		x.insert(): "INSERT INTO pg_temp._ematix_stage (\"a \"\"b\"\"\", n, at, event)\nSELECT a.\"a \"\"b\"\"\", a.n, a.at, a.event\nFROM pg_temp._ematix_arrived AS a",
	} {
		if got != wanted {
			t.Errorf("%s\nwant\n%s", got, wanted)
		}
	}
	if _, err := c.in.Exec(t.Context(), x.createArrival()); err != nil {
		t.Fatal(err)
	}
	if rows, err := pg.Relay(t.Context(), c.source.PgConn(), out, c.target.PgConn(), x.copyIn(), nil); err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

func TestARefusedValueIsPlaced(t *testing.T) {
	for name, c := range map[string]struct{ value, message string }{
		"too long":  {"repeat('secret', 5), 1.5, now()", `ERROR: value too long for type character varying(5) (column "name" of row 2)`},
		"too large": {"'ok', 1e9, now()", `ERROR: numeric field overflow (column "n" of row 2)`},
		"a check":   {"'ok', 1, 'infinity'", `ERROR: new row for relation "_ematix_stage" violates check constraint "_ematix_stage_event_check"`},
	} {
		t.Run(name, func(t *testing.T) {
			over := plain(t, testkit.Server(t), testkit.Server(t)).stage("name varchar(5), n numeric(6,2), event timestamptz NOT NULL CHECK (event < 'infinity')")
			x, err := over.relay("SELECT * FROM (VALUES (1, 'a', 1.5, now()), (2, "+c.value+")) AS v (id, name, n, at) ORDER BY id",
				[]wanted{{"name", "name", types.Must("string", 5)}, {"n", "n", types.Must("numeric", 6, 2)}, {"event", "at", types.Must("timestamp_tz")}})
			if err == nil {
				t.Fatal("nothing was refused")
			}
			if e := pg.Fault(x.placed(err), ""); e.Kind != fault.DataError || e.Message != c.message {
				t.Errorf("%s: %v", e.Kind, e)
			}
		})
	}
}
