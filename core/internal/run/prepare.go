package run

import (
	"context"
	"strconv"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
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

// checkTable makes the target with what belongs to it, or compares it.
func (l *load) checkTable(ctx context.Context) error {
	p := l.plan
	if p.Load.Compares() {
		// From here on nobody changes the table's definition: what is checked is what is loaded. Readers of a table hold the same lock.
		if err := pg.LockDefinition(ctx, l.tx, p.Table); err != nil {
			return err
		}
	}
	found, differences, err := pg.EnsureTable(ctx, l.tx, &pg.Declared{Table: p.Table, Extra: p.Guards})
	if err != nil || found == nil {
		return err
	}
	// on_drift="warn" goes on with a table that is different, not with one that lacks what is to be written.
	if len(differences) > 0 && (p.Load.OnDrift == spec.DriftError || ddl.Lacks(p.Table, found)) {
		return Drift(p.Table, differences)
	}
	l.differences = differences
	if p.Load.Mode == spec.SCD2 {
		return l.ensureGuards(ctx)
	}
	return nil
}

// Drift is the error for a table that is not as declared.
func Drift(table *spec.Table, differences []string) error {
	return fault.New(fault.SchemaDrift, "The table %s is not as declared:\n  - %s\nNothing was changed.", table, strings.Join(differences, "\n  - ")).
		WithHint("Change the declaration or the table so that they agree. A table made for another mode has other metadata columns: load it under another name.")
}

const currentIndexSQL = `SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index AS i
    WHERE i.indrelid = $1::regclass AND i.indisunique AND i.indisvalid AND i.indnullsnotdistinct
      AND pg_catalog.pg_get_expr(i.indpred, i.indrelid) = $2
      AND (SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE "C") FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
        = (SELECT array_agg(k ORDER BY k COLLATE "C") FROM unnest($3::text[]) AS k)
      AND i.indnatts = cardinality($3::text[]))`

const validityCheckSQL = `SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = $1::regclass AND contype = 'c' AND pg_catalog.pg_get_constraintdef(oid) = $2)`

// ensureGuards adds the guards of a history table that was made without them, by hand or by ManagedTable.ensure.
func (l *load) ensureGuards(ctx context.Context) error {
	t, keys := l.plan.Table, l.plan.Load.Keys
	name := quotedName(t)
	var index, check bool
	if err := l.tx.QueryRow(ctx, currentIndexSQL, name, ident.Quote(l.plan.Load.History.IsCurrent), keys).Scan(&index); err != nil {
		return pg.Fault(err, "guards")
	}
	if err := l.tx.QueryRow(ctx, validityCheckSQL, name, ddl.ValidityDefinition(l.plan.Load.History)).Scan(&check); err != nil {
		return pg.Fault(err, "guards")
	}
	for _, guard := range []struct {
		there bool
		sql   string
		means string
	}{
		{index, ddl.GuardCurrent(t, l.plan.Load), "a key has more than one current version"},
		{check, ddl.GuardValidity(t, l.plan.Load.History), "a version does not end after it starts"},
	} {
		if guard.there {
			continue
		}
		if _, err := l.tx.Exec(ctx, guard.sql); err != nil {
			e := pg.Fault(err, "guards")
			if e.Kind == fault.DataError {
				return fault.New(fault.SchemaDrift, "The history in %s is damaged: %s. Nothing was changed.", t, guard.means).
					WithHint("Mend these rows; the load guards them with: %s", guard.sql).Because(err)
			}
			if e.Kind == fault.PermissionDenied {
				_ = e.WithHint("The history lacks a guard, which only its owner can add. Let the owner run once: %s", guard.sql)
			}
			return e
		}
	}
	return nil
}
