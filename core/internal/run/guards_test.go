package run_test

import (
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// guarded is a history of customers with the guards of that name, in columns that have names of their own.
func guarded(guards string, rows ...string) *spec.Load {
	l := load(spec.SCD2, values(rows...))
	l.Guards, l.History = guards, spec.HistoryColumns{ValidFrom: "Since", ValidTo: "until", IsCurrent: "current", RowHash: "hash"}
	return l
}

const (
	guardIndexes = `SELECT indexdef FROM pg_indexes WHERE schemaname = 'w' AND tablename = 'customers' AND indexname !~ 'pkey' ORDER BY 1`
	guardChecks  = `SELECT contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'w.customers'::regclass AND contype IN ('c', 'x') ORDER BY 1`
)

var guardsWanted = map[string]struct{ indexes, checks string }{
	spec.GuardsOff: {`CREATE INDEX customers_id_idx ON w.customers USING btree (id) WHERE current`, ""},
	spec.GuardsCurrent: {`CREATE UNIQUE INDEX customers_id_idx ON w.customers USING btree (id) NULLS NOT DISTINCT WHERE current`,
		`c CHECK (("Since" < until))`},
	spec.GuardsFull: {`CREATE INDEX customers_id_tstzrange_excl ON w.customers USING gist (id, tstzrange("Since", until))
CREATE UNIQUE INDEX customers_id_idx ON w.customers USING btree (id) NULLS NOT DISTINCT WHERE current`,
		`c CHECK (("Since" < until))
x EXCLUDE USING gist (id WITH =, tstzrange("Since", until) WITH &&)`},
}

func TestHistoriesHaveTheGuardsThatAreAskedFor(t *testing.T) {
	for guards, want := range guardsWanted {
		t.Run(guards, func(t *testing.T) {
			p := newPlace(t)
			p.exec("CREATE EXTENSION btree_gist SCHEMA public")
			p.must(guarded(guards, "(1, 'a', 1)"))
			p.wants("indexes", guardIndexes, want.indexes)
			p.wants("checks", guardChecks, want.checks)
			p.must(guarded(guards, "(1, 'b', 1)")) // closes and opens at one time: no overlap
			p.exec(`DO $$ DECLARE n text; BEGIN
				FOR n IN SELECT conname FROM pg_constraint WHERE conrelid = 'w.customers'::regclass AND contype IN ('c', 'x') LOOP EXECUTE 'ALTER TABLE w.customers DROP CONSTRAINT ' || n; END LOOP;
				EXECUTE 'DROP INDEX w.customers_id_idx'; END $$`)
			p.must(guarded(guards, "(1, 'c', 1)")) // adds what is missing, over three versions
			p.wants("indexes, added", guardIndexes, want.indexes)
			p.wants("checks, added", guardChecks, want.checks)
			p.must(guarded(guards, "(1, 'd', 1)")) // and knows them
			p.wants("indexes, again", guardIndexes, want.indexes)
			p.wants("checks, again", guardChecks, want.checks)
			p.wants("versions", `SELECT count(*), count(*) FILTER (WHERE current) FROM w.customers`, "4 1")
		})
	}
}

func TestStrongerGuardsAreAddedAndWeakerOnesRemoveNone(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE EXTENSION btree_gist SCHEMA public")
	for _, guards := range []string{spec.GuardsOff, spec.GuardsCurrent, spec.GuardsFull, spec.GuardsOff} {
		p.must(guarded(guards, "(1, 'a', 1)"))
	}
	p.wants("indexes", guardIndexes, guardsWanted[spec.GuardsOff].indexes+"\n"+strings.Replace(guardsWanted[spec.GuardsFull].indexes, "customers_id_idx", "customers_id_idx1", 1))
	p.wants("checks", guardChecks, guardsWanted[spec.GuardsFull].checks)
}

func TestADamagedHistoryIsNamed(t *testing.T) {
	for _, c := range []struct{ guards, rows, message string }{
		{spec.GuardsCurrent, "(DATE '2020-01-01', NULL, true), (DATE '2021-01-01', NULL, true)", "a key has more than one current version"},
		{spec.GuardsCurrent, "(DATE '2020-01-01', DATE '2019-01-01', false)", "a version does not end after it starts"},
		{spec.GuardsFull, "(DATE '2020-01-01', DATE '2019-01-01', false)", "a version does not end after it starts"},
		{spec.GuardsFull, "(DATE '2020-01-01', DATE '2022-01-01', false), (DATE '2021-01-01', NULL, true)", "versions of one key overlap"},
	} {
		t.Run(c.guards+": "+c.message, func(t *testing.T) {
			p := newPlace(t)
			p.exec("CREATE EXTENSION btree_gist SCHEMA public")
			p.must(guarded(spec.GuardsOff, "(9, 'z', 1)"))
			p.exec("INSERT INTO w.customers SELECT 7, 'x', 1, v.since, v.until::timestamptz, v.current, '', now(), gen_random_uuid() FROM (VALUES " + c.rows + ") AS v (since, until, current)")
			p.refused(guarded(c.guards, "(1, 'a', 1)"), fault.SchemaDrift, "The history in w.customers is damaged: "+c.message+". Nothing was changed.")
			p.wants("indexes", guardIndexes, guardsWanted[spec.GuardsOff].indexes)
			p.must(guarded(spec.GuardsOff, "(1, 'a', 1)"))
		})
	}
}

func TestTheDatabaseKeepsAGuardedHistoryFromHands(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE EXTENSION btree_gist SCHEMA public")
	p.must(guarded(spec.GuardsFull, "(1, 'a', 1)"))
	_, err := p.observer.Exec(t.Context(), `INSERT INTO w.customers SELECT id, name, balance, "Since" + interval '1 day', "Since" + interval '2 days', false, hash, _loaded_at, _batch_id FROM w.customers`)
	if err == nil || !strings.Contains(err.Error(), "23P01") {
		t.Errorf("%v, want an exclusion violation", err)
	}
}

func TestFullGuardsNeedTheExtensionAndKeysThatItTakes(t *testing.T) {
	p := newPlace(t)
	_, err := p.sync(guarded(spec.GuardsFull, "(1, 'a', 1)"))
	if !fault.Is(err, fault.ConfigError) || !strings.Contains(err.Error(), "CREATE EXTENSION btree_gist") {
		t.Errorf("%v, want ConfigError with the line that helps", err)
	}
	p.wants("table", "SELECT to_regclass('w.customers')", "NULL")
	for name, change := range map[string]func(*spec.Load){
		"balance": func(l *spec.Load) { l.Keys = []string{"balance"} },
		"doc": func(l *spec.Load) {
			l.Target.Columns = append(l.Target.Columns, column("doc", "jsonb", false, false))
			l.Keys = []string{"id", "doc"}
		},
	} {
		l := guarded(spec.GuardsFull, "(1, 'a', 1)")
		change(l)
		if _, err := plan.Make(l); !fault.Is(err, fault.InvalidSpec) || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("%v, want InvalidSpec that names %s", err, name)
		}
	}
}

// What the types say of themselves is what the server does.
func TestTheGuardAgainstOverlapsHoldsEveryTypeThatIsNotExcepted(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE EXTENSION btree_gist SCHEMA public")
	for _, kind := range types.Kinds() {
		c := spec.Column{Name: "k", Nullable: false, PrimaryKey: true}
		var err error
		for _, values := range [][]int{{}, {9}, {9, 2}} {
			if c.Type, err = types.New(kind, values...); err == nil {
				break
			}
		}
		if c.Type.NoEquality {
			continue
		}
		l := &spec.Load{Mode: spec.SCD2, Keys: []string{"k"}, Guards: spec.GuardsFull, PipelineName: "p", Augment: true, LockTimeoutMS: 1000,
			Query: "SELECT NULL::" + c.Type.SQL() + " AS k, 1 AS v WHERE false", Target: &spec.Table{Schema: "w", Name: "t_" + kind, Columns: []spec.Column{c, column("v", "integer", true, false)}}}
		if c.Type.NoGiST {
			_, err := p.observer.Exec(t.Context(), "CREATE TEMPORARY TABLE no (k "+c.Type.SQL()+", EXCLUDE USING gist (k WITH =))")
			if err == nil {
				t.Errorf("%s: PostgreSQL takes it", kind)
			}
			continue
		}
		if _, err := p.sync(l); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestClosuresAreMadeWithTheHistoryOrWhenFirstAskedFor(t *testing.T) {
	const shape = `SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN '!' ELSE '' END, ', ' ORDER BY attnum) FROM pg_attribute
		WHERE attrelid = 'w.customers__closures'::regclass AND attnum > 0`
	const want = "id bigint!, balance numeric(6,2), Since timestamp with time zone!, until timestamp with time zone!, run_id uuid!"
	for _, first := range []bool{true, false} {
		p := newPlace(t)
		with := func(closures bool, row string) *spec.Load {
			l := guarded(spec.GuardsCurrent, row)
			l.Keys, l.CompareColumns, l.Closures = []string{"id", "balance"}, []string{"name"}, closures
			return l
		}
		p.must(with(first, "(1, 'a', 1)"))
		r := p.must(with(true, "(1, 'b', 1)"))
		p.wants("shape", shape, want)
		p.wants("index", "SELECT indexdef FROM pg_indexes WHERE tablename = 'customers__closures'",
			`CREATE INDEX "customers__closures_id_balance_Since_idx" ON w.customers__closures USING btree (id, balance, "Since")`)
		p.wants("closed", `SELECT c.id, c.run_id, c.until = v.until FROM w.customers__closures AS c JOIN w.customers AS v USING ("Since")`, "1 "+r.RunID+" t")
	}
}

func TestAnotherTableInPlaceOfTheClosuresIsNamed(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE SCHEMA w; CREATE TABLE w.customers__closures (id BIGINT NOT NULL, note TEXT)")
	l := guarded(spec.GuardsCurrent, "(1, 'a', 1)")
	l.Closures, l.OnDrift = true, spec.DriftWarn
	p.refused(l, fault.SchemaDrift, "The table w.customers__closures is not as declared:\n  - column \"Since\" is declared as TIMESTAMPTZ and missing")
	p.exec("DROP TABLE w.customers__closures; CREATE VIEW w.customers__closures AS SELECT 1")
	p.refused(l, fault.TargetNotLoadable, "w.customers__closures cannot be loaded.")
	l.Keys, l.Target.Columns[0].Name = []string{"run_id"}, "run_id"
	if _, err := plan.Make(l); !fault.Is(err, fault.InvalidSpec) {
		t.Errorf("%v, want InvalidSpec", err)
	}
}

func softly(rows ...string) *spec.Load {
	l := load(spec.Merge, values(rows...))
	l.HandleDeletes = spec.DeletesSoft
	return l
}

func TestTheMarkOfSoftDeletesIsAddedAtOnceAndIsNoDrift(t *testing.T) {
	const mark = "SELECT is_nullable, column_default FROM information_schema.columns WHERE table_name = 'customers' AND column_name = 'is_deleted'"
	const file = "SELECT pg_relation_filenode('w.customers')"
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)", "(2, 'b', 2)")))
	before := p.text(file)
	if r := p.must(softly("(1, 'a', 1)")); len(r.Differences) != 0 {
		t.Errorf("differences %q", r.Differences)
	}
	p.wants("mark", mark, "NO false")
	p.wants("file", file, before)
	p.wants("rows", "SELECT id, is_deleted FROM w.customers ORDER BY id", "1 f\n2 t")

	p = newPlace(t)
	p.must(softly("(1, 'a', 1)"))
	p.wants("mark of a table that is made", mark, "NO false")

	p = newPlace(t)
	own := softly("(1, 'a', 1)", "(2, 'b', 2)")
	own.DeletedColumn = "gone"
	own.Target.Columns = append(own.Target.Columns, column("gone", "boolean", false, false))
	p.must(own)
	p.wants("declared by the user", "SELECT id, gone FROM w.customers ORDER BY id", "1 f\n2 f")
}

func TestAMarkOfAnotherTypeIsDrift(t *testing.T) {
	for _, drift := range []string{spec.DriftError, spec.DriftWarn, spec.DriftEvolve} {
		p := newPlace(t)
		p.must(load(spec.Merge, values("(1, 'a', 1)")))
		p.exec("ALTER TABLE w.customers ADD is_deleted TEXT NOT NULL DEFAULT 'no'")
		l := softly("(1, 'a', 1)")
		l.OnDrift = drift
		p.refused(l, fault.SchemaDrift, "The table w.customers is not as declared:\n  - column \"is_deleted\" is declared as BOOLEAN and is TEXT in the table\nNothing was changed.")
	}
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	p.exec("ALTER TABLE w.customers ALTER name TYPE TEXT")
	p.refused(softly("(1, 'a', 1)"), fault.SchemaDrift, "The table w.customers is not as declared:\n  - column \"name\"")
	p.wants("no mark was added", "SELECT count(*) FROM information_schema.columns WHERE column_name = 'is_deleted'", "0")
}
