package core

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// Every statement of every stored plan takes the locks that a preview says, and no others. Each runs in a transaction of its own, since a lock that is held already is
// not seen to be taken again.
func TestStatementsTakeTheLocksThatAPreviewShows(t *testing.T) {
	for _, folder := range caseFolders(t) {
		for _, path := range []string{spec.SameDB, spec.CrossDB} {
			t.Run(strings.TrimPrefix(folder, cases+"/")+"/"+path, func(t *testing.T) {
				load := readCase(t, folder)
				load.ForcePath = path
				p, err := plan.Make(load)
				if err != nil {
					t.Fatal(err)
				}
				w := &watched{Conn: testkit.Connect(t, testkit.Server(t)), t: t, plan: p}
				w.exec("SET application_name = 'ematix-flow'") // any statement: the session is there
				// What "by place" leaves in settings of the transaction, "plan freely" reads.
				w.exec("SET ematix_flow.enable_hashjoin = 'on'", "SET ematix_flow.enable_mergejoin = 'on'", "SET ematix_flow.jit = 'on'")
				for _, statement := range p.Preview().Statements {
					w.check(statement)
				}
			})
		}
	}
}

type watched struct {
	*pgx.Conn
	t    *testing.T
	plan *plan.Plan
}

func (w *watched) exec(statements ...string) {
	w.t.Helper()
	for _, sql := range statements {
		if _, err := w.Exec(context.Background(), sql); err != nil {
			w.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// check runs one statement and compares the locks that the session holds after it with those of the preview.
func (w *watched) check(s plan.Statement) {
	w.t.Helper()
	switch {
	case s.When == "only when the table is there": // it is made by a later one
		return
	case s.Name == "add mark": // the table was made with it
		w.exec("ALTER TABLE " + w.plan.Request.Target() + " DROP COLUMN " + w.plan.Load.MarksDeleted())
	case s.When == "when many rows are staged" && strings.HasPrefix(s.SQL, "CREATE TEMPORARY TABLE"): // by the form for few it is there
		w.exec("DROP TABLE IF EXISTS pg_temp._ematix_changes, pg_temp._ematix_events")
	}
	if s.Name == "stage" && s.Side == "target" && w.plan.Path == spec.CrossDB {
		w.stageHere()
	}
	w.exec("BEGIN")
	w.run(s)
	held := map[string]string{}
	for _, row := range testkit.RowsOf(w.t, w.Conn, `SELECT c.oid::regclass::text, l.mode FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_backend_pid() AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND c.relnamespace NOT IN ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)`) {
		mode := strategy.LockMode(strings.ReplaceAll(spaced(strings.TrimSuffix(row[1], "Lock")), "-", " "))
		if mode.Strength() > strategy.LockMode(held[row[0]]).Strength() {
			held[row[0]] = string(mode)
		}
	}
	w.exec("COMMIT")
	for _, lock := range s.Locks {
		if lock.Relation == strategy.OfTheQuery {
			continue
		}
		if held[lock.Relation] != string(lock.Mode) {
			w.t.Errorf("%q takes %q on %s, the preview says %q:\n%s", s.Name, held[lock.Relation], lock.Relation, lock.Mode, s.SQL)
		}
		delete(held, lock.Relation)
	}
	for relation, mode := range held {
		w.t.Errorf("%q takes %q on %s, which the preview does not say:\n%s", s.Name, mode, relation, s.SQL)
	}
}

// spaced turns ShareRowExclusive into SHARE ROW EXCLUSIVE.
func spaced(camel string) string {
	var words strings.Builder
	for i, r := range camel {
		if i > 0 && r < 'a' {
			words.WriteByte(' ')
		}
		words.WriteRune(r)
	}
	return strings.ToUpper(words.String())
}

// run runs it so that what it makes outlives its transaction. No bytes are sent to a COPY: it takes its lock all the same.
func (w *watched) run(s plan.Statement) {
	w.t.Helper()
	ctx, sql := context.Background(), strings.ReplaceAll(s.SQL, " ON COMMIT DROP", "")
	var err error
	switch {
	case strings.HasPrefix(sql, "COPY") && s.Side == "target":
		_, err = w.PgConn().CopyFrom(ctx, strings.NewReader("PGCOPY\n\xff\r\n\x00"+strings.Repeat("\x00", 8)+"\xff\xff"), sql)
	case strings.HasPrefix(sql, "COPY"):
		for _, name := range []string{":since", ":cap", ":load_time", ":run_id"} {
			sql = strings.ReplaceAll(sql, name, "NULL")
		}
		_, err = w.PgConn().CopyTo(ctx, new(strings.Builder), sql)
	default:
		args := make([]any, len(s.Parameters))
		for i, parameter := range s.Parameters {
			args[i] = map[strategy.Parameter]any{
				strategy.LoadTime: "2026-01-02T03:04:05Z", strategy.RunID: "00000000-0000-4000-8000-000000000000", plan.KeyOfTarget: int64(1), plan.KeyOfPipeline: int64(2),
			}[parameter]
		}
		_, err = w.Exec(ctx, sql, args...)
	}
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", s.Name, err, sql)
	}
}

// stageHere fills the staging table as a load within one database does.
func (w *watched) stageHere() {
	w.t.Helper()
	load := *w.plan.Load
	load.ForcePath = spec.SameDB
	here, err := plan.Make(&load)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, statement := range here.Preview().Statements {
		if statement.Name == "stage" {
			w.run(statement)
		}
	}
}
