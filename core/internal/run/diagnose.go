package run

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// diagnose completes an error with what the server where it happened can tell after the rollback: who holds the lock, and who set the time limit.
func (l *load) diagnose(ctx context.Context, e *fault.Error) {
	session := l.session
	if e.SQLState != "" && e.Phase == pg.ReadSource && l.plan.Path == spec.CrossDB {
		var err error
		if session, err = l.source.Acquire(ctx); err != nil {
			return
		}
		defer session.Release()
	}
	switch e.SQLState {
	case "55P03":
		l.nameBlockers(ctx, session, e)
	case "57014":
		if !strings.Contains(e.Message, "user request") { // pg_cancel_backend has the same code
			nameLimit(ctx, session, e, "statement_timeout")
		}
	case "25P03":
		nameLimit(ctx, session, e, "idle_in_transaction_session_timeout")
	case "25P04":
		nameLimit(ctx, session, e, "transaction_timeout")
	}
}

// nameBlockers says whose lock it was. They are looked for by what the step needs, since a statement that has failed is not waiting any more.
func (l *load) nameBlockers(ctx context.Context, session *pg.Session, e *fault.Error) {
	object, quoted, mode, writes := l.waitedFor(e.Phase)
	limit := fmt.Sprintf("for longer than lock_timeout (%s)", time.Duration(l.plan.Load.LockTimeoutMS)*time.Millisecond)
	e.Kind, e.Detail = fault.LockTimeout, ""
	blockers, err := pg.Blockers(ctx, session, quoted, mode, writes)
	if err != nil || len(blockers) == 0 {
		e.Message = fmt.Sprintf("%s, or what belongs to it, was locked by another session %s, in the step %q. Nothing was written.", object, limit, e.Phase)
		_ = e.WithHint("Nobody holds a lock on it any more: run again, or give a longer lock_timeout.")
		if err != nil {
			_ = e.WithHint("pg_stat_activity and pg_locks show who it is. Run again, or give a longer lock_timeout.")
		}
		return
	}
	names, ends := make([]string, len(blockers)), make([]string, len(blockers))
	for i, b := range blockers {
		names[i], ends[i] = b.String(), b.Ended()
	}
	e.Message = fmt.Sprintf("%s is locked by %s %s. Nothing was written.", blockers[0].Object, strings.Join(names, ", "), limit)
	_ = e.WithHint("Run again when that has ended, or give a longer lock_timeout. Who may, ends it with: %s.", strings.Join(ends, "; "))
}

// waitedFor is what a step asks a lock for: the object as users and as the server read it, the mode, and whether it may have waited for rows.
func (l *load) waitedFor(phase string) (object, quoted string, mode pg.LockMode, writes bool) {
	object, quoted = l.plan.Table.String(), ident.Qualified(l.plan.Table.Schema, l.plan.Table.Name)
	switch phase {
	case pg.ReadSource:
		return "A table of the source query", "", pg.AccessShare, false
	case "state tables", "history":
		return "ematix_flow.run_history", "ematix_flow.run_history", pg.RowExclusive, true
	case truncateStep, "guards", "alter table":
		return object, quoted, pg.AccessExclusive, false
	case "lock target":
		return object, quoted, pg.ShareRowExclusive, false
	case "commit": // deferred foreign keys
		return object, quoted, pg.RowExclusive, true
	}
	i := slices.IndexFunc(l.plan.Steps, func(s strategy.Step) bool { return s.Name == phase })
	if i >= 0 && l.plan.Steps[i].Counts != "" && l.plan.Steps[i].Counts != strategy.Staged {
		return object, quoted, pg.RowExclusive, true
	}
	return object, quoted, pg.AccessShare, false
}

// origins are the sources of a setting, as a user knows them.
var origins = map[string]string{
	"database": "set for the database (ALTER DATABASE ... SET)", "user": "set for the user (ALTER ROLE ... SET)",
	"database user": "set for the user in this database (ALTER ROLE ... IN DATABASE ... SET)", "client": "set by the connection (options in its URL, or PGOPTIONS)",
	"configuration file": "set in the server's configuration", "command line": "set in the server's configuration", "session": "set by this load",
}

// nameLimit says which time limit ended the statement, and who set it.
func nameLimit(ctx context.Context, session *pg.Session, e *fault.Error, setting string) {
	var value, source string
	err := session.QueryRow(ctx, "SELECT pg_catalog.current_setting(name), source FROM pg_catalog.pg_settings WHERE name = $1", setting).Scan(&value, &source)
	if err != nil || value == "0" {
		return
	}
	e.Kind = fault.Timeout
	e.Message = fmt.Sprintf("The step %q was ended by the %s of %s. Nothing was written.", e.Phase, setting, value)
	if origin := origins[source]; origin != "" {
		e.Message = strings.Replace(e.Message, " of "+value, " of "+value+", which is "+origin, 1)
	}
	_ = e.WithHint("Raise it where it is set, or for this connection alone: ?options=-c%%20%s%%3D0 at the end of its URL.", setting)
}
