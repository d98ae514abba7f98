package run_test

import (
	"context"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// told is everything that a load says of itself.
func (p *place) told(l *spec.Load) ([]run.Progress, *run.Result, error) {
	p.t.Helper()
	made, err := plan.Make(l)
	if err != nil {
		p.t.Fatal(err)
	}
	var all []run.Progress
	result, err := run.Sync(context.Background(), p.server, p.server, made, "test", func(now run.Progress) { all = append(all, now) })
	return all, result, err
}

func names(phases []run.Phase) string {
	list := make([]string, len(phases))
	for i, phase := range phases {
		list[i] = phase.Phase
	}
	return strings.Join(list, ", ")
}

func TestTheLastProgressHasEveryPhase(t *testing.T) {
	const steps = "create staging, stage, analyze staging, check keys, lock target, find changes, analyze changes, count changes, " +
		"by place, update, plan freely, insert, check constraints, commit"
	for path, want := range map[string]string{
		spec.SameDB:  "begin, lock, table check, check query, " + steps,
		spec.CrossDB: "begin, lock, table check, connect source, check query, " + steps,
	} {
		t.Run(path, func(t *testing.T) {
			p := newPlace(t)
			l := load(spec.Merge, values("(1, 'a', 1)", "(2, 'b', 2)"))
			l.ForcePath = path
			all, result, err := p.told(l)
			if err != nil {
				t.Fatal(err)
			}
			last := all[len(all)-1]
			if last.Phase != "" || last.RunID != result.RunID || last.Target != "w.customers" || last.Pipeline != "p" || last.Rows != 2 || last.TransactionSeconds != 0 {
				t.Errorf("the last: %+v", last)
			}
			if got := names(last.Phases); got != want {
				t.Errorf("phases: %s", got)
			}
			begun := ""
			for _, now := range all {
				if now.Phase != "" && !strings.HasSuffix(begun, now.Phase) {
					begun = strings.TrimPrefix(begun+", "+now.Phase, ", ")
				}
				if now.RunID != result.RunID {
					t.Errorf("of another run: %+v", now)
				}
				if inside := now.Phase != "begin" && now.Phase != ""; inside != (now.TransactionSeconds > 0) {
					t.Errorf("the age of the transaction: %+v", now)
				}
			}
			if begun != want {
				t.Errorf("begun: %s", begun)
			}
			for _, phase := range last.Phases {
				if moved := phase.Rows > 0; moved != (path == spec.CrossDB && phase.Phase == "stage") || moved != (phase.Bytes > 0) {
					t.Errorf("moved: %+v", phase)
				}
			}
		})
	}
}

func TestProgressOfALoadThatFails(t *testing.T) {
	p := newPlace(t)
	all, _, err := p.told(load(spec.Merge, values("(1, 'a', 1)", "(1, 'b', 2)")))
	if err == nil {
		t.Fatal("it did not fail")
	}
	last := all[len(all)-1]
	if got := names(last.Phases); last.Phase != "" || got != "begin, lock, table check, check query, create staging, stage, analyze staging, check keys" {
		t.Errorf("phase %q after: %s", last.Phase, got)
	}
}

func TestProgressWhileRowsOfAnotherDatabaseCome(t *testing.T) {
	p := newPlace(t)
	l := load(spec.Append, "SELECT g AS id, 'a' AS name, 1 AS balance FROM generate_series(1, 100000) AS g")
	l.ForcePath = spec.CrossDB
	all, _, err := p.told(l)
	if err != nil {
		t.Fatal(err)
	}
	var rows, bytes []int64
	for _, now := range all {
		if now.Bytes > 0 && now.Phase != "" {
			rows, bytes = append(rows, now.Rows), append(bytes, now.Bytes)
		}
	}
	if len(rows) < 10 || rows[0] >= 100_000 || bytes[0] >= bytes[len(bytes)-1] {
		t.Errorf("rows %v, bytes %v", rows, bytes)
	}
}
