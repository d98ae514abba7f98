package run_test

import (
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

var modes = []spec.Mode{spec.Append, spec.Truncate, spec.Merge, spec.SCD2}

func TestBadSourcesAreRefusedWithTheRemedyAndTheTableStays(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1.5)")))
	for _, c := range []struct {
		name, query string
		kind        fault.Kind
		message     string
	}{
		{"missing column", "SELECT 1 AS id, 'x' AS name", fault.InvalidQuery, `The source query lacks the column "balance" of w.customers. It delivers: "id", "name".`},
		{"column twice", "SELECT 1 AS id, 'x' AS name, 2 AS name, 1 AS balance", fault.InvalidQuery, `The source query delivers the column "name" more than once.`},
		{"no such relation", "SELECT * FROM nowhere", fault.InvalidQuery, `The source query cannot be run. ERROR: relation "nowhere" does not exist`},
		{"typo in a line", "SELECT 'é' AS name,\n    id,\n    balence AS balance\nFROM w.customers", fault.InvalidQuery, `The source query cannot be run. ERROR: column "balence" does not exist (line 3 of the query, column 5)`},
		{"syntax error in a line", "SELECT 'é',\n'é', , 1", fault.InvalidQuery, `The source query cannot be run. ERROR: syntax error at or near "," (line 2 of the query, column 6)`},
		{"query without an end", "SELECT 1 AS id\nFROM (", fault.InvalidQuery, `The source query cannot be run. ERROR: syntax error at end of input (line 2 of the query, column 7)`},
		{"two statements", "SELECT 1; SELECT 2", fault.InvalidQuery, `The source query cannot be run. ERROR: cannot insert multiple commands into a prepared statement
Return one statement; run others by themselves, with the execute() of a connection.`},
		{"commit inside", "COMMIT", fault.InvalidQuery, "The source query returns no rows: it is not a SELECT."},
		{"data-modifying", "DELETE FROM w.customers RETURNING *", fault.InvalidQuery, "ERROR: syntax error"},
		{"parameters", "SELECT $1::int AS id, 'x' AS name, 1 AS balance", fault.InvalidQuery, "The source query has parameters"},
		{"null", values("(2, NULL, 1)"), fault.DataError, `The source of w.customers has NULL in the column "name", which is NOT NULL. Nothing was written.`},
		{"null key", values("(NULL::bigint, 'x', 1)"), fault.NullKey, `The source of w.customers has NULL in the primary-key column "id". Nothing was written.`},
		{"too long", values("(2, 'abcdefghijklm', 1)", "(3, 'fits', 1)"), fault.DataError, `The source of w.customers has values that cannot be stored: 1 value in column "name" does not fit VARCHAR(10). Nothing was written.`},
		{"too large", values("(2, 'x', 12345.6)", "(3, 'y', 99999)"), fault.DataError, `The source of w.customers has values that cannot be stored: 2 values in column "balance" do not fit NUMERIC(6,2). Nothing was written.`},
		{"not a number", values("(2, 'x', 'abc'::text::numeric)"), fault.DataError, "ERROR: invalid input syntax for type numeric. Nothing was written."},
		{"computed", "SELECT id, name, (balance::text || 'x')::numeric AS balance FROM w.customers", fault.DataError, "ERROR: invalid input syntax for type numeric. Nothing was written."},
		{"wrong type", values("(2, 'x', 'abc'::text)"), fault.InvalidQuery, `ERROR: column "balance" is of type numeric but expression is of type text. Nothing was written.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t = t
			p.refused(load(spec.Merge, c.query), c.kind, c.message)
		})
	}
}

func TestEachModeRefusesValuesThatDoNotFit(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			p.refused(load(mode, values("(1, 'abcdefghijklm', 1)")), fault.DataError, `The source of w.customers has values that cannot be stored: 1 value in column "name" does not fit VARCHAR(10).`)
			p.refused(load(mode, values("(1, NULL, 1)")), fault.DataError, `The source of w.customers has NULL in the column "name", which is NOT NULL.`)
			p.refused(load(mode, values("(NULL::bigint, 'x', 1)")), fault.NullKey, `The source of w.customers has NULL in the primary-key column "id".`)
		})
	}
}

func TestDuplicateKeysAreRefusedAndShown(t *testing.T) {
	for _, mode := range []spec.Mode{spec.Merge, spec.SCD2} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			p.refused(load(mode, values("(1, 'a', 1)", "(1, 'a', 1)", "(2, 'b', 1)")), fault.DuplicateKeys, "The source of w.customers has a key (id) more than once: 1 (2 rows). Nothing was written.")
			query := "SELECT i % 7 AS id, 'x' AS name, i AS balance FROM generate_series(0, 20) AS i"
			p.refused(load(mode, query), fault.DuplicateKeys, "The source of w.customers has 7 keys (id) more than once: ")
		})
	}
	t.Run("insert only", func(t *testing.T) {
		p := newPlace(t)
		l := load(spec.Merge, values("(1, 'a', 1)", "(1, 'b', 1)"))
		l.UpdateColumns = []string{}
		p.refused(l, fault.DuplicateKeys, "The source of w.customers has a key (id) more than once: 1 (2 rows).")
	})
}

func TestTwoNullsAreOneKeyTwice(t *testing.T) {
	p := newPlace(t)
	l := load(spec.SCD2, "SELECT * FROM (VALUES (1, 'a', NULL::numeric), (2, 'b', NULL)) AS v (id, name, balance)")
	l.Keys = []string{"balance"}
	p.refused(l, fault.DuplicateKeys, "The source of w.customers has a key (balance) more than once: NULL (2 rows).")
}

func TestArgumentsAreRefusedInTheDocumentedOrder(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*spec.Load)
		kind    fault.Kind
		message string
	}{
		{"mode first", func(l *spec.Load) { l.Mode, l.ForcePath = "upsert", "x" }, fault.NotImplemented, `The mode "upsert" is not implemented`},
		{"then path", func(l *spec.Load) { l.ForcePath, l.HandleDeletes = "x", "y" }, fault.InvalidSpec, `force_path="x"`},
		{"event time", func(l *spec.Load) { l.EventTimestampColumn = "at" }, fault.InvalidSpec, `event_timestamp_column needs mode="scd2"`},
		{"ttl", func(l *spec.Load) { l.HasTTL = true }, fault.InvalidSpec, `ttl needs mode="scd2"`},
		{"deletes", func(l *spec.Load) { l.HandleDeletes = "maybe" }, fault.InvalidSpec, `handle_deletes="maybe"`},
		{"deletes of append", func(l *spec.Load) { l.Mode, l.HandleDeletes = spec.Append, "hard" }, fault.InvalidSpec, `handle_deletes cannot be used with mode="append"`},
		{"deletes and watermark", func(l *spec.Load) { l.HandleDeletes, l.IncrementalColumn = "hard", "id" }, fault.InvalidSpec, "handle_deletes cannot be used with incremental_column"},
		{"hard deletes of history", func(l *spec.Load) { l.Mode, l.HandleDeletes = spec.SCD2, "hard" }, fault.InvalidSpec, `handle_deletes="hard" cannot be used with mode="scd2"`},
		{"watermark of truncate", func(l *spec.Load) { l.Mode, l.IncrementalColumn = spec.Truncate, "id" }, fault.InvalidSpec, `incremental_column cannot be used with mode="truncate"`},
		{"drift", func(l *spec.Load) { l.OnDrift = "ignore" }, fault.InvalidSpec, `on_drift="ignore"`},
		{"no key", func(l *spec.Load) { l.Keys = []string{} }, fault.InvalidSpec, `The mode "merge" needs keys`},
		{"unknown key", func(l *spec.Load) { l.Keys = []string{"nr"} }, fault.InvalidSpec, `keys names the column "nr", which w.customers does not declare.`},
		{"key without constraint", func(l *spec.Load) { l.Keys = []string{"name"} }, fault.InvalidSpec, `mode="merge" needs a primary key or unique constraint of w.customers on exactly its keys (name).`},
		{"nothing to compare", func(l *spec.Load) { l.Mode, l.CompareColumns = spec.SCD2, []string{} }, fault.InvalidSpec, `mode="scd2" needs at least one column to compare`},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := load(spec.Merge, "SELECT 1")
			c.change(l)
			err := l.CheckArguments()
			if err == nil {
				err = l.CheckColumns()
			}
			if !fault.Is(err, c.kind) || len(err.Error()) < len(c.message) || err.Error()[:len(c.message)] != c.message {
				t.Errorf("got %v, want %s: %s", err, c.kind, c.message)
			}
		})
	}
}

func TestADriftedTableIsRefusedWithEveryDifference(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE SCHEMA w; CREATE TABLE w.customers (id INTEGER PRIMARY KEY, name VARCHAR(20), extra POINT, _loaded_at TIMESTAMPTZ NOT NULL, _batch_id UUID NOT NULL, UNIQUE (name))")
	p.refused(load(spec.Append, values("(1, 'a', 1)")), fault.SchemaDrift, `The table w.customers is not as declared:
  - column "id" is declared as BIGINT and is INTEGER in the table
  - column "name" is declared as VARCHAR(10) and is VARCHAR(20) in the table
  - column "name" is declared NOT NULL and is NULL in the table
  - column "balance" is declared as NUMERIC(6,2) and missing in the table
  - column "extra" of the table (POINT) is not declared
  - unique constraint on (name) of the table is not declared
Nothing was changed.`)
}

func TestWhatKeepsRowsBackRollsTheLoadBack(t *testing.T) {
	for _, mode := range []spec.Mode{spec.Merge, spec.SCD2} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			p.must(load(mode, values("(1, 'a', 1)")))
			p.exec(`CREATE FUNCTION w.keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$;
				CREATE TRIGGER keep BEFORE UPDATE ON w.customers FOR EACH ROW EXECUTE FUNCTION w.keep()`)
			p.refused(load(mode, values("(1, 'b', 1)")), fault.Conflict, "The step ")
		})
	}
}

func TestRightsThatAreMissingAreNamed(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Append, values("(1, 'a', 1)")))
	p.exec("CREATE ROLE poor_" + p.role() + " LOGIN PASSWORD 'pw'")
	t.Cleanup(func() { p.exec("DROP OWNED BY poor_" + p.role() + "; DROP ROLE poor_" + p.role()) })
	p.exec("GRANT USAGE ON SCHEMA w, ematix_flow TO poor_" + p.role() + "; GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ematix_flow TO poor_" + p.role())
	poor := open(t, p.urlOf("poor_"+p.role(), "pw"))
	_, err := p.syncOn(t.Context(), poor, load(spec.Append, values("(2, 'b', 1)")))
	if !fault.Is(err, fault.PermissionDenied) {
		t.Fatalf("error %v, want PermissionDenied", err)
	}
	p.wants("rows", "SELECT count(*) FROM w.customers", "1")
}
