package run

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// A nested loop over the staged rows and the target would take hours on the tables that people have. Keys that may be NULL are where it threatens.
func TestTheChangeSetIsNeverFoundByNestedLoops(t *testing.T) {
	table, err := spec.DecodeTable([]byte(`{"schema": "public", "name": "t", "columns": [
		{"name": "id", "type": {"kind": "integer"}, "nullable": false, "primary_key": true},
		{"name": "a", "type": {"kind": "text"}, "nullable": true, "primary_key": false}, {"name": "b", "type": {"kind": "integer"}, "nullable": false, "primary_key": false},
		{"name": "v", "type": {"kind": "integer"}, "nullable": true, "primary_key": false}], "unique_constraints": [["a", "b"]]}`))
	if err != nil {
		t.Fatal(err)
	}
	const query = "SELECT g AS id, nullif(g % 2000, 0)::text AS a, g / 2000 AS b, g AS v, now() - g % 3 * interval '1 day' AS at FROM generate_series(1, 20000) AS g"
	for name, change := range map[string]func(*spec.Load){
		"merge":        func(l *spec.Load) { l.Mode = spec.Merge },
		"scd2":         func(l *spec.Load) { l.Mode = spec.SCD2 },
		"soft deletes": func(l *spec.Load) { l.Mode, l.HandleDeletes = spec.SCD2, spec.DeletesSoft },
		"hard deletes": func(l *spec.Load) { l.Mode, l.HandleDeletes = spec.Merge, spec.DeletesHard },
		"late events": func(l *spec.Load) {
			l.Mode, l.EventTimestampColumn, l.Versions, l.Late, l.HandleDeletes = spec.SCD2, "at", spec.VersionsAll, spec.LateSplice, spec.DeletesSoft
			l.CompareColumns = []string{"v"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			load := &spec.Load{Target: table, Augment: true, Query: query, Keys: []string{"a", "b"}, OnDrift: spec.DriftError, OnBusy: spec.BusyWait, LockTimeoutMS: 1000}
			change(load)
			made, err := plan.Make(load)
			if err != nil {
				t.Fatal(err)
			}
			conn := testkit.Connect(t, testkit.Server(t))
			tx := begin(t, conn, append([]string{"CREATE SCHEMA IF NOT EXISTS public", ddl.CreateTable(made.Table)}, made.Guards...))
			metadata := map[spec.Mode]string{spec.Merge: "now(), gen_random_uuid()", spec.SCD2: "now() - interval '36 hours', NULL, true, '', now(), gen_random_uuid()"}[load.Mode]
			exec(t, tx, "INSERT INTO public.t SELECT id, a, b, v - id % 2, "+metadata+" FROM ("+query+") AS q") // never analyzed: as after a first load
			looked := 0
			for _, step := range made.Steps {
				if strings.HasPrefix(step.Name, "find ") || step.Name == "check keys" || step.Name == "judge events" {
					text := explain(t, tx, step)
					looked++
					if quadratic(text) {
						t.Errorf("%s:\n%s", step.Name, text)
					}
				}
				if step.Boundary == strategy.Ours {
					for _, p := range pins {
						exec(t, tx, "SELECT "+set(p.name, p.value))
					}
				}
				exec(t, tx, step.SQL, arguments(step)...)
			}
			if want := map[bool]int{true: 5, false: 2}[load.EventTimestampColumn != ""]; looked != want {
				t.Errorf("looked at %d plans, want %d", looked, want)
			}
		})
	}
}

// quadratic reports a nested loop whose inner side is not one look-up: by an index or a place.
func quadratic(plan string) bool {
	return strings.Contains(strings.ReplaceAll(plan, "Tid Scan", ""), "Nested Loop") && !strings.Contains(plan, "Tid Scan")
}

func begin(t *testing.T, conn *pgx.Conn, statements []string) pgx.Tx {
	t.Helper()
	tx, err := conn.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	for _, sql := range statements {
		exec(t, tx, sql)
	}
	return tx
}

func exec(t *testing.T, tx pgx.Tx, sql string, args ...any) {
	t.Helper()
	if _, err := tx.Exec(context.Background(), sql, append([]any{pgx.QueryExecModeExec}, args...)...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func arguments(step strategy.Step) (args []any) {
	for _, p := range step.Parameters {
		args = append(args, map[strategy.Parameter]any{strategy.LoadTime: "2024-01-01T00:00:00Z", strategy.RunID: "00000000-0000-0000-0000-000000000001"}[p])
	}
	return args
}

func explain(t *testing.T, tx pgx.Tx, step strategy.Step) string {
	t.Helper()
	rows, err := tx.Query(context.Background(), "EXPLAIN "+step.SQL, append([]any{pgx.QueryExecModeExec}, arguments(step)...)...)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
