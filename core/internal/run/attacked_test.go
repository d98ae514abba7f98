package run_test

import (
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// What a table does to rows must not be passed over.
func TestAReplacementNoticesRowsThatAreKeptBack(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Truncate, values("(1, 'a', 1)", "(2, 'b', 2)")))
	p.exec(`CREATE FUNCTION w.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF OLD.id = 1 THEN RETURN NULL; END IF; RETURN OLD; END';
		CREATE TRIGGER keep BEFORE DELETE ON w.customers FOR EACH ROW EXECUTE FUNCTION w.keep()`)
	l := load(spec.Truncate, values("(3, 'c', 3)"))
	l.Replace = spec.ReplaceDelete
	p.refused(l, fault.Conflict, `The step "delete" changed 1 rows of w.customers where 2 were planned.`)
}

func TestTriggersRunUnderTheConnectionsOwnPlans(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, "SELECT g AS id, 'a' AS name, 1 AS balance FROM generate_series(1, 1000) AS g"))
	p.exec(`ANALYZE w.customers; CREATE TABLE w.seen (setting text);
		CREATE FUNCTION w.look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO w.seen SELECT current_setting(''enable_hashjoin'') || current_setting(''random_page_cost''); RETURN NULL; END';
		CREATE TRIGGER look AFTER UPDATE ON w.customers FOR EACH STATEMENT EXECUTE FUNCTION w.look()`)
	p.must(load(spec.Merge, values("(7, 'b', 1)")))
	p.wants("settings of the trigger", "SELECT setting FROM w.seen", "on4")
}

func TestRowsMayReferToRowsOfTheSameLoad(t *testing.T) {
	const refers = "ALTER TABLE w.customers ADD FOREIGN KEY (balance) REFERENCES w.customers (id) "
	prepare := func(t *testing.T, rest string) *place {
		p := newPlace(t)
		p.must(load(spec.Merge, values("(1, 'a', NULL)", "(2, 'b', 1)")))
		p.exec("ALTER TABLE w.customers ALTER balance TYPE bigint")
		p.exec(refers + rest)
		return p
	}
	t.Run("a child moves to a new parent, and its old one goes", func(t *testing.T) {
		p := prepare(t, "DEFERRABLE")
		l := load(spec.Merge, values("(2, 'b', 3)", "(3, 'c', NULL)"))
		l.HandleDeletes, l.OnDrift = spec.DeletesHard, spec.DriftWarn
		p.must(l)
		p.wants("rows", "SELECT id, balance FROM w.customers ORDER BY id", "2 3\n3 NULL")
		l = load(spec.Merge, values("(2, 'b', 4)", "(3, 'c', NULL)"))
		l.DryRun, l.OnDrift = true, spec.DriftWarn
		p.refused(l, fault.DataError, "ERROR: insert or update on table")
	})
	t.Run("what the source has is not deleted by a cascade", func(t *testing.T) {
		p := prepare(t, "ON DELETE CASCADE")
		l := load(spec.Merge, values("(2, 'b', 1)"))
		l.HandleDeletes, l.OnDrift = spec.DeletesHard, spec.DriftWarn
		p.refused(l, fault.TargetNotLoadable, `The foreign key "customers_balance_fkey" of w.customers refers to w.customers and changes or deletes its rows`)
	})
}

func TestAVersionWithoutEndThatIsNotTheCurrentOneIsNamed(t *testing.T) {
	for name, change := range map[string]func(*spec.Load){
		"load time": func(*spec.Load) {}, "soft deletes": func(l *spec.Load) { l.HandleDeletes = spec.DeletesSoft },
		"event time": func(l *spec.Load) { l.EventTimestampColumn = "at" },
		"late": func(l *spec.Load) {
			l.EventTimestampColumn, l.Late, l.Versions = "at", spec.LateSplice, spec.VersionsAll
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			make := func(rows string) *spec.Load {
				l := load(spec.SCD2, "SELECT *, now() AS at FROM ("+rows+") AS r")
				change(l)
				return l
			}
			p.must(make(values("(1, 'a', 1)", "(2, 'b', 2)")))
			p.exec("UPDATE w.customers SET is_current = false WHERE id = 2")
			p.must(make(values("(1, 'z', 1)", "(3, 'c', 3)")))
			p.refused(make(values("(1, 'y', 1)", "(2, 'b', 2)")), fault.SchemaDrift, "The history in w.customers is damaged: a key of the source has a version without valid_to that is not the current one.")
		})
	}
}

// Writers west of the reader: their clock is behind it, and so is what they are about to commit.
func TestTheCapHoldsForTimesWithoutZone(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE SCHEMA s; CREATE TABLE s.events (id bigint, name text, at timestamp DEFAULT now())")
	table, err := spec.DecodeTable([]byte(`{"schema": "w", "name": "events", "columns": [
		{"name": "id", "type": {"kind": "big_int"}, "nullable": false, "primary_key": true}, {"name": "name", "type": {"kind": "text"}, "nullable": true, "primary_key": false},
		{"name": "at", "type": {"kind": "timestamp"}, "nullable": true, "primary_key": false}]}`))
	if err != nil {
		t.Fatal(err)
	}
	run := func(query string) {
		l := load(spec.Merge, query)
		l.Target, l.IncrementalColumn = table, "at"
		p.must(l)
	}
	late := p.connect()
	for _, sql := range []string{"SET TimeZone = 'America/New_York'", "BEGIN", "INSERT INTO s.events VALUES (1, 'late')"} {
		late(sql)
	}
	p.exec("SET TimeZone = 'America/New_York'; INSERT INTO s.events VALUES (2, 'soon')")
	run("SELECT * FROM s.events")
	late("COMMIT")
	run("SELECT * FROM s.events")
	p.wants("rows", "SELECT id, name FROM w.events ORDER BY id", "1 late\n2 soon")

	// What is read may have been written long after the cap was asked for: here by the query itself, later by more than the cap's second.
	p.exec(`CREATE FUNCTION s.slow() RETURNS SETOF s.events LANGUAGE plpgsql AS 'BEGIN
		PERFORM pg_sleep(1.5); INSERT INTO s.events VALUES (4, ''soon'', clock_timestamp() AT TIME ZONE ''America/New_York''); RETURN QUERY SELECT * FROM s.events; END'`)
	late("BEGIN")
	late("INSERT INTO s.events VALUES (3, 'late')")
	run("SELECT * FROM s.slow()")
	late("COMMIT")
	run("SELECT * FROM s.events")
	p.wants("rows", "SELECT id, name FROM w.events WHERE id > 2 ORDER BY id", "3 late\n4 soon")
}

func TestSeveralCurrentVersionsAreNamedWhereNoGuardKeepsThemOut(t *testing.T) {
	for _, event := range []string{"", "at"} {
		p := newPlace(t)
		make := func(rows string) *spec.Load {
			l := load(spec.SCD2, "SELECT *, now() AS at FROM ("+rows+") AS r")
			l.Guards, l.EventTimestampColumn = spec.GuardsOff, event
			return l
		}
		p.must(make(values("(1, 'a', 1)", "(2, 'b', 2)")))
		p.exec("INSERT INTO w.customers SELECT id, 'c', balance, valid_from - interval '1 day', NULL, true, row_hash, _loaded_at, _batch_id FROM w.customers WHERE id = 2")
		p.must(make(values("(1, 'z', 1)")))
		p.refused(make(values("(2, 'b', 2)")), fault.SchemaDrift, "The history in w.customers is damaged: 1 keys of the source have more than one current version.")
	}
}

func TestAReplacementLeavesTheRowsOfOtherTablesAlone(t *testing.T) {
	p := newPlace(t)
	make := func(replace string) *spec.Load {
		l := load(spec.Truncate, values("(1, 'a', 1)", "(2, 'b', 2)"))
		l.Replace = replace
		return l
	}
	p.must(make(spec.ReplaceTruncate))
	p.exec("CREATE TABLE w.orders (id int, customer bigint REFERENCES w.customers ON DELETE CASCADE); INSERT INTO w.orders VALUES (7, 1)")
	p.refused(make(spec.ReplaceDelete), fault.TargetNotLoadable, `The foreign key "orders_customer_fkey" of w.orders refers to w.customers and changes or deletes its rows`)
	p.refused(make(spec.ReplaceTruncate), fault.TargetNotLoadable, "ERROR: cannot truncate a table referenced in a foreign key constraint")
	p.must(make(spec.ReplaceDiff))
	p.exec("ALTER TABLE w.orders DROP CONSTRAINT orders_customer_fkey, ADD FOREIGN KEY (customer) REFERENCES w.customers DEFERRABLE")
	p.must(make(spec.ReplaceDelete))
	p.wants("orders", "SELECT id, customer FROM w.orders", "7 1")
	l := load(spec.Truncate, values("(2, 'b', 2)"))
	l.Replace = spec.ReplaceDelete
	p.refused(l, fault.DataError, `ERROR: update or delete on table "customers" violates foreign key constraint "orders_customer_fkey" on table "orders". Nothing was written.`)
}

// The clock of a place goes back once a year, that of the source does not.
func TestAWatermarkIsNotKeptOfLocalTimes(t *testing.T) {
	for _, path := range []string{spec.SameDB, spec.CrossDB} {
		p := newPlace(t)
		table, err := spec.DecodeTable([]byte(`{"schema": "w", "name": "events", "columns": [
			{"name": "id", "type": {"kind": "big_int"}, "nullable": false, "primary_key": true},
			{"name": "at", "type": {"kind": "timestamp"}, "nullable": true, "primary_key": false}]}`))
		if err != nil {
			t.Fatal(err)
		}
		l := load(spec.Merge, "SELECT 1 AS id, timestamptz '2024-11-03 05:45Z' AS at")
		l.Target, l.IncrementalColumn, l.ForcePath = table, "at", path
		p.refused(l, fault.InvalidQuery, `incremental_column="at" is declared as TIMESTAMP, and the source query delivers another type`)
		l.Query = "SELECT 1 AS id, timestamptz '2024-11-03 05:45Z' AT TIME ZONE 'UTC' AS at"
		p.must(l)
	}
}
