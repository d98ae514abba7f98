// Package run executes plans: sessions, transactions, history, and what is said when something fails.
package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// Result is what a run did, as Python gets it. Counts that a mode does not have are absent.
type Result struct {
	RunID           string  `json:"run_id"`
	Status          string  `json:"status"`
	Path            string  `json:"path"`
	RowsInserted    *int64  `json:"rows_inserted,omitempty"`
	RowsUpdated     *int64  `json:"rows_updated,omitempty"`
	RowsUnchanged   *int64  `json:"rows_unchanged,omitempty"`
	RowsClosed      *int64  `json:"rows_closed,omitempty"`
	RowsDeleted     *int64  `json:"rows_deleted,omitempty"`
	Retries         int     `json:"retries,omitempty"`
	DurationSeconds float64 `json:"duration_seconds"`
	Pipeline        string  `json:"pipeline"`

	// Changes says of a dry run whether a run would change anything: rows, or the table itself.
	Changes *bool `json:"changes,omitempty"`

	Watermark *Watermark `json:"watermark,omitempty"`

	Differences []string `json:"differences,omitempty"` // of the table from its declaration, under on_drift="warn"; Python warns of them
	Warnings    []string `json:"warnings,omitempty"`
}

// load is one run under way.
type load struct {
	plan    *plan.Plan
	server  *pg.Server
	source  *pg.Server // of the query, on the path cross_db
	session *pg.Session
	tx      pgx.Tx
	reads   *reading
	run     meta.Run
	watch   *watch

	findings
	retries retries
}

// Sync does a planned load in one transaction on the target. Its outcome is in the run history, whatever happens. source is where the query runs on the path cross_db.
func Sync(ctx context.Context, server, source *pg.Server, p *plan.Plan, version string, progress func(Progress)) (*Result, error) {
	began := time.Now()
	host, _ := os.Hostname() // a machine without a name has an empty one in the history
	l := &load{plan: p, server: server, source: source, findings: noFindings(), run: meta.Run{
		ID: NewUUID(), Pipeline: p.Load.PipelineName, Schema: p.Table.Schema, Table: p.Table.Name, Mode: string(p.Load.Mode), Path: p.Path,
		EngineVersion: version, Host: host, PID: os.Getpid(),
	}}
	l.watch = &watch{tell: progress, now: Progress{RunID: l.run.ID, Target: l.run.Schema + "." + l.run.Table, Pipeline: l.run.Pipeline}}
	l.progress("begin")
	defer l.progress("") // also of a run that fails
	var err error
	if l.session, err = server.Acquire(ctx); err != nil {
		return nil, err
	}
	defer func() { l.session.Release() }() // whichever session it is by then
	if there, err := meta.Installed(ctx, l.session); err != nil {
		return nil, err
	} else if there || !p.Load.DryRun { // else the transaction makes them, and takes them along
		if err := meta.Ensure(ctx, l.session); err != nil {
			return nil, err
		}
	}
	if !p.Load.DryRun {
		// By itself, not in the load: first loads of other tables of the schema would wait for this one.
		if err := pg.EnsureSchema(ctx, l.session, p.Table.Schema); err != nil {
			return nil, err
		}
		if err := l.begin(ctx); err != nil {
			return nil, err
		}
	}
	result, err := l.persist(ctx)
	if err != nil {
		return nil, l.failed(ctx, err)
	}
	result.DurationSeconds = time.Since(began).Round(time.Microsecond).Seconds()
	return result, nil
}

// begin records the run, by a transaction of its own. Somebody may hold a lock on the history.
func (l *load) begin(ctx context.Context) error {
	return orNil(pgx.BeginTxFunc(ctx, l.session, pg.ReadCommitted, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockTimeoutSQL, l.lockTimeout()); err != nil {
			return err
		}
		return l.run.Begin(ctx, tx)
	}), "history")
}

// transaction is the whole load, all or nothing.
func (l *load) transaction(ctx context.Context) (*Result, error) {
	var err error
	// READ COMMITTED whatever the default: under REPEATABLE READ the lock itself would take the snapshot, and the run would work on old data.
	if l.tx, err = l.session.BeginTx(ctx, pg.ReadCommitted); err != nil {
		return nil, pg.Fault(err, "begin")
	}
	l.watch.transaction, l.watch.now.Bytes = time.Now(), 0
	defer func() { l.watch.transaction = time.Time{} }()
	defer l.rollback(ctx)
	defer l.closeSource(ctx)
	skipped := false
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"begin", l.settings},
		{"lock", func(ctx context.Context) (err error) { skipped, err = l.lock(ctx); return err }},
		{"table check", l.checkTable}, {"source", l.openSource}, {"query check", l.checkQuery}, {"watermark", l.readWatermark}, {"steps", l.steps},
		{"constraints", l.checkConstraints},
	} {
		if err := part.do(ctx); err != nil {
			return nil, err
		}
		if skipped {
			return l.result("skipped"), nil
		}
		if err := l.at(ctx, part.name); err != nil {
			return nil, pg.Fault(err, part.name)
		}
	}
	result := l.result("success")
	if err := ctx.Err(); err != nil { // after this point a cancellation comes too late
		return nil, pg.Fault(err, "commit")
	}
	if l.plan.Load.DryRun {
		result.Status = "dry_run"
		changes, err := l.changes(ctx)
		result.Changes = &changes
		return result, err
	}
	at, err := l.time(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.keepWatermark(ctx); err != nil {
		return nil, err
	}
	// As late as possible: a run that has just failed records that itself, and must not wait for this transaction.
	if err := l.run.MarkLost(ctx, l.tx); err != nil {
		return nil, err
	}
	if err := l.run.Succeed(ctx, l.tx, at, l.history()); err != nil {
		return nil, err
	}
	l.progress("commit")
	if err := l.at(ctx, "before commit"); err != nil {
		return nil, pg.Fault(err, "commit")
	}
	return result, l.commit(ctx)
}

// changes reports whether the transaction changes what others will see: rows, or the definition of a table, of which a record was made.
func (l *load) changes(ctx context.Context) (bool, error) {
	for _, count := range []strategy.Count{strategy.Inserted, strategy.Updated, strategy.Closed, strategy.Deleted} {
		if l.counts[count] > 0 {
			return true, nil
		}
	}
	if l.emptied {
		return true, nil
	}
	return l.run.Defines(ctx, l.tx)
}

// rollbackWait is how long a server may take to answer when we give a transaction up.
const rollbackWait = 10 * time.Second

func (l *load) rollback(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWait)
	defer cancel()
	_ = l.tx.Rollback(ctx) // after Commit it does nothing; a lost session is rolled back by the server
}

// commit ends the transaction. Where the answer is lost the run's own history row tells what became of it.
func (l *load) commit(ctx context.Context) error {
	err := l.tx.Commit(ctx)
	if err == nil {
		err = l.at(ctx, "after commit") // what goes wrong here has the answer lost
	}
	if err == nil {
		return nil
	}
	if rolledBack(err) {
		return pg.Fault(err, "commit")
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWait)
	defer cancel()
	if l.freshSession(ctx) == nil {
		switch status, askErr := l.run.Outcome(ctx, l.session); {
		case askErr == nil && status == meta.Committed:
			return nil
		case askErr == nil && status == meta.Aborted:
			return pg.Fault(err, "commit")
		}
	}
	e := fault.New(fault.CommitUnknown, "The connection was lost while the run was being committed: whether it was is not known.").
		WithHint("Look at the status of run %s in ematix_flow.run_history: success means that the rows are in the table.", l.run.ID).Because(err)
	e.Phase = "commit"
	return e
}

// rolledBack reports whether the answer to COMMIT says for certain that nothing was committed. An error that ends the session says nothing: it
// may come, from the server or from a pooler, after the commit record was written.
func rolledBack(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		class := server.Code[:min(2, len(server.Code))]
		return server.SeverityUnlocalized == "ERROR" && class != "08" && class != "57" && class != "58"
	}
	return errors.Is(err, pgx.ErrTxCommitRollback)
}

// failed records the failure by a session of its own and gives the error the run's id.
func (l *load) failed(ctx context.Context, err error) error {
	e := pg.Fault(err, "load")
	e.RunID = l.run.ID
	if len(l.differences) > 0 { // on_drift="warn": what is different may be why
		e.Hint = strings.TrimSpace(e.Hint + "\nThe table is not as declared: " + strings.Join(l.differences, "; ") + ".")
	}
	if e.Kind == fault.CommitUnknown {
		return e
	}
	if e.Kind == fault.ConnectionLost { // before COMMIT, or it is known that there was none
		lost := l.server.DSN
		if e.Phase == pg.ReadSource && l.plan.Path == spec.CrossDB {
			lost = l.source.DSN
		}
		e.Message += fmt.Sprintf(" It was the one to database %s on %s. Nothing was written.", lost.Database, lost.Host)
	}
	cancelled := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWait)
	defer cancel()
	// If this fails too the row stays "running", and the next run on the target calls it lost.
	if l.freshSession(ctx) == nil {
		if !cancelled {
			l.diagnose(ctx, e)
		}
		if !l.plan.Load.DryRun {
			_ = l.run.Fail(ctx, l.session, e.Error())
		}
	}
	return e
}

// freshSession makes the load's session one that works: a broken one is exchanged. Taking a second one beside it could wait for ever, when as many loads
// fail at once as the pool has sessions.
func (l *load) freshSession(ctx context.Context) error {
	if raw := l.session.Conn().PgConn(); !raw.IsClosed() && raw.TxStatus() == 'I' {
		return nil
	}
	l.session.Release()
	session, err := l.server.Acquire(ctx)
	if err != nil {
		return err // Release may be called again on the old one: it does nothing then
	}
	l.session = session
	return nil
}

// time is the load time, read once the lock is held and the rows are staged.
func (l *load) time(ctx context.Context) (string, error) {
	if l.loadTime != "" {
		return l.loadTime, nil
	}
	var err error
	l.loadTime, err = l.run.LoadTime(ctx, l.tx)
	return l.loadTime, err
}

func (l *load) result(status string) *Result {
	r := &Result{RunID: l.run.ID, Status: status, Path: l.plan.Path, Pipeline: l.plan.Load.PipelineName, Differences: l.differences, Warnings: l.warnings, Watermark: l.watermark}
	if status == "skipped" {
		return r
	}
	c, load := l.history(), l.plan.Load
	r.RowsInserted, r.RowsDeleted = c.Inserted, c.Deleted
	switch {
	case load.Merges():
		r.RowsUpdated, r.RowsUnchanged = c.Updated, c.Unchanged
	case load.Mode == spec.SCD2:
		r.RowsClosed = c.Closed
	}
	return r
}

// history are the counts as the run history has them: for scd2 closed versions stand in rows_updated too.
func (l *load) history() meta.Counts {
	number := func(n int64) *int64 { return &n }
	c := meta.Counts{Inserted: number(l.counts[strategy.Inserted])}
	load := l.plan.Load
	switch {
	case load.Merges():
		c.Updated = number(l.counts[strategy.Updated])
		c.Unchanged = number(l.counts[strategy.Staged] - *c.Inserted - *c.Updated)
	case load.Mode == spec.SCD2:
		c.Closed = number(l.counts[strategy.Closed])
		c.Updated, c.Unchanged = c.Closed, number(0)
	}
	switch {
	case load.Deletes() == "":
	case load.Mode == spec.SCD2: // closed by the same statement as what changed: known as announced
		c.Deleted = number(l.expected[strategy.Deleted])
	default:
		c.Deleted = number(l.counts[strategy.Deleted])
	}
	return c
}
