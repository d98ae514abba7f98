package run_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/testkit"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// grown is a load of customers whose declaration has grown: a longer name, a larger balance, two more columns.
func grown(mode spec.Mode) *spec.Load {
	l := load(mode, "SELECT 1 AS id, 'a name of more than ten' AS name, 123456.78 AS balance, 'x' AS note, now() AS seen")
	l.Target.Columns[1].Type, l.Target.Columns[2].Type = types.Must("string", 40), types.Must("numeric", 12, 2)
	l.Target.Columns = append(l.Target.Columns, column("note", "text", true, false), column("seen", "timestamp_tz", true, false))
	l.OnDrift = spec.DriftEvolve
	return l
}

const (
	customersShape = `SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attname) FROM pg_attribute WHERE attrelid = 'w.customers'::regclass AND attnum > 0 AND attname !~ '^_'`
	customersFiles = `SELECT string_agg(pg_relation_filenode(oid)::text, ',' ORDER BY relname) FROM pg_class WHERE relname IN ('customers', 'customers_pkey')`
	grownAlter     = `ALTER TABLE w.customers
    ALTER COLUMN name TYPE VARCHAR(40),
    ALTER COLUMN balance TYPE NUMERIC(12,2),
    ADD COLUMN note TEXT,
    ADD COLUMN seen TIMESTAMPTZ`
)

func TestADeclarationThatHasGrownIsFollowedWithoutARewrite(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			p.must(load(mode, values("(7, 'old', 1.5)")))
			before := p.text(customersFiles)
			l := grown(mode)
			l.DryRun = true
			p.must(l)
			p.wants("after the dry run", customersShape+" AND attname IN ('name', 'note')", "name character varying(10)")
			l = grown(mode)
			if mode == spec.Truncate {
				l.Replace = spec.ReplaceDelete // TRUNCATE makes a new file by itself
			}
			if r := p.must(l); len(r.Differences) > 0 {
				t.Errorf("warned of what was changed: %q", r.Differences)
			}
			p.wants("columns", customersShape+" AND attname IN ('name', 'balance', 'note', 'seen')", "balance numeric(12,2), name character varying(40), note text, seen timestamp with time zone")
			p.wants("rows", "SELECT id, name, balance, note FROM w.customers WHERE id = 1", "1 a name of more than ten 123456.78 x")
			p.wants("files", customersFiles, before)
			p.wants("recorded", "SELECT ddl, fingerprint, run_id IS NOT NULL FROM ematix_flow.schema_history ORDER BY id DESC LIMIT 1", grownAlter+" "+p.text("SELECT '"+l.Target.With(l).Fingerprint+"'")+" t")
			again := grown(mode)
			again.Query = strings.Replace(again.Query, "1 AS id", "2 AS id", 1)
			p.must(again)
			p.wants("nothing to do again", "SELECT count(*) FROM ematix_flow.schema_history WHERE ddl LIKE 'ALTER TABLE%COLUMN%'", "1")
		})
	}
}

func TestEvolutionIsAllOrNothing(t *testing.T) {
	for name, c := range map[string]struct {
		change     func(*spec.Load)
		difference string
	}{
		"not null":    {func(l *spec.Load) { l.Target.Columns[3].Nullable = false }, `column "note" is declared as TEXT and missing in the table`},
		"narrower":    {func(l *spec.Load) { l.Target.Columns[1].Type = types.Must("string", 9) }, `column "name" is declared as VARCHAR(9) and is VARCHAR(10) in the table`},
		"other scale": {func(l *spec.Load) { l.Target.Columns[2].Type = types.Must("numeric", 12, 3) }, `column "balance" is declared as NUMERIC(12,3) and is NUMERIC(6,2) in the table`},
		"rewritten":   {func(l *spec.Load) { l.Target.Columns[2].Type = types.Must("double") }, `column "balance" is declared as DOUBLE PRECISION and is NUMERIC(6,2) in the table`},
		"unique":      {func(l *spec.Load) { l.Target.UniqueConstraints = [][]string{{"name"}} }, `unique constraint on (name) is declared and missing in the table`},
		"removed":     {func(l *spec.Load) { l.Target.Columns = slices.Delete(l.Target.Columns, 2, 3) }, `column "balance" of the table (NUMERIC(6,2)) is not declared`},
		"nullability": {func(l *spec.Load) { l.Target.Columns[1].Nullable = true }, `column "name" is declared NULL and is NOT NULL in the table`},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.must(load(spec.Merge, values("(1, 'old', 1.5)")))
			before := p.text(customersShape)
			l := grown(spec.Merge)
			c.change(l)
			_, err := p.sync(l)
			if !fault.Is(err, fault.SchemaDrift) || !strings.Contains(err.Error(), "\n  - "+c.difference+"\n") || !strings.Contains(err.Error(), "\n  - column \"seen\" is declared as TIMESTAMPTZ and missing in the table\n") {
				t.Errorf("%v, want every difference, also: %s", err, c.difference)
			}
			p.wants("columns", customersShape, before)
		})
	}
}

func TestAFailedLoadTakesItsEvolutionBack(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'old', 1.5)")))
	before := p.text(customersShape)
	l := grown(spec.Merge)
	l.Query = "SELECT g AS id, NULL AS name, 1 AS balance, 'x' AS note, now() AS seen FROM generate_series(1, 2) AS g"
	p.refused(l, fault.DataError, "The source of w.customers has NULL in the column \"name\"")
	p.wants("columns", customersShape, before)
	p.wants("recorded", "SELECT count(*) FROM ematix_flow.schema_history WHERE ddl LIKE 'ALTER%'", "0")
}

func TestWhatStandsOnAColumnKeepsItAsItIs(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'old', 1.5)")))
	p.exec("CREATE VIEW w.names AS SELECT name FROM w.customers")
	before := p.text(customersShape)
	_, err := p.sync(grown(spec.Merge))
	if !fault.Is(err, fault.SchemaDrift) || !strings.Contains(err.Error(), "\n  - column \"note\"") || !strings.Contains(err.Error(), "PostgreSQL refuses the change: cannot alter type of a column used by a view or rule") {
		t.Errorf("%v, want SchemaDrift that says why", err)
	}
	p.wants("columns", customersShape, before)
}

// What types.Widens says is what PostgreSQL does: no new file for the table or for indexes on the column, the values and their collation stay.
func TestTypesAreWidenedInTheCatalogueOnly(t *testing.T) {
	for _, c := range []struct {
		was, wide string
		declared  types.Type
	}{
		{"VARCHAR(3)", "character varying(7)", types.Must("string", 7)},
		{`VARCHAR(3) COLLATE "C"`, "character varying(7)", types.Must("string", 7)},
		{`VARCHAR(3) COLLATE w."Own"`, "text", types.Must("text")},
		{"VARCHAR(3)", "text", types.Must("text")},
		{"NUMERIC(4,1)", "numeric(9,1)", types.Must("numeric", 9, 1)},
		{"TIMESTAMP(3)", "timestamp without time zone", types.Must("timestamp")},
		{"TIMESTAMPTZ(0)", "timestamp with time zone", types.Must("timestamp_tz")},
	} {
		t.Run(c.was, func(t *testing.T) {
			p := newPlace(t)
			value := map[byte]string{'V': "'abc'", 'N': "123.4", 'T': "'2024-01-02 03:04:05'"}[c.was[0]]
			p.exec(`CREATE SCHEMA w; CREATE COLLATION w."Own" (LOCALE = 'C', PROVIDER = libc); CREATE TABLE w.t (id BIGINT PRIMARY KEY, v ` + c.was + `); CREATE INDEX i ON w.t (v); INSERT INTO w.t VALUES (1, ` + value + `)`)
			const look = "SELECT pg_relation_filenode('w.t'), pg_relation_filenode('w.i'), (SELECT attcollation FROM pg_attribute WHERE attrelid = 'w.t'::regclass AND attname = 'v'), v FROM w.t"
			before := p.text(look)
			table := &spec.Table{Schema: "w", Name: "t", Columns: []spec.Column{column("id", "big_int", false, true), {Name: "v", Type: c.declared, Nullable: true}}}
			if action, _, err := run.EnsureTable(t.Context(), p.server, table, spec.DriftEvolve); err != nil || action != "evolved" {
				t.Fatal(action, err)
			}
			p.wants("looks", look, before)
			p.wants("type", "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'w.t'::regclass AND attname = 'v'", c.wide)
		})
	}
}

func TestTablesAreEnsuredByThemselves(t *testing.T) {
	p := newPlace(t)
	ensure := func(table *spec.Table, onDrift, want string, differences int) {
		t.Helper()
		action, listed, err := run.EnsureTable(t.Context(), p.server, table, onDrift)
		if err != nil || action != want || listed == nil || len(listed) != differences {
			t.Errorf("%s %q %v, want %s and %d differences", action, listed, err, want, differences)
		}
	}
	wide := grown(spec.Append).Target
	ensure(customers(), spec.DriftEvolve, "created", 0)
	ensure(customers(), spec.DriftError, "matched", 0)
	ensure(wide, spec.DriftWarn, "drift", 4)
	ensure(wide, spec.DriftEvolve, "evolved", 4)
	ensure(wide, spec.DriftEvolve, "matched", 0)
	p.wants("recorded", "SELECT target_schema, target_table, run_id, ddl FROM ematix_flow.schema_history ORDER BY id OFFSET 1", "w customers NULL "+grownAlter)
	if _, _, err := run.EnsureTable(t.Context(), p.server, customers(), spec.DriftEvolve); !fault.Is(err, fault.SchemaDrift) {
		t.Errorf("%v, want SchemaDrift: nothing is narrowed", err)
	}
}

// Nothing is written where nothing is to be done, so that it needs no rights but to look.
func TestATableThatIsThereIsEnsuredWithoutStateTables(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE SCHEMA w; CREATE TABLE w.customers (id BIGINT PRIMARY KEY, name VARCHAR(10) NOT NULL, balance NUMERIC(6,2))")
	poor, _ := p.poor()
	if action, _, err := run.EnsureTable(t.Context(), poor, customers(), spec.DriftEvolve); err != nil || action != "matched" {
		t.Error(action, err)
	}
	p.wants("state tables", "SELECT to_regnamespace('ematix_flow')", "NULL")
}

func TestRunsThatFindOneDeclarationGrownAtOnceFollowItOnce(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(7, 'old', 1.5)")))
	results := make(chan error, 5)
	for i := range cap(results) {
		server := open(t, p.url)
		go func() {
			if i == 0 {
				_, _, err := run.EnsureTable(context.Background(), server, grown(spec.Merge).Target.With(grown(spec.Merge)), spec.DriftEvolve)
				results <- err
				return
			}
			_, err := p.syncOn(context.Background(), server, grown(spec.Merge))
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	p.wants("recorded", "SELECT count(*) FROM ematix_flow.schema_history WHERE ddl LIKE 'ALTER%'", "1")
}

func TestClosuresFollowTheirHistory(t *testing.T) {
	p := newPlace(t)
	keyed := func(length int, name string) *spec.Load {
		l := load(spec.SCD2, fmt.Sprintf("SELECT 1 AS id, 'k' AS name, %s AS balance", name))
		l.Keys, l.Closures, l.OnDrift = []string{"name"}, true, spec.DriftEvolve
		l.Target.Columns[1].Type = types.Must("string", length)
		return l
	}
	p.must(keyed(10, "1"))
	p.must(keyed(20, "2"))
	p.wants("key", "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'w.customers__closures'::regclass AND attname = 'name'", "character varying(20)")
	p.wants("recorded", "SELECT target_table, count(*) FROM ematix_flow.schema_history GROUP BY 1 ORDER BY 1", "customers 4\ncustomers__closures 3")
}

func TestAReaderInTheWayOfAnEvolutionIsNamedAndWaitedForOnlySoLong(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Append, values("(7, 'old', 1.5)")))
	reader := testkit.Connect(t, p.url)
	tx, err := reader.BeginTx(t.Context(), pgx.TxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // the connection is closed after it
	if _, err := tx.Exec(t.Context(), "LOCK TABLE w.customers IN ACCESS SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	l := grown(spec.Append)
	l.LockTimeoutMS = 50
	p.refused(l, fault.LockTimeout, "w.customers is locked by process ")
}
