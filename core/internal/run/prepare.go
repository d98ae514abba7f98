package run

import (
	"context"
	"strconv"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// sessionSQL tells the server how long to wait and how to notice that we are gone. Nothing of it changes what the user's query means.
const sessionSQL = `SELECT set_config('lock_timeout', $1, true), set_config('application_name', $2, true),
    set_config('idle_in_transaction_session_timeout', '600s', true),
    set_config('tcp_keepalives_idle', '60', true), set_config('tcp_keepalives_interval', '10', true), set_config('tcp_keepalives_count', '6', true),
    set_config('tcp_user_timeout', '120s', true)`

// goneSQL lets the server notice during a statement that the client is gone. Some platforms refuse it.
const goneSQL = "SET LOCAL client_connection_check_interval = '2s'"

// lockTimeoutSQL gives the load's lock_timeout back.
const lockTimeoutSQL = "SELECT pg_catalog.set_config('lock_timeout', $1, true)"

func (l *load) lockTimeout() string { return strconv.FormatInt(l.plan.Load.LockTimeoutMS, 10) + "ms" }

func (l *load) settings(ctx context.Context) error {
	if _, err := l.tx.Exec(ctx, sessionSQL, l.lockTimeout(), "ematix-flow "+l.run.ID); err != nil {
		return pg.Fault(err, "settings")
	}
	if l.plan.Load.DryRun {
		if err := meta.EnsureWithin(ctx, l.tx); err != nil {
			return err
		}
	}
	if l.plan.Load.Mode != spec.Append {
		// Rows are deleted, updated and inserted by statements of their own: what is right when all are done need not be right in between.
		if _, err := l.tx.Exec(ctx, "SET CONSTRAINTS ALL DEFERRED"); err != nil {
			return pg.Fault(err, "settings")
		}
	}
	nested, err := l.tx.Begin(ctx)
	if err != nil {
		return pg.Fault(err, "settings")
	}
	if _, err := nested.Exec(ctx, goneSQL); err != nil {
		err = nested.Rollback(ctx)
		return orNil(err, "settings")
	}
	return orNil(nested.Commit(ctx), "settings")
}

func orNil(err error, phase string) error {
	if err == nil {
		return nil
	}
	return pg.Fault(err, phase)
}

// lock keeps other runs off the target, and reports true when this run is to be skipped because there is one.
func (l *load) lock(ctx context.Context) (skip bool, err error) {
	l.progress("lock")
	// While this lock is held nobody takes the run for dead, also while it waits for its target.
	if err := pg.Lock(ctx, l.tx, l.run.LockKey()); err != nil {
		return false, err
	}
	key := pg.TargetLock(l.plan.Table.Schema, l.plan.Table.Name)
	if l.plan.Load.OnBusy != spec.BusyWait {
		taken, err := pg.TryLock(ctx, l.tx, key)
		if err != nil {
			return false, err
		}
		if !taken && l.plan.Load.OnBusy == spec.BusySkip {
			return true, l.skip(ctx)
		}
		if !taken {
			return false, l.busy(ctx, "")
		}
	} else if err := pg.Lock(ctx, l.tx, key); err != nil {
		if fault.Is(err, fault.LockTimeout) {
			return false, l.busy(ctx, " It did not end within "+strconv.FormatFloat(float64(l.plan.Load.LockTimeoutMS)/1000, 'g', -1, 64)+" seconds (lock_timeout).")
		}
		return false, err
	}
	return false, nil
}

// skip records in place of the load that there was none.
func (l *load) skip(ctx context.Context) error {
	if l.plan.Load.DryRun {
		return nil
	}
	if err := l.run.Skip(ctx, l.tx); err != nil {
		return pg.Fault(err, "history")
	}
	return orNil(l.tx.Commit(ctx), "commit")
}

func (l *load) busy(ctx context.Context, waited string) error {
	holder := "another run"
	l.rollback(ctx) // it can do nothing more, and its session can ask who it is
	if named := l.run.Holder(ctx, l.session); named != "" {
		holder = named
	}
	return fault.New(fault.TargetBusy, "%s is being loaded by %s.%s Nothing was written.", l.plan.Table, holder, waited).
		WithHint("Run again when it has ended, or give on_busy=\"wait\" and a longer lock_timeout.")
}
