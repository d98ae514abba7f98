//go:build faults

package run_test

import (
	"context"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// troubled are the loads that every fault is tried on. A new path or option gets an entry.
var troubled = []scenario{
	{name: "first load", load: func() *spec.Load { return load(spec.Merge, values("(1, 'a', 1)")) }, view: plainRows},
	{name: "append", first: appendFirst, load: func() *spec.Load { return load(spec.Append, values("(3, 'c', 3)", "(4, 'd', 4)")) }, view: plainRows},
	{name: "truncate", first: someFirst(spec.Truncate), load: someSecond(spec.Truncate), view: plainRows},
	{name: "merge from another server", first: someFirst(spec.Merge), load: elsewhere(someSecond(spec.Merge)), view: plainRows},
	{
		name: "append by watermark from another server", view: plainRows,
		first: byWatermark(appendFirst),
		load: elsewhere(byWatermark(func() *spec.Load {
			return load(spec.Append, values("(2, 'b', 2)", "(3, 'c', 3)", "(4, 'd', 4)"))
		})),
	},
	{name: "merge", first: someFirst(spec.Merge), load: someSecond(spec.Merge), view: plainRows},
	{
		name: "scd2", first: someFirst(spec.SCD2), view: versionRows,
		load: func() *spec.Load {
			l := load(spec.SCD2, values("(1, 'a', 1)", "(2, 'x', 2)", "(4, 'd', 4)"))
			l.HandleDeletes = spec.DeletesSoft
			return l
		},
	},
}

// scenario is a load on a target that is in a known state.
type scenario struct {
	name  string
	first func() *spec.Load // what made the target, nil when there is none
	load  func() *spec.Load
	view  string // the target without what differs from run to run
}

const (
	plainRows   = "SELECT id, name, balance FROM w.customers ORDER BY id"
	versionRows = "SELECT id, name, balance, is_current, valid_to IS NULL, row_hash FROM w.customers ORDER BY id, valid_from"
)

func appendFirst() *spec.Load { return load(spec.Append, values("(1, 'a', 1)", "(2, 'b', 2)")) }

func someFirst(mode spec.Mode) func() *spec.Load {
	return func() *spec.Load { return load(mode, values("(1, 'a', 1)", "(2, 'b', 2)", "(3, 'c', 3)")) }
}

func someSecond(mode spec.Mode) func() *spec.Load {
	return func() *spec.Load { return load(mode, values("(1, 'a', 1)", "(2, 'x', 2)", "(4, 'd', 4)")) }
}

// elsewhere has the query run over a connection of its own, as on another server.
func elsewhere(made func() *spec.Load) func() *spec.Load {
	return func() *spec.Load {
		l := made()
		l.CrossServer = true
		return l
	}
}

func byWatermark(made func() *spec.Load) func() *spec.Load {
	return func() *spec.Load {
		l := made()
		l.IncrementalColumn = "id"
		return l
	}
}

// stage is a place with a scenario set up in it.
type stage struct {
	*place
	scenario
	before, after string
}

func (s scenario) set(t *testing.T, p *place) *stage {
	t.Helper()
	st := &stage{place: p, scenario: s}
	if s.first != nil {
		p.must(s.first())
		st.exec("CREATE SCHEMA keep; CREATE TABLE keep.customers AS SELECT * FROM w.customers; CREATE TABLE keep.watermarks AS SELECT * FROM ematix_flow.watermarks")
	}
	st.before = st.target()
	p.must(s.load())
	st.after = st.target()
	if st.before == st.after {
		t.Fatal("the load changes nothing")
	}
	st.reset()
	return st
}

// reset brings the target and the history back to what they were before the load.
func (st *stage) reset() {
	st.t.Helper()
	if st.first == nil {
		st.exec("DROP TABLE IF EXISTS w.customers")
	} else {
		st.exec("TRUNCATE w.customers; INSERT INTO w.customers SELECT * FROM keep.customers; DELETE FROM ematix_flow.watermarks; INSERT INTO ematix_flow.watermarks SELECT * FROM keep.watermarks")
	}
	st.exec("DELETE FROM ematix_flow.run_history")
}

// target is the content of the target, and of the watermark, which must go with it.
func (st *stage) target() string {
	st.t.Helper()
	if st.text("SELECT to_regclass('w.customers')") == "NULL" {
		return "no table"
	}
	return st.text(st.view) + "\n" + st.text("SELECT 'watermark', last_value FROM ematix_flow.watermarks")
}

// noTrace says that nothing of a run is left on the server: temporary tables, locks, transactions, sessions of a process that is gone.
const noTrace = `SELECT NOT EXISTS (SELECT FROM pg_class WHERE relpersistence = 't')
	AND NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
	AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND (state <> 'idle' OR application_name = 'child'))`

// survived checks what must hold after any fault: the target is as before or as after the load, the history agrees, nothing is left, and a plain run reaches the end.
func (st *stage) survived(committed bool, status string) {
	st.t.Helper()
	st.until(noTrace)
	want := st.before
	if committed {
		want = st.after
	}
	if got := st.target(); got != want {
		st.t.Errorf("the target:\n%s\nwant:\n%s", got, want)
	}
	st.wants("history", "SELECT status FROM ematix_flow.run_history", status)
	if committed {
		return
	}
	if status == "running" { // it is not taken for dead before a while has passed
		st.exec("UPDATE ematix_flow.run_history SET started_at = started_at - interval '1 hour'")
		status = "lost"
	}
	st.must(st.scenario.load())
	if got := st.target(); got != st.after {
		st.t.Errorf("the next run made:\n%s\nwant:\n%s", got, st.after)
	}
	if status != "" {
		status += "\n"
	}
	st.wants("history of both", "SELECT status FROM ematix_flow.run_history ORDER BY started_at", status+"success")
}

// meets runs the load with something that happens at its n-th point, and tells the name of that point: none when the load has fewer.
func (st *stage) meets(ctx context.Context, n int, fault func(context.Context, run.Point) error) (point string, result *run.Result, err error) {
	st.t.Helper()
	seen := 0
	ctx = run.WithHook(ctx, func(ctx context.Context, at run.Point) error {
		if seen++; seen != n {
			return nil
		}
		point = at.Name
		return fault(ctx, at)
	})
	result, err = st.syncOn(ctx, st.server, st.scenario.load())
	return point, result, err
}
