package run

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// truncateStep is the name of the step that needs a table for itself.
const truncateStep = "truncate"

func truncates(steps []strategy.Step) bool {
	return slices.ContainsFunc(steps, func(s strategy.Step) bool { return s.Name == truncateStep })
}

// shortTrySQL lets a statement wait for its lock for $1 milliseconds at most, and otherwise a little longer than the server takes to look for deadlocks: two loads that
// wait for each other in shorter turns would never be told.
const shortTrySQL = `SELECT pg_catalog.set_config('lock_timeout', least($1::bigint,
    greatest(1000, 500 + (1000 * extract(epoch FROM pg_catalog.current_setting('deadlock_timeout')::interval))::bigint))::text || 'ms', true)`

// Between two tries readers that queued up behind TRUNCATE get through; ever more of them, the longer it takes.
const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// truncate waits for its lock in short tries, as long as lock_timeout allows in all: who asks for a lock that nobody can share makes everybody queue up behind it.
func (l *load) truncate(ctx context.Context, step strategy.Step) error {
	if l.plan.Load.DryRun { // what TRUNCATE removes it does not count
		if err := l.tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+l.plan.Request.Target()+")").Scan(&l.emptied); err != nil {
			return l.explain(ctx, step, err)
		}
	}
	limit := time.Duration(l.plan.Load.LockTimeoutMS) * time.Millisecond
	deadline := time.Now().Add(limit)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := l.tryTruncate(ctx, step, max(time.Millisecond, time.Until(deadline)))
		if err == nil {
			return nil
		}
		var server *pgconn.PgError
		if !errors.As(err, &server) || server.Code != "55P03" || time.Until(deadline) <= pause {
			return l.explain(ctx, step, err)
		}
		if _, err := l.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT before_truncate"); err != nil {
			return pg.Fault(err, step.Name)
		}
		select {
		case <-ctx.Done():
			return pg.Fault(ctx.Err(), step.Name)
		case <-time.After(pause):
		}
	}
}

func (l *load) tryTruncate(ctx context.Context, step strategy.Step, left time.Duration) error {
	if _, err := l.tx.Exec(ctx, "SAVEPOINT before_truncate"); err != nil {
		return err
	}
	if _, err := l.tx.Exec(ctx, shortTrySQL, left.Milliseconds()); err != nil {
		return err
	}
	if _, err := l.tx.Exec(ctx, step.SQL); err != nil {
		return err
	}
	if _, err := l.tx.Exec(ctx, lockTimeoutSQL, l.lockTimeout()); err != nil {
		return err
	}
	_, err := l.tx.Exec(ctx, "RELEASE SAVEPOINT before_truncate")
	return err
}
