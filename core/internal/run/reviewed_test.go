package run_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// named is a load of a table of the given name and key columns, all of them integers, with one value column.
func named(mode spec.Mode, table, key, query string) *spec.Load {
	l := load(mode, query)
	l.Target = &spec.Table{Schema: "w", Name: table, UniqueConstraints: [][]string{}, Columns: []spec.Column{column(key, "integer", false, true), column("v", "integer", true, false)}}
	l.Keys = []string{key}
	return l
}

func TestGuardsOfTablesWithSimilarNamesDoNotClash(t *testing.T) {
	p := newPlace(t)
	p.must(named(spec.SCD2, "customer", "order_id", "SELECT 1 AS order_id, 1 AS v"))
	p.must(named(spec.SCD2, "customer_order", "id", "SELECT 1 AS id, 1 AS v"))
	p.wants("guards", "SELECT count(*) FROM pg_indexes WHERE schemaname = 'w' AND indexdef LIKE '%NULLS NOT DISTINCT WHERE is_current'", "2")
}

func TestAFirstLoadDoesNotHoldUpOthersOfItsSchema(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE SCHEMA x; CREATE FUNCTION x.wait() RETURNS integer LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(43); RETURN 1; END$$; SELECT pg_advisory_lock(43)")
	done := make(chan error, 1)
	go func() {
		_, err := p.syncOn(context.Background(), p.server, named(spec.Append, "slow", "id", "SELECT x.wait() AS id, 1 AS v"))
		done <- err
	}()
	p.until("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
	quick := named(spec.Append, "quick", "id", "SELECT 1 AS id, 1 AS v")
	quick.LockTimeoutMS = 1000
	if _, err := p.syncOn(context.Background(), open(t, p.url), quick); err != nil {
		t.Error(err)
	}
	p.exec("SELECT pg_advisory_unlock(43)")
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFirstRunsAtOnceUnderASerializableDefault(t *testing.T) {
	p := newPlace(t)
	p.exec("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$")
	results := make(chan error, 6)
	for range cap(results) {
		server := open(t, p.url)
		go func() {
			_, err := p.syncOn(context.Background(), server, load(spec.SCD2, values("(1, 'a', 1)")))
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	p.wants("rows", "SELECT count(*) FROM w.customers", "1")
}

func TestAFailureIsRecordedAlsoWhenThePoolIsFull(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Append, values("(0, 'a', 1)")))
	p.exec("CREATE FUNCTION w.wait() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(44); RETURN 1 / 0; END$$; SELECT pg_advisory_lock(44)")
	const loads = 12 // the pool has 8 sessions
	results := make(chan error, loads)
	for i := range loads {
		query := "SELECT 1 AS id, 'b' AS name, w.wait() AS balance"
		if i > 0 {
			query = "SELECT 1 / 0 AS id, 'b' AS name, random() AS balance"
		}
		go func() {
			_, err := p.syncOn(context.Background(), p.server, load(spec.Append, query))
			results <- err
		}()
	}
	p.until("SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 44")
	p.exec("SELECT pg_advisory_unlock(44)")
	for range loads {
		if err := <-results; err == nil {
			t.Error("a load that divides by zero succeeded")
		}
	}
	p.wants("history", "SELECT status, count(*) FROM ematix_flow.run_history GROUP BY 1 ORDER BY 1", "failed 12\nsuccess 1")
}

func TestSeveralTargetRowsOfOneKeyAreRefused(t *testing.T) {
	p := newPlace(t)
	mk := func(mode spec.Mode, query string) *spec.Load {
		l := named(mode, "customers", "id", query)
		l.Target.Columns = append(l.Target.Columns, column("k", "integer", true, false))
		l.Target.UniqueConstraints = [][]string{{"k"}}
		l.Keys = []string{"k"}
		if mode == spec.Merge {
			l.UpdateColumns = []string{"v"}
		}
		return l
	}
	p.must(mk(spec.Append, "SELECT id, 1 AS v, NULL::int AS k FROM generate_series(1, 2) AS id"))
	p.refused(mk(spec.Merge, "SELECT 9 AS id, 5 AS v, NULL::int AS k"), fault.SchemaDrift, "The table w.customers has several rows of one key (k). Nothing was written.")
}

// Triggers and checks belong to the table's owner: they run as they do for everybody else, whatever the mode.
func TestTriggersRunUnderTheConnectionsOwnSettings(t *testing.T) {
	for _, mode := range []spec.Mode{spec.Append, spec.Truncate, spec.Merge, spec.SCD2} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			p.must(load(mode, values("(1, 'a', 1)")))
			p.exec(`CREATE SCHEMA app; CREATE TABLE app.audit (zone text);
				CREATE FUNCTION app.log() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO audit VALUES (current_setting('TimeZone')); RETURN NEW; END$$;
				CREATE TRIGGER log BEFORE INSERT OR UPDATE ON w.customers FOR EACH ROW EXECUTE FUNCTION app.log();
				DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app', current_database()); EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Tokyo''', current_database()); END $$`)
			if _, err := p.syncOn(context.Background(), open(t, p.url), load(mode, values("(2, 'b', 1)"))); err != nil {
				t.Fatal(err)
			}
			p.wants("audit", "SELECT DISTINCT zone FROM app.audit", "Asia/Tokyo")
		})
	}
}

func TestTriggersOfTablesThatAForeignKeyChangesAlongRunUnderTheConnectionsOwnSettings(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)", "(2, 'b', 1)")))
	p.exec(`CREATE TABLE w.line (id bigint REFERENCES w.customers ON DELETE CASCADE); INSERT INTO w.line VALUES (1), (2); CREATE TABLE w.audit (ways text);
		CREATE FUNCTION w.log() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO w.audit VALUES (current_setting('enable_hashjoin')); RETURN NULL; END$$;
		CREATE TRIGGER log AFTER DELETE ON w.line FOR EACH ROW EXECUTE FUNCTION w.log()`)
	l := load(spec.Merge, values("(1, 'a', 1)"))
	l.HandleDeletes = spec.DeletesHard
	p.must(l)
	p.wants("audit", "SELECT ways FROM w.audit", "on")
}

func TestTargetsInWhichALoadWouldNotDoWhatItSaysAreRefused(t *testing.T) {
	metadata := "id BIGINT PRIMARY KEY, name VARCHAR(10) NOT NULL, balance NUMERIC(6,2), _loaded_at TIMESTAMPTZ NOT NULL, _batch_id UUID NOT NULL"
	for name, ddl := range map[string]struct{ make, drop string }{
		"rule":        {"CREATE RULE r AS ON INSERT TO w.customers DO INSTEAD NOTHING", "DROP RULE r ON w.customers"},
		"inheritance": {"CREATE TABLE w.more () INHERITS (w.customers)", "DROP TABLE w.more"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.exec("CREATE SCHEMA w; CREATE TABLE w.customers (" + metadata + "); " + ddl.make)
			p.refused(load(spec.Append, values("(1, 'a', 1)")), fault.TargetNotLoadable, "w.customers cannot be loaded.")
			p.exec(ddl.drop)
			p.must(load(spec.Append, values("(1, 'a', 1)")))
		})
	}
	t.Run("view", func(t *testing.T) {
		p := newPlace(t)
		p.exec("CREATE SCHEMA w; CREATE VIEW w.customers AS SELECT 1 AS id")
		p.refused(load(spec.Merge, values("(1, 'a', 1)")), fault.TargetNotLoadable, "w.customers cannot be loaded.")
	})
	t.Run("trigger under truncate", func(t *testing.T) {
		p := newPlace(t)
		p.must(load(spec.Truncate, values("(1, 'a', 1)")))
		p.exec("CREATE FUNCTION w.drop() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$; CREATE TRIGGER t BEFORE INSERT ON w.customers FOR EACH ROW EXECUTE FUNCTION w.drop()")
		p.refused(load(spec.Truncate, values("(2, 'b', 1)")), fault.Conflict, `The step "insert" changed 0 rows of w.customers where 1 were planned.`)
	})
}

func TestPartitionsAreLoaded(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE SCHEMA w; CREATE TABLE w.customers (id BIGINT PRIMARY KEY, name VARCHAR(10) NOT NULL, balance NUMERIC(6,2), _loaded_at TIMESTAMPTZ NOT NULL, _batch_id UUID NOT NULL) PARTITION BY HASH (id);" +
		"CREATE TABLE w.c0 PARTITION OF w.customers FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE w.c1 PARTITION OF w.customers FOR VALUES WITH (MODULUS 2, REMAINDER 1)")
	p.must(load(spec.Merge, "SELECT g AS id, 'a' AS name, 1 AS balance FROM generate_series(1, 100) AS g"))
	r := p.must(load(spec.Merge, "SELECT g AS id, CASE WHEN g % 10 = 0 THEN 'b' ELSE 'a' END AS name, 1 AS balance FROM generate_series(1, 110) AS g"))
	if *r.RowsInserted != 10 || *r.RowsUpdated != 10 || *r.RowsUnchanged != 90 {
		t.Errorf("%d %d %d, want 10 10 90", *r.RowsInserted, *r.RowsUpdated, *r.RowsUnchanged)
	}
}

func TestInfiniteEventTimesAreRefused(t *testing.T) {
	p := newPlace(t)
	l := load(spec.SCD2, "SELECT 1 AS id, 'a' AS name, 1 AS balance, 'infinity'::timestamptz AS at")
	l.EventTimestampColumn = "at"
	p.refused(l, fault.DataError, `The source of w.customers has infinity in its event_timestamp_column "at". Nothing was written.`)
}

func TestColumnsThatTheLoadFillsAreDeclaredAsItNeedsThem(t *testing.T) {
	for name, c := range map[string]spec.Column{
		"type": column("row_hash", "text", false, false), "key": column("valid_from", "timestamp_tz", false, false), "null": column("valid_to", "timestamp_tz", false, false),
	} {
		t.Run(name, func(t *testing.T) {
			l := load(spec.SCD2, values("(1, 'a', 1)"))
			l.Target.Columns = append(l.Target.Columns, c)
			_, err := plan.Make(l)
			if !fault.Is(err, fault.InvalidSpec) || !strings.Contains(err.Error(), c.Name) {
				t.Errorf("%v, want InvalidSpec that names %s", err, c.Name)
			}
		})
	}
}

func TestADriftThatIsOnlyWarnedOfIsTold(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Append, values("(1, 'a', 1)")))
	p.exec("ALTER TABLE w.customers ALTER name TYPE VARCHAR(20)")
	l := load(spec.Append, values("(2, 'b', 1)"))
	l.OnDrift = spec.DriftWarn
	r := p.must(l)
	if got := strings.Join(r.Differences, "; "); got != `column "name" is declared as VARCHAR(10) and is VARCHAR(20) in the table` {
		t.Errorf("differences: %s", got)
	}
	p.exec("ALTER TABLE w.customers DROP balance")
	p.refused(l, fault.SchemaDrift, "The table w.customers is not as declared:")
}

func TestWhatAStatementLeftInTheSessionIsGone(t *testing.T) {
	p := newPlace(t)
	for _, sql := range []string{"SET statement_timeout = '1ms'", "CREATE TEMPORARY TABLE _ematix_stage (x int)", "SET search_path = nowhere"} {
		if _, err := p.server.Execute(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	p.must(load(spec.Merge, "SELECT g AS id, 'a' AS name, 1 AS balance FROM generate_series(1, 5000) AS g"))
}
