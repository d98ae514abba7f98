package run_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

func TestTheLimitThatEndedAStatementIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		limit, query string
		kind         fault.Kind
		message      string
	}{
		"time": {
			"statement_timeout = '300ms'", "SELECT 2 AS id, pg_sleep(600)::text AS name, 1 AS balance", fault.Timeout,
			`The step "stage" was ended by the statement_timeout of 300ms, which is set for the database (ALTER DATABASE ... SET). Nothing was written.`,
		},
		"temporary files": {
			"temp_file_limit = '64kB'", "SELECT g AS id, 'a' AS name, 1 AS balance FROM (SELECT g FROM generate_series(1, 3000000) AS g ORDER BY -g OFFSET 0) AS d", fault.ServerResources,
			"ERROR: temporary file size exceeds ", // what follows is quoted by some versions
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.must(load(spec.Merge, values("(1, 'a', 1)")))
			p.exec("DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I SET " + strings.ReplaceAll(c.limit, "'", "''") + "', current_database()); END $do$")
			limited := &place{t: t, url: p.url, server: open(t, p.url), observer: p.observer}
			limited.refused(load(spec.Merge, c.query), c.kind, c.message)
			p.exec("DO $do$ BEGIN EXECUTE format('ALTER DATABASE %I RESET ALL', current_database()); END $do$")
			p.must(load(spec.Merge, values("(1, 'b', 1)")))
			p.wants("history", "SELECT status FROM ematix_flow.run_history ORDER BY started_at", "success\nfailed\nsuccess")
		})
	}
}

// Somebody who cancels a statement by hand is no time limit.
func TestACancelledStatementIsNotBlamedOnALimit(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	l := load(spec.Merge, "SELECT 2 AS id, 'x' AS name, pg_cancel_backend(pg_backend_pid())::int + pg_sleep(600)::text::int AS balance")
	p.refused(l, fault.Timeout, "ERROR: canceling statement due to user request")
}

// Readers that come while TRUNCATE waits for an older one get their turn, again and again.
func TestReadersGetThroughWhileTruncateWaits(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Truncate, values("(1, 'a', 1)")))
	holder := testkit.Connect(t, p.url)
	if _, err := holder.Exec(context.Background(), "BEGIN; SELECT FROM w.customers"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := p.syncOn(context.Background(), p.server, load(spec.Truncate, values("(2, 'b', 1)")))
		done <- err
	}()
	const waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'w.customers'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted)"
	for range 2 {
		p.until(waits)
		p.wants("what a reader gets, once it gets through", "SELECT id FROM w.customers", "1")
	}
	if _, err := holder.Exec(context.Background(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	p.wants("rows", "SELECT id FROM w.customers", "2")
}

func TestLoadsWorkBehindAPoolerInTransactionMode(t *testing.T) {
	p := newPlace(t)
	pooled := testkit.PgBouncer(t, p.url, 2)
	const settings = `SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE source <> 'client'
		AND name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')`
	behind := &place{t: t, url: pooled}
	own := behind.text(settings)
	var all sync.WaitGroup
	for _, mode := range everyMode {
		server := open(t, pooled)
		all.Go(func() {
			for i, rows := range []string{"(1, 'a')", "(1, 'b'), (2, 'c')", "(3, 'd')"} {
				if mode == spec.Append {
					rows = []string{"(1, 'a')", "(2, 'c')", "(3, 'd')"}[i]
				}
				l := named(mode, "of_"+string(mode), "id", "SELECT id, ascii(v) AS v FROM (VALUES "+rows+") AS d (id, v)")
				if _, err := behind.syncOn(context.Background(), server, l); err != nil {
					t.Errorf("%s: %v", mode, err)
				}
			}
		})
	}
	all.Wait()
	for mode, want := range map[spec.Mode]string{spec.Append: "1 97\n2 99\n3 100", spec.Truncate: "3 100", spec.Merge: "1 98\n2 99\n3 100", spec.SCD2: "1 97\n1 98\n2 99\n3 100"} {
		p.wants(string(mode), "SELECT id, v FROM w.of_"+string(mode)+" ORDER BY id, v", want)
	}
	p.wants("two sessions of the pooler, one of the place", "SELECT count(*) <= 3 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()", "t")
	p.wants("locks left", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())", "0")
	p.wants("temporary tables left", "SELECT count(*) FROM pg_class WHERE relpersistence = 't'", "0")
	p.wants("open transactions", "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'", "0")
	for range 4 { // whichever of the two sessions answers
		if got := behind.text(settings); got != own {
			t.Errorf("settings of a session after the loads:\n%s\nbefore:\n%s", got, own)
		}
	}
	behind.server = open(t, pooled)
	if _, err := behind.sync(named(spec.Merge, "of_merge", "id", "SELECT 1 / 0 AS id, 1 AS v")); !fault.Is(err, fault.DataError) {
		t.Errorf("%v, want DataError", err)
	}
	p.wants("the failure is recorded", "SELECT count(*) FROM ematix_flow.run_history WHERE status = 'failed'", "1")
}
