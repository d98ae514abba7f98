package core

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// Every strategy passes the same suite, with the same cases whose SQL is stored: what a load promises whatever its mode.
func TestEveryStrategyKeepsThePromises(t *testing.T) {
	for _, folder := range caseFolders(t) {
		for _, path := range []string{spec.SameDB, spec.CrossDB} {
			t.Run(strings.TrimPrefix(folder, cases+"/")+"/"+path, func(t *testing.T) { keepsThePromises(t, newSuite(t, folder, path)) })
		}
	}
}

func keepsThePromises(t *testing.T, s *suite) {
	staged := s.count("SELECT count(*) FROM (\n" + s.load(t).Query + "\n) AS q")

	t.Run("a dry run changes nothing", func(t *testing.T) {
		load := s.load(t)
		load.DryRun = true
		if r := s.must(t, load); *r.RowsInserted != staged || r.Status != "dry_run" {
			t.Errorf("dry run: inserted %d as %q, want %d as dry_run", *r.RowsInserted, r.Status, staged)
		}
		if s.exists() || s.count("SELECT count(*) FROM pg_namespace WHERE nspname = 'ematix_flow'") != 0 {
			t.Error("a dry run left a table")
		}
	})
	t.Run("the first run inserts every row and records it", func(t *testing.T) {
		r := s.must(t, s.load(t))
		if *r.RowsInserted != staged || s.count("SELECT count(*) FROM "+s.target) != staged {
			t.Errorf("inserted %d, want %d", *r.RowsInserted, staged)
		}
		if n := s.count("SELECT count(*) FROM ematix_flow.run_history WHERE run_id = '" + r.RunID + "' AND status = 'success' AND finished_at >= started_at AND xact_id IS NOT NULL"); n != 1 {
			t.Error("no success row of the run in the history")
		}
		if n := s.count("SELECT count(*) FROM " + s.target + " WHERE _batch_id <> '" + r.RunID + "'"); n != 0 {
			t.Errorf("%d rows do not carry the run's id", n)
		}
	})
	t.Run("the second run adds nothing that is there", func(t *testing.T) { s.again(t, staged) })
	t.Run("a failing query leaves the table as it was", func(t *testing.T) { s.failing(t) })
	t.Run("nothing is left in the session", func(t *testing.T) {
		if n := s.count("SELECT count(*) FROM pg_class WHERE relpersistence = 't'"); n != 0 {
			t.Errorf("%d temporary relations are left", n)
		}
		if n := s.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"); n != 0 {
			t.Errorf("%d advisory locks are left", n)
		}
	})
}

// suite is one case on a database of its own; its observer looks at the results without our code.
type suite struct {
	folder   string
	path     string
	target   string
	server   *pg.Server
	observer *pgx.Conn
	t        *testing.T
}

func newSuite(t *testing.T, folder, path string) *suite {
	t.Helper()
	ctx, url := context.Background(), testkit.Server(t)
	dsn, err := pg.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	server, err := pg.Open(ctx, dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	observer, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = observer.Close(ctx) }) // the database is dropped next
	s := &suite{folder: folder, path: path, server: server, observer: observer, t: t}
	table := s.load(t).Target
	s.target = ident.Qualified(table.Schema, table.Name)
	return s
}

func (s *suite) load(t *testing.T) *spec.Load {
	load := readCase(t, s.folder)
	load.ForcePath = s.path
	return load
}

func (s *suite) sync(t *testing.T, load *spec.Load) (*run.Result, error) {
	t.Helper()
	p, err := plan.Make(load)
	if err != nil {
		t.Fatal(err)
	}
	return run.Sync(context.Background(), s.server, s.server, p, Version, func(run.Progress) {})
}

func (s *suite) must(t *testing.T, load *spec.Load) *run.Result {
	t.Helper()
	r, err := s.sync(t, load)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *suite) count(sql string) (n int64) {
	s.t.Helper()
	if err := s.observer.QueryRow(context.Background(), sql).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *suite) exists() bool {
	return s.count("SELECT count(to_regclass("+strings.TrimSpace(ident.Literal(s.target))+"))") == 1
}

// content is every row of the target, order-free.
func (s *suite) content() (text string) {
	s.t.Helper()
	if err := s.observer.QueryRow(context.Background(), "SELECT coalesce(string_agg(t::text, E'\\n' ORDER BY t::text), '') FROM "+s.target+" AS t").Scan(&text); err != nil {
		s.t.Fatal(err)
	}
	return text
}

func (s *suite) again(t *testing.T, staged int64) {
	before := s.content()
	r, err := s.sync(t, s.load(t))
	switch load := s.load(t); {
	case load.Mode == spec.Append && load.IncrementalColumn == "":
		if !fault.Is(err, fault.DuplicateKeys) {
			t.Fatalf("error %v, want DuplicateKeys: appended rows hit the primary key", err)
		}
	case err != nil:
		t.Fatal(err)
	case load.Mode == spec.Truncate && load.Replace != spec.ReplaceDiff:
		if *r.RowsInserted != staged || s.count("SELECT count(*) FROM "+s.target) != staged {
			t.Errorf("inserted %d, want %d", *r.RowsInserted, staged)
		}
		return
	case *r.RowsInserted != 0 || (r.RowsUpdated != nil && *r.RowsUpdated != 0) || (r.RowsClosed != nil && *r.RowsClosed != 0):
		// A surrogate that the query makes anew each time is not among the columns that these cases compare.
		t.Errorf("a second run changed rows: %+v", r)
	}
	if s.content() != before {
		t.Error("the second run changed the table")
	}
}

func (s *suite) failing(t *testing.T) {
	before := s.content()
	load := s.load(t)
	load.IncrementalColumn, load.Lag = "", spec.Lag{} // the rows that are there would not be read
	// Fails when the row is computed, after the planner has looked at it.
	load.Query = "SELECT q.* FROM (\n" + load.Query + "\n) AS q WHERE 1 / (random() * 0)::int = 1"
	_, err := s.sync(t, load)
	if !fault.Is(err, fault.DataError) {
		t.Fatalf("error %v, want DataError (division by zero)", err)
	}
	if s.content() != before {
		t.Error("the failed run changed the table")
	}
	if n := s.count("SELECT count(*) FROM ematix_flow.run_history WHERE status = 'failed' AND error_message LIKE '%division by zero%' AND rows_inserted IS NULL AND finished_at IS NOT NULL"); n != 1 {
		t.Errorf("%d failed rows in the history, want 1", n)
	}
}
