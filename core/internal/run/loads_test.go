package run_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// role is a name for roles of this test: they belong to the whole cluster.
func (p *place) role() string { return p.text("SELECT current_database()") }

func (p *place) urlOf(user, password string) string {
	u, err := url.Parse(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func TestMergeWritesOnlyWhatDiffers(t *testing.T) {
	p := newPlace(t)
	first := p.must(load(spec.Merge, values("(1, 'a', 1)", "(2, 'b', NULL)", "(3, 'c', 3)")))
	second := p.must(load(spec.Merge, values("(1, 'a', 1.00)", "(2, 'b', 2)", "(3, 'x', NULL)", "(4, 'd', 4)")))
	if *second.RowsInserted != 1 || *second.RowsUpdated != 2 || *second.RowsUnchanged != 1 {
		t.Errorf("counts %d %d %d, want 1 2 1", *second.RowsInserted, *second.RowsUpdated, *second.RowsUnchanged)
	}
	by := "CASE _batch_id WHEN '" + first.RunID + "' THEN 'first' WHEN '" + second.RunID + "' THEN 'second' END"
	p.wants("rows", "SELECT id, name, balance, "+by+" FROM w.customers ORDER BY id", "1 a 1.00 first\n2 b 2.00 second\n3 x NULL second\n4 d 4.00 second")
	p.wants("history", "SELECT status, rows_inserted, rows_updated, rows_unchanged FROM ematix_flow.run_history ORDER BY started_at", "success 3 0 0\nsuccess 1 2 1")
}

func TestHistoryIsClosedAndOpenedAtOneTime(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.SCD2, values("(1, 'a', 1)", "(2, 'b', 2)", "(3, 'c', 3)")))
	l := load(spec.SCD2, values("(1, 'a', 1)", "(2, 'x', 2)", "(4, 'd', 4)"))
	l.HandleDeletes = spec.DeletesSoft
	r := p.must(l)
	if *r.RowsInserted != 2 || *r.RowsClosed != 2 {
		t.Errorf("inserted %d closed %d, want 2 and 2", *r.RowsInserted, *r.RowsClosed)
	}
	p.wants("versions", "SELECT id, name, is_current, valid_to IS NULL FROM w.customers ORDER BY id, valid_from", "1 a t t\n2 b f f\n2 x t t\n3 c f f\n4 d t t")
	p.wants("one time", `SELECT count(DISTINCT at) FROM (SELECT valid_to AS at FROM w.customers WHERE valid_to IS NOT NULL
		UNION ALL SELECT valid_from FROM w.customers WHERE name IN ('x', 'd') UNION ALL SELECT loaded_at FROM ematix_flow.run_history WHERE run_id = '`+r.RunID+`') AS d`, "1")
	p.wants("guards", "SELECT indexdef FROM pg_indexes WHERE tablename = 'customers' AND indexdef LIKE '%WHERE%'",
		"CREATE UNIQUE INDEX customers_id_idx ON w.customers USING btree (id) NULLS NOT DISTINCT WHERE is_current")
}

func TestAKeyThatComesBackStartsAfterItsLastEnd(t *testing.T) {
	p := newPlace(t)
	event := func(rows ...string) *spec.Load {
		l := load(spec.SCD2, "SELECT v.*, t::timestamptz AS at FROM (VALUES "+strings.Join(rows, ", ")+") AS v (id, name, balance, t)")
		l.EventTimestampColumn, l.HandleDeletes = "at", spec.DeletesSoft
		return l
	}
	p.must(event("(1, 'a', 1, '2020-01-01 00:00Z')", "(2, 'b', 1, '2020-01-01 00:00Z')"))
	p.must(event("(1, 'a', 1, '2020-01-01 00:00Z')"))
	r := p.must(event("(1, 'c', 1, '2021-01-01 00:00Z')", "(2, 'b', 1, '2020-01-01 00:00Z')"))
	p.wants("versions", `SELECT id, name, valid_from = '2020-01-01 00:00Z', valid_from = '2021-01-01 00:00Z', valid_from = (SELECT loaded_at FROM ematix_flow.run_history WHERE run_id = '`+r.RunID+`'),
		valid_to = '2021-01-01 00:00Z', is_current FROM w.customers ORDER BY id, valid_from`,
		"1 a t f f t f\n1 c f t f NULL t\n2 b t f f f f\n2 b f f t NULL t")
	if _, err := p.sync(event("(1, 'd', 1, '2021-01-01 00:00Z')", "(2, 'b', 1, '2020-01-01 00:00Z')")); !fault.Is(err, fault.OutOfOrder) ||
		!strings.Contains(err.Error(), "event_ts") || !strings.Contains(err.Error(), "out-of-order") {
		t.Errorf("an equal event time with other values: %v, want OutOfOrder", err)
	}
	if r := p.must(event("(1, 'c', 1, '2020-06-01 00:00Z')", "(2, 'b', 1, '2020-01-01 00:00Z')")); *r.RowsInserted+*r.RowsClosed != 0 {
		t.Error("an older event with unchanged values is no change")
	}
	_, err := p.sync(event("(1, 'c', 1, NULL)"))
	if !fault.Is(err, fault.DataError) || !strings.HasPrefix(err.Error(), `The source of w.customers has NULL in its event_timestamp_column "at". Nothing was written.`) {
		t.Errorf("NULL event time: %v", err)
	}
}

func TestTheLatestOfSeveralEventsCounts(t *testing.T) {
	p := newPlace(t)
	l := func(rows string) *spec.Load {
		l := load(spec.SCD2, "SELECT v.*, t::timestamptz AS at FROM (VALUES "+rows+") AS v (id, name, balance, t)")
		l.EventTimestampColumn = "at"
		return l
	}
	r := p.must(l("(1, 'a', 1, '2020-01-01'), (1, 'c', 1, '2022-01-01'), (1, 'b', 1, '2021-01-01'), (1, 'c', 1, '2022-01-01'), (2, 'x', NULL, '2020-01-01')"))
	if *r.RowsInserted != 2 {
		t.Errorf("inserted %d, want 2", *r.RowsInserted)
	}
	p.wants("versions", "SELECT id, name FROM w.customers ORDER BY id", "1 c\n2 x")
	if _, err := p.sync(l("(1, 'a', 1, '2023-01-01'), (1, 'b', 1, '2023-01-01')")); !fault.Is(err, fault.DuplicateKeys) {
		t.Errorf("two values at one time: %v, want DuplicateKeys", err)
	}
}

func TestAFutureStartIsClosedAfterIt(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.SCD2, values("(1, 'a', 1)")))
	p.exec("UPDATE w.customers SET valid_from = '2999-01-01 00:00Z'")
	p.must(load(spec.SCD2, values("(1, 'b', 1)")))
	p.wants("versions", "SELECT name, valid_from AT TIME ZONE 'UTC', valid_to AT TIME ZONE 'UTC' FROM w.customers ORDER BY valid_from",
		"a 2999-01-01 00:00:00 2999-01-01 00:00:00.000001\nb 2999-01-01 00:00:00.000001 NULL")
}

// The hash is documented, and other tools compute it: SHA-256 over the values as text.
func TestRowHashIsTheDocumentedOneUnderAnySettings(t *testing.T) {
	p := newPlace(t)
	p.exec("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET DateStyle = ''German, DMY''', current_database()); EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Kolkata''', current_database());" +
		"EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -5', current_database()); EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', current_database()); END $$")
	table := &spec.Table{Schema: "w", Name: "customers", UniqueConstraints: [][]string{}, Columns: []spec.Column{
		column("id", "integer", false, true), column("a", "text", true, false), column("b", "timestamp_tz", true, false),
		column("c", "double", true, false), column("d", "bytes", true, false), column("e", "date", true, false),
	}}
	query := `SELECT * FROM (VALUES (1, 'a\b', timestamptz '2024-05-06 07:08:09.5Z', 0.1::float8 + 0.2::float8, '\x00ff'::bytea, date '2024-05-06'), (2, NULL, NULL, NULL, NULL, NULL), (3, '\x00NULL\x00', NULL, NULL, NULL, NULL)) AS v (id, a, b, c, d, e)`
	fresh := open(t, p.url)
	mk := func() *spec.Load {
		l := load(spec.SCD2, query)
		l.Target = table
		return l
	}
	if _, err := p.syncOn(t.Context(), fresh, mk()); err != nil {
		t.Fatal(err)
	}
	null := `\x00NULL\x00`
	for id, text := range map[string]string{
		"1": `a\\b\x012024-05-06 07:08:09.5+00\x010.30000000000000004\x01\\x00ff\x012024-05-06`,
		"2": strings.Join([]string{null, null, null, null, null}, `\x01`),
		"3": strings.Join([]string{`\\x00NULL\\x00`, null, null, null, null}, `\x01`),
	} {
		sum := sha256.Sum256([]byte(text))
		p.wants("hash of "+id, "SELECT encode(row_hash, 'hex') FROM w.customers WHERE id = "+id, hex.EncodeToString(sum[:]))
	}
	r, err := p.syncOn(t.Context(), p.server, mk()) // a session from before the settings
	if err != nil || *r.RowsInserted+*r.RowsClosed != 0 {
		t.Errorf("under other settings: %+v %v, want no change", r, err)
	}
}

func TestNullKeysMatchThemselves(t *testing.T) {
	for _, mode := range []spec.Mode{spec.Merge, spec.SCD2} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			mk := func(query string) *spec.Load {
				l := load(mode, query)
				l.Target = &spec.Table{Schema: "w", Name: "customers", UniqueConstraints: [][]string{{"a", "b"}}, Columns: []spec.Column{
					column("id", "integer", false, true), column("a", "text", true, false), column("b", "uuid", true, false), column("v", "integer", true, false),
				}}
				l.Keys = []string{"b", "a"}
				if mode == spec.Merge {
					l.UpdateColumns = []string{"v"}
				} else {
					l.CompareColumns = []string{"v"}
				}
				return l
			}
			const rows = "SELECT * FROM (VALUES (1, 'x', NULL::uuid, %), (2, NULL, NULL, 1), (3, NULL, '00000000-0000-0000-0000-000000000001', 1)) AS v (id, a, b, v)"
			p.must(mk(strings.Replace(rows, "%", "1", 1)))
			r := p.must(mk(strings.Replace(rows, "%", "2", 1)))
			if mode == spec.Merge && (*r.RowsInserted != 0 || *r.RowsUpdated != 1 || *r.RowsUnchanged != 2) {
				t.Errorf("%d %d %d, want 0 1 2", *r.RowsInserted, *r.RowsUpdated, *r.RowsUnchanged)
			}
			if mode == spec.SCD2 && (*r.RowsInserted != 1 || *r.RowsClosed != 1) {
				t.Errorf("%d %d, want 1 1", *r.RowsInserted, *r.RowsClosed)
			}
		})
	}
}

func TestRunsAtOnceEndAsIfOneCameAfterTheOther(t *testing.T) {
	for _, mode := range []spec.Mode{spec.Merge, spec.SCD2, spec.Truncate} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPlace(t)
			const runs = 6
			failures := make([]error, runs)
			var done sync.WaitGroup
			for i := range runs { // all of them first runs: schema, state tables and target at once
				server := open(t, p.url)
				done.Go(func() {
					_, failures[i] = p.syncOn(context.Background(), server, load(mode, "SELECT g AS id, 'n"+string(rune('a'+i))+"' AS name, 1 AS balance FROM generate_series(1, 500) AS g"))
				})
			}
			done.Wait()
			if err := errors.Join(failures...); err != nil {
				t.Fatal(err)
			}
			current := map[spec.Mode]string{spec.SCD2: " WHERE is_current"}[mode]
			p.wants("current rows", "SELECT count(*), count(DISTINCT id), count(DISTINCT name) FROM w.customers"+current, "500 500 1")
			if mode == spec.SCD2 {
				p.wants("versions", "SELECT count(*) FROM w.customers", "3000")
				p.wants("gaps and overlaps", "SELECT count(*) FROM (SELECT valid_to, lead(valid_from) OVER (PARTITION BY id ORDER BY valid_from) AS next FROM w.customers) AS d WHERE valid_to IS DISTINCT FROM next", "0")
			}
			p.wants("history", "SELECT status, count(*) FROM ematix_flow.run_history GROUP BY 1", "success 6")
		})
	}
}

func TestABusyTargetIsWaitedForSkippedOrRefused(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Append, values("(1, 'a', 1)")))
	p.exec("CREATE FUNCTION w.wait() RETURNS bigint LANGUAGE plpgsql AS $$BEGIN PERFORM pg_advisory_lock_shared(42); PERFORM pg_advisory_unlock_shared(42); RETURN 2; END$$; SELECT pg_advisory_lock(42)")
	done := make(chan error, 1)
	go func() {
		_, err := p.syncOn(context.Background(), p.server, load(spec.Append, "SELECT w.wait() AS id, 'b' AS name, 1 AS balance"))
		done <- err
	}()
	p.until("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
	try := func(busy string) (string, error) {
		l := load(spec.Append, values("(3, 'c', 1)"))
		l.OnBusy, l.LockTimeoutMS = busy, 50
		r, err := p.syncOn(context.Background(), open(t, p.url), l)
		if err != nil {
			return "", err
		}
		return r.Status, nil
	}
	if status, err := try(spec.BusySkip); status != "skipped" || err != nil {
		t.Errorf("skip: %q %v", status, err)
	}
	for _, busy := range []string{spec.BusyFail, spec.BusyWait} {
		_, err := try(busy)
		if !fault.Is(err, fault.TargetBusy) || !strings.HasPrefix(err.Error(), "w.customers is being loaded by run ") {
			t.Errorf("%s: %v, want TargetBusy that names the run", busy, err)
		}
	}
	p.exec("SELECT pg_advisory_unlock(42)")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	p.wants("history", "SELECT status, count(*) FROM ematix_flow.run_history GROUP BY 1 ORDER BY 1", "failed 2\nskipped 1\nsuccess 2")
	p.wants("rows", "SELECT id FROM w.customers ORDER BY id", "1\n2")
}

func TestACancelledRunLeavesNothingAndIsRecorded(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := p.syncOn(ctx, p.server, load(spec.Merge, "SELECT 2 AS id, pg_sleep(600)::text AS name, 1 AS balance"))
		done <- err
	}()
	const active = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'PgSleep' AND datname = current_database())"
	p.until(active)
	cancel()
	if err := <-done; err == nil {
		t.Fatal("the cancelled run succeeded")
	}
	p.wants("statements", active, "f")
	p.wants("history", "SELECT status FROM ematix_flow.run_history ORDER BY started_at", "success\nfailed")
	p.wants("rows", "SELECT id FROM w.customers", "1")
}

func TestALostSessionLeavesTheTableAndIsRecorded(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	_, err := p.sync(load(spec.Merge, "SELECT 2 AS id, 'x' AS name, pg_terminate_backend(pg_backend_pid())::int AS balance"))
	if !fault.Is(err, fault.ConnectionLost) {
		t.Errorf("%v, want ConnectionLost", err)
	}
	p.wants("history", "SELECT status FROM ematix_flow.run_history ORDER BY started_at", "success\nfailed")
	if r := p.must(load(spec.Merge, values("(2, 'b', 1)"))); *r.RowsInserted != 1 {
		t.Errorf("the next run inserted %d, want 1", *r.RowsInserted)
	}
}

func TestRunsOfDeadProcessesBecomeLost(t *testing.T) {
	p := newPlace(t)
	first := p.must(load(spec.Merge, values("(1, 'a', 1)")))
	p.exec(`INSERT INTO ematix_flow.run_history (run_id, pipeline_name, target_schema, target_table, mode, path, started_at, status)
		SELECT gen_random_uuid(), 'p', 'w', 'customers', 'merge', 'same_db', now() - d, 'running' FROM unnest(ARRAY[interval '2 hours', interval '1 second', interval '3 hours']) AS d`)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	p.wants("history", "SELECT status, count(*), count(finished_at) FROM ematix_flow.run_history WHERE run_id <> '"+first.RunID+"' GROUP BY 1 ORDER BY 1", "lost 2 2\nrunning 1 0\nsuccess 1 1")
}

func TestHistoryMadeByHandIsGuardedOrRefused(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.SCD2, values("(1, 'a', 1)")))
	p.exec("DROP INDEX w.customers_id_idx; ALTER TABLE w.customers DROP CONSTRAINT customers_check")
	p.must(load(spec.SCD2, values("(1, 'a', 1)")))
	p.wants("guards", "SELECT to_regclass('w.customers_id_idx') IS NOT NULL, (SELECT count(*) FROM pg_constraint WHERE conname = 'customers_check')", "t 1")
	p.exec("DROP INDEX w.customers_id_idx; INSERT INTO w.customers SELECT id, name, balance, valid_from - interval '1 day', NULL, true, row_hash, _loaded_at, _batch_id FROM w.customers")
	p.refused(load(spec.SCD2, values("(1, 'a', 1)")), fault.SchemaDrift, "The history in w.customers is damaged: a key has more than one current version. Nothing was changed.")
}
