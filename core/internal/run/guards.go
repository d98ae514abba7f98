package run

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// checkTable makes the target with what belongs to it, or compares it.
func (l *load) checkTable(ctx context.Context) error {
	l.progress("table check")
	p := l.plan
	if p.Load.Compares() {
		// From here on nobody changes the table's definition: what is checked is what is loaded. Readers of a table hold the same lock.
		if err := pg.LockDefinition(ctx, l.tx, p.Table); err != nil {
			return err
		}
	}
	if err := l.checkExtension(ctx); err != nil {
		return err
	}
	t := &target{table: p.Table, extra: p.Guards, onDrift: p.Load.OnDrift, runID: l.run.ID}
	s, err := t.ensure(ctx, l.tx)
	if err != nil {
		return err
	}
	l.created = s.found == nil
	if s.action == drifted {
		// on_drift="warn" goes on with a table that is different, not with one that lacks what is to be written.
		if ddl.Lacks(p.Table, s.found) || l.marksOtherwise(s.found) {
			return Drift(p.Table, s.differences)
		}
		l.differences = s.differences
	}
	if s.found != nil {
		for _, check := range []func(context.Context, *target) error{l.ensureGuards, l.checkCascade} {
			if err := check(ctx, t); err != nil {
				return err
			}
		}
	}
	return l.ensureClosures(ctx)
}

// marksOtherwise reports whether the column of soft deletes is of a type that no mark can be written to.
func (l *load) marksOtherwise(found *ddl.Found) bool {
	mark := found.Column(l.plan.Load.MarksDeleted())
	return mark != nil && mark.Formatted != "boolean"
}

// ensureClosures makes the table of closures, or compares it. Whoever has one of that name for something else is told, whatever on_drift says.
func (l *load) ensureClosures(ctx context.Context) error {
	load := l.plan.Load
	if !load.Closures {
		return nil
	}
	t := &target{table: load.ClosuresOf(l.plan.Table), onDrift: spec.DriftError, runID: l.run.ID}
	if load.OnDrift == spec.DriftEvolve { // its keys are those of the target, which may just have been widened
		t.onDrift = spec.DriftEvolve
	}
	t.extra = []string{ddl.ClosuresIndex(t.table, load)}
	_, err := t.ensure(ctx, l.tx)
	return err
}

// checkExtension refuses guards against overlaps where PostgreSQL cannot make them.
func (l *load) checkExtension(ctx context.Context) error {
	if l.plan.Load.Guards != spec.GuardsFull {
		return nil
	}
	there, err := pg.HasExtension(ctx, l.tx, "btree_gist")
	if err != nil {
		return err
	}
	if !there {
		return fault.New(fault.ConfigError, "guards=\"full\" of %s needs the extension btree_gist, which the database lacks. Nothing was written.", l.plan.Table).
			WithHint("Let the database's owner run once: CREATE EXTENSION btree_gist")
	}
	return nil
}

// ensureGuards adds the guards of a history table that was made without them, by hand or by ManagedTable.ensure.
func (l *load) ensureGuards(ctx context.Context, t *target) error {
	for _, guard := range ddl.Guards(t.table, l.plan.Load) {
		there, err := pg.HasGuard(ctx, l.tx, t.table, l.plan.Load.Keys, guard)
		if err != nil {
			return err
		}
		if there {
			continue
		}
		if err := t.define(ctx, l.tx, guard.SQL, func(err error) error { return guardFault(err, t.table, guard) }); err != nil {
			return err
		}
	}
	return nil
}

func guardFault(err error, table *spec.Table, guard ddl.Guard) error {
	e := pg.Fault(err, "guards")
	switch {
	case e.Kind == fault.DataError && guard.Broken != "":
		return fault.New(fault.SchemaDrift, "The history in %s is damaged: %s. Nothing was changed.", table, guard.Broken).
			WithHint("Mend these rows; the load guards them with: %s", guard.SQL).Because(err)
	case e.Kind == fault.PermissionDenied:
		_ = e.WithHint("The history lacks a guard, which only its owner can add. Let the owner run once: %s", guard.SQL)
	}
	return e
}

// checkCascade refuses deletes that change rows which the load does not mean: of the same table, which the source may still have, and of others, where every row is
// deleted and most come back.
func (l *load) checkCascade(ctx context.Context, t *target) error {
	load, of := l.plan.Load, ""
	switch {
	case load.Mode == spec.Truncate && load.Replace == spec.ReplaceDelete:
		of = "true"
	case load.Deletes() == spec.DeletesHard:
		of = "conrelid = confrelid"
	default:
		return nil
	}
	var name, table *string
	err := l.tx.QueryRow(ctx, "SELECT min(conname), min(conrelid::regclass::text) FROM pg_catalog.pg_constraint WHERE confrelid = $1::regclass AND "+of+" AND contype = 'f' AND confdeltype NOT IN ('a', 'r')",
		l.plan.Request.Target()).Scan(&name, &table)
	if err != nil || name == nil {
		return orNil(err, "reflect")
	}
	return fault.New(fault.TargetNotLoadable, "The foreign key %q of %s refers to %s and changes or deletes its rows when one is deleted there, also those whose row the source has. Nothing was written.", *name, *table, t.table).
		WithHint("Make it ON DELETE NO ACTION DEFERRABLE, or load with TruncateReplace(replace=\"diff\") or handle_deletes=\"soft\".")
}
