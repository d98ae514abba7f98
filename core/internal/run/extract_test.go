package run

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/testkit"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Settings that write values in another way on either side, and what is not built in.
var (
	sourceSettings = []string{"DateStyle = 'German'", "TimeZone = 'Asia/Kolkata'", "IntervalStyle = 'sql_standard'", "extra_float_digits = -5", "bytea_output = 'escape'", "xmlbinary = 'hex'"}
	targetSettings = []string{"DateStyle = 'SQL, DMY'", "TimeZone = 'America/St_Johns'", "IntervalStyle = 'iso_8601'", "extra_float_digits = 0", "bytea_output = 'escape'"}
	foreignTypes   = []string{
		"CREATE TYPE public.mood AS ENUM ('sad', 'ok', 'très bien')", "CREATE TYPE public.pair AS (a integer, b text)",
		"CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0)", "CREATE DOMAIN public.feeling AS public.mood",
		"CREATE FUNCTION public.to_int(public.pair) RETURNS integer LANGUAGE sql AS 'SELECT ($1).a'", "CREATE CAST (public.pair AS integer) WITH FUNCTION public.to_int AS ASSIGNMENT",
		"CREATE FUNCTION public.to_big(public.pair) RETURNS bigint LANGUAGE sql AS 'SELECT ($1).a'", "CREATE CAST (public.pair AS bigint) WITH FUNCTION public.to_big",
	}
)

// values are expressions of each source type, none of which depends on a setting.
var values = map[string][]string{
	"bool": {"true", "false", "NULL"}, "int2": {"-32768", "32767", "0"}, "int4": {"-2147483648", "2147483647", "32768", "5"}, "int8": {"-9223372036854775808", "9223372036854775807", "16777217", "1"},
	"numeric": {"1e1000", "-1e-1000", "'NaN'", "'Infinity'", "'-Infinity'", "0.005", "1.50", "9999.995", "9999.994", "-0.0", "123456789012345678901234567890.1234567890123456789"},
	"float4":  {"'NaN'", "'Infinity'", "-0.0::float8::float4", "3.4028235e38", "1e-45", "0.1", "16777216"},
	"float8":  {"'NaN'", "'-Infinity'", "-0.0", "1.7976931348623157e308", "5e-324", "0.1", "2.5", "3.5", "1e20"},
	"text":    {"''", "'x'", "'abcde'", "'abcdef'", "'abcde   '", "NULL", `E'\\N'`, `E'a\tb\nc\rd\\\\e'`, "'€ 漢字 𝄞 é'", "repeat('x', 100000)", "'12'", "'null'"},
	"varchar": {"''", "'abcde'", "'abcde    '", "'abcdef'", "'12'"}, "bpchar": {"'abc   '", "''", "'abcdef  '", "'12 '"}, "name": {"'abc'", "'a_long_name_of_more_than_five'"}, `"char"`: {"'x'", "''"},
	"bytea": {"'\\x'", "(SELECT string_agg(set_byte('\\x00'::bytea, 0, g), '' ORDER BY g) FROM generate_series(0, 255) AS g)", "NULL", "'\\xffff'"},
	"date":  {"'infinity'", "'-infinity'", "'4713-11-24 BC'", "'5874897-12-31'", "'2024-02-29'", "'0044-03-15 BC'", "NULL"},
	"timestamp": {
		"'infinity'", "'-infinity'", "'4714-11-24 00:00:00 BC'", "'294276-12-31 23:59:59.999999'", "'2024-02-29 12:34:56.789012'", "'2024-03-10 02:30:00'", "'1999-12-31 23:59:59.9999995'",
	},
	"timestamptz": {"'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'", "'2024-02-29 23:30:00.000001+00'", "'2024-11-03 05:30:00+00'"},
	"time":        {"'24:00:00'", "'00:00:00'", "'23:59:59.999999'"}, "timetz": {"'24:00:00-15:59'", "'12:00:00.5+05:30'"},
	"interval": {"'P-1Y-2M3DT-4H5M6.789S'", "'PT0S'", "'P178000000Y'", "'P1M-1D'"},
	"json":     {`'{"b": 1, "a":  [1, 2], "b": "é"}'`, `'null'`, "NULL", `'"\u0000"'`, `'1e1000'`}, "jsonb": {`'{"b": 1, "a":  [1, 2], "b": "é"}'`, "'null'", "'1e100'", "'\"\"'"},
	"uuid": {"'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"}, "inet": {"'::1/64'", "'10.0.0.1'"}, "cidr": {"'10.0.0.0/8'"}, "macaddr": {"'08:00:2b:01:02:03'"},
	"bit(3)": {"B'101'"}, "varbit": {"B'1'", "B''"}, "point": {"'(0.1,-0)'"}, "box": {"'(1,1),(0,0)'"}, "polygon": {"'((0,0),(1,1))'"}, "oid": {"4294967295", "1"},
	"int4[]": {"'{1,NULL,3}'", "'{}'", "'[2:3]={1,2}'"}, "text[]": {`'{a,"b \" c",NULL}'`}, "date[]": {"'{infinity,2024-01-02}'"}, "int4range": {"'[1,5)'", "'empty'"}, "tstzrange": {"'[2024-01-01 00:00+00,)'"},
	"nummultirange": {"'{[1,2),[5,)}'"}, "tsvector": {"'b a:1'"}, "tsquery": {"'a & !b'"}, "jsonpath": {"'$.a[*]'"}, "xml": {"'<a>é</a>'"}, "pg_lsn": {"'1/A'"},
	"public.mood": {"'sad'", "'très bien'", "NULL"}, "public.mood[]": {"'{sad,ok}'"}, "public.feeling": {"'ok'"}, "public.positive": {"5", "70000"}, "public.pair": {"'(1,x)'"}, "money": {"12.5"},
	"regclass": {"'pg_catalog.pg_class'"}, "xid": {"'1'"}, "tid": {"'(1,2)'"},
}

var domains = map[string]string{"public.feeling": "public.mood", "public.positive": "integer"}

func declared() []types.Type {
	list := []types.Type{types.Must("string", 5), types.Must("string", 300), types.Must("numeric", 6, 2), types.Must("numeric", 1000, 0), types.Must("numeric", 50, 20)}
	for _, kind := range types.Kinds() {
		if kind != "string" && kind != "numeric" {
			list = append(list, types.Must(kind))
		}
	}
	return list
}

// crossing is a source and a target whose types are tried.
type crossing struct {
	t              *testing.T
	source, target *pgx.Conn
	table          string // that is staged into
	out, in        pgx.Tx
}

func cross(t *testing.T, source, target string) *crossing {
	t.Helper()
	c := &crossing{t: t}
	for url, settings := range map[string][]string{source: sourceSettings, target: targetSettings} {
		name := testkit.Rows(t, url, "SELECT current_database()")[0][0]
		for _, setting := range settings {
			testkit.Exec(t, url, "ALTER DATABASE "+name+" SET "+setting)
		}
		testkit.Exec(t, url, foreignTypes...)
	}
	c.source, c.target = testkit.Connect(t, source), testkit.Connect(t, target)
	tables := ""
	for _, kind := range declared() { // made once: a thousand times would take most of the time
		tables += "CREATE TEMPORARY TABLE " + tableOf(kind) + " (x " + kind.SQL() + ") ON COMMIT DROP; "
	}
	c.begin("", tables)
	return c
}

func tableOf(kind types.Type) string { return ident.Quote("stage " + kind.SQL()) }

// begin begins both transactions, and leaves a savepoint in each.
func (c *crossing) begin(out, in string) {
	c.t.Helper()
	c.out = c.transaction(c.source, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly}, out)
	c.in = c.transaction(c.target, pg.ReadCommitted, in)
}

func (c *crossing) transaction(conn *pgx.Conn, options pgx.TxOptions, sql string) pgx.Tx {
	c.t.Helper()
	tx, err := conn.BeginTx(c.t.Context(), options)
	if err == nil {
		_, err = tx.Exec(c.t.Context(), relaySession+"; "+sql+"; SAVEPOINT clean", pgx.QueryExecModeSimpleProtocol)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	return tx
}

const arrivalName = "pg_temp._ematix_arrived"

// outcome is what a way of staging made: the table, byte by byte, or the code and text of the refusal.
func (c *crossing) outcome(kind types.Type, stage func() error) (content, refusal string) {
	c.t.Helper()
	ctx := c.t.Context()
	defer func() {
		for _, tx := range []pgx.Tx{c.out, c.in} {
			if _, err := tx.Exec(ctx, "ROLLBACK TO SAVEPOINT clean"); err != nil {
				c.t.Fatal(err)
			}
		}
	}()
	c.table = "pg_temp." + tableOf(kind)
	if err := stage(); err != nil {
		e := pg.Fault(err, "")
		return "", e.SQLState + " " + strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(e.Message, "In the source database: "), ". Nothing was written."), "ERROR: ")
	}
	var all bytes.Buffer
	if _, err := c.target.PgConn().CopyTo(ctx, &all, "COPY "+c.table+" TO STDOUT (FORMAT binary)"); err != nil {
		c.t.Fatal(err)
	}
	return all.String(), ""
}

// relay stages a query as a load over two databases does.
func (c *crossing) relay(query string, want []wanted) (*extract, error) {
	c.t.Helper()
	ctx := c.t.Context()
	described, err := c.source.PgConn().Prepare(ctx, "", query, nil)
	if err != nil {
		return nil, err
	}
	x, err := newExtract(ctx, c.out, c.target.PgConn(), described.Fields, want, c.table, arrivalName)
	if err != nil {
		return nil, err
	}
	if x.twoSteps() {
		if _, err := c.in.Exec(ctx, x.createArrival()); err != nil {
			return x, err
		}
		if _, err := c.target.PgConn().Prepare(ctx, "", x.insert(), nil); err != nil {
			return x, err
		}
	}
	if _, err := pg.Relay(ctx, c.source.PgConn(), x.copyOut(query, ""), c.target.PgConn(), x.copyIn(), nil); err != nil {
		return x, err
	}
	if x.twoSteps() {
		_, err = c.in.Exec(ctx, x.insert())
	}
	return x, err
}

func (c *crossing) compare(from string, kind types.Type, rows []string) (refusal string, same bool) {
	c.t.Helper()
	query := "SELECT x FROM (VALUES (" + strings.Join(rows, "::"+from+"), (") + "::" + from + ")) AS v (x) -- a remark"
	here, refusedHere := c.outcome(kind, func() error {
		_, err := c.in.Exec(c.t.Context(), "INSERT INTO "+c.table+" (x)\nSELECT q.x\nFROM (\n"+query+"\n) AS q")
		return err
	})
	there, refusedThere := c.outcome(kind, func() error {
		_, err := c.relay(query, []wanted{{"x", "x", kind}})
		return err
	})
	if base := domains[from]; base != "" { // a source describes them as their base types
		refusedHere = strings.Replace(refusedHere, "expression is of type "+from, "expression is of type "+base, 1)
	}
	if same = here == there && refusedHere == refusedThere; !same && len(rows) == 1 {
		c.t.Errorf("%s into %s, value %.60s: one database gives %.200q %s, two give %.200q %s", from, kind.SQL(), rows[0], here, refusedHere, there, refusedThere)
	}
	return refusedHere, same
}

func (c *crossing) matrix() {
	for from, list := range values {
		if from == "xml" && major(c.source.PgConn()) != major(c.target.PgConn()) {
			continue // a server built without it refuses it either way
		}
		for _, kind := range declared() {
			// All values at once; where one is refused, or differs, one by one.
			if refusal, same := c.compare(from, kind, list); !same || (refusal != "" && !strings.HasPrefix(refusal, "42804")) {
				for _, value := range list {
					c.compare(from, kind, []string{value})
				}
			}
		}
	}
}

func TestTwoDatabasesStageWhatOneWould(t *testing.T) {
	t.Run("same version", func(t *testing.T) { cross(t, testkit.Server(t), testkit.Server(t)).matrix() })
	t.Run("to another version", func(t *testing.T) { cross(t, testkit.Server(t), testkit.OtherServer(t)).matrix() })
	t.Run("from another version", func(t *testing.T) { cross(t, testkit.OtherServer(t), testkit.Server(t)).matrix() })
}

// From 17 on an interval can be infinite. An older server would take it for a very long one.
func TestInfiniteIntervalsAreRefusedByOlderServers(t *testing.T) {
	here, there := testkit.Server(t), testkit.OtherServer(t)
	newer := "SELECT current_setting('server_version_num')::integer >= 170000"
	if testkit.Rows(t, here, newer)[0][0] == "t" {
		here, there = there, here
	}
	if testkit.Rows(t, here, newer)[0][0] == "t" || testkit.Rows(t, there, newer)[0][0] == "f" {
		t.Skip("needs a server before 17 and one from 17 on")
	}
	c := plain(t, there, here).stage("x text")
	_, err := c.relay("SELECT 'infinity'::interval AS x", []wanted{{"x", "x", types.Must("text")}})
	if e := pg.Fault(err, ""); e.SQLState != "22008" || e.Phase != pg.ReadSource {
		t.Errorf("%v", err)
	}
}
