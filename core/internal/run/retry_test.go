package run_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

var everyMode = []spec.Mode{spec.Append, spec.Truncate, spec.Merge, spec.SCD2}

// trouble has the first n inserts into the customers fail with the SQLSTATE. A sequence counts them, since it is not rolled back.
func (p *place) trouble(sqlstate string, n int) {
	p.t.Helper()
	p.exec(fmt.Sprintf(`DROP SEQUENCE IF EXISTS w.inserts; CREATE SEQUENCE w.inserts;
		CREATE OR REPLACE FUNCTION w.trouble() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
			IF nextval('w.inserts') <= %d THEN RAISE EXCEPTION 'trouble' USING ERRCODE = '%s'; END IF;
			RETURN NEW;
		END$$;
		CREATE OR REPLACE TRIGGER trouble BEFORE INSERT ON w.customers FOR EACH STATEMENT EXECUTE FUNCTION w.trouble()`, n, sqlstate))
}

func counts(r *run.Result) string {
	text := func(n *int64) string {
		if n == nil {
			return "-"
		}
		return fmt.Sprint(*n)
	}
	return strings.Join([]string{text(r.RowsInserted), text(r.RowsUpdated), text(r.RowsUnchanged), text(r.RowsClosed)}, " ")
}

func TestStatementsThatOthersGetInTheWayOfAreTriedAgain(t *testing.T) {
	first, second := values("(1, 'a', 1)", "(2, 'b', 2)"), values("(2, 'x', 2)", "(3, 'c', 3)")
	for _, mode := range everyMode {
		for n, sqlstate := range map[int]string{1: "40P01", 2: "40001"} { // the first retry is from the savepoint, the second from the beginning
			t.Run(string(mode)+" "+sqlstate, func(t *testing.T) {
				calm, p, first, second := newPlace(t), newPlace(t), first, second
				if mode == spec.Append {
					second = values("(3, 'c', 3)")
				}
				calm.must(load(mode, first))
				want := calm.must(load(mode, second))
				p.must(load(mode, first))
				p.trouble(sqlstate, n)
				got := p.must(load(mode, second))
				if got.Retries != n || counts(got) != counts(want) {
					t.Errorf("%d retries, counts %s; want %d, %s", got.Retries, counts(got), n, counts(want))
				}
				rows := "SELECT id, name, balance FROM w.customers ORDER BY id, name"
				if mode == spec.SCD2 {
					rows = "SELECT id, name, balance, row_hash, is_current FROM w.customers ORDER BY id, name"
				}
				p.wants("rows", rows, calm.text(rows))
				p.wants("load time", "SELECT DISTINCT c._loaded_at = h.loaded_at FROM w.customers AS c JOIN ematix_flow.run_history AS h ON h.run_id = c._batch_id", "t")
				p.trouble(sqlstate, 3)
				p.refused(load(mode, values("(9, 'z', 9)")), fault.Conflict, "ERROR: trouble. The load was tried 3 times. Nothing was written.")
			})
		}
	}
}

func TestTheFirstRetryReadsTheSourceNoSecondTime(t *testing.T) {
	for _, mode := range everyMode[2:] {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			p.must(load(mode, values("(1, 'a', 1)")))
			p.exec("CREATE SEQUENCE w.reads")
			p.trouble("40P01", 1)
			r := p.must(load(mode, "SELECT 2 AS id, 'b' AS name, nextval('w.reads') * 0 AS balance"))
			if r.Retries != 1 {
				t.Errorf("%d retries, want 1", r.Retries)
			}
			p.wants("reads", "SELECT last_value FROM w.reads", "1")
		})
	}
}

// A source that can be read only once is staged once; what comes after that may be tried again.
func TestASourceThatCanBeReadOnceIsNotReadAgain(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	p.exec("CREATE SEQUENCE w.reads")
	once := func() (*run.Result, error) {
		made, err := plan.Make(load(spec.Merge, "SELECT 2 AS id, 'b' AS name, nextval('w.reads') AS balance"))
		if err != nil {
			t.Fatal(err)
		}
		made.ReadsOnce = true
		return run.Sync(context.Background(), p.server, p.server, made, "test", func(run.Progress) {})
	}
	p.trouble("40001", 3)
	if _, err := once(); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "tried 3 times") {
		t.Errorf("%v, want Conflict after 3 tries", err)
	}
	p.trouble("40001", 2)
	r, err := once()
	if err != nil || r.Retries != 2 {
		t.Fatalf("%v %v, want success after 2 retries", r, err)
	}
	p.wants("reads", "SELECT last_value FROM w.reads", "2")
}

func TestAUniqueViolationIsTriedOnceMore(t *testing.T) {
	for _, mode := range everyMode {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			p.must(load(mode, values("(1, 'a', 1)")))
			p.trouble("23505", 1)
			if !mode.Keyed() {
				p.refused(load(mode, values("(2, 'b', 2)")), fault.DuplicateKeys, "ERROR: trouble. Nothing was written.")
				return
			}
			if r := p.must(load(mode, values("(2, 'b', 2)"))); r.Retries != 1 {
				t.Errorf("%d retries, want 1", r.Retries)
			}
			p.trouble("23505", 0)
			p.exec("CREATE UNIQUE INDEX customers_name ON w.customers (name)")
			p.refused(load(mode, values("(3, 'b', 2)")), fault.DuplicateKeys, `ERROR: duplicate key value violates unique constraint "customers_name". Nothing was written.`)
			p.wants("inserts", "SELECT last_value FROM w.inserts", "2")
		})
	}
}

func TestLoadsThatReplaceEachOthersSourceBothSucceed(t *testing.T) {
	p := newPlace(t)
	p.exec(`CREATE SCHEMA w; SELECT pg_advisory_lock(45);
		CREATE FUNCTION w.wait() RETURNS integer LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_xact_lock_shared(45); RETURN 1; END$$`)
	p.must(named(spec.Truncate, "a", "id", "SELECT 1 AS id, 1 AS v"))
	p.must(named(spec.Truncate, "b", "id", "SELECT 2 AS id, 1 AS v"))
	results := make(chan *run.Result, 2)
	for target, source := range map[string]string{"a": "b", "b": "a"} {
		server := open(t, p.url)
		go func() {
			r, err := p.syncOn(context.Background(), server, named(spec.Truncate, target, "id", "SELECT id, w.wait() AS v FROM w."+source))
			if err != nil {
				t.Error(err)
				r = &run.Result{}
			}
			results <- r
		}()
	}
	p.until("SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND objid = 45 AND NOT granted")
	p.exec("SELECT pg_advisory_unlock(45)")
	if retries := (<-results).Retries + (<-results).Retries; retries == 0 {
		t.Error("no load was tried again: they did not meet")
	}
	p.wants("history", "SELECT status, count(*) FROM ematix_flow.run_history GROUP BY 1", "success 4")
	p.wants("rows", "SELECT (SELECT string_agg(id::text, ',') FROM w.a) = (SELECT string_agg(id::text, ',') FROM w.b)", "t")
}
