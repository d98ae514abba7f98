package run

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// target is a table that is wanted as declared, by a load or by itself.
type target struct {
	table   *spec.Table
	extra   []string // statements that complete the table when it is made
	onDrift string
	runID   string // of the load; empty where there is none
}

// What was found, or done.
const (
	made    = "created"
	matched = "matched"
	evolved = "evolved"
	drifted = "drift"
)

// state is a table as it is found, and what is to be done about it.
type state struct {
	found       *ddl.Found // nil where there is no table of that name
	action      string
	differences []string
	alter       string // the statement that makes the table as declared, if one does and it is asked for
}

// look compares the table with its declaration, and decides. It changes nothing.
func (t *target) look(ctx context.Context, q pg.Querier) (*state, error) {
	found, err := pg.Reflect(ctx, q, t.table.Schema, t.table.Name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return &state{action: made, differences: []string{}}, nil
	}
	if err := pg.Loadable(found, t.table); err != nil {
		return nil, err
	}
	differences := ddl.Differences(t.table, found)
	s := &state{found: found, action: matched, differences: ddl.Texts(differences)}
	actions := ddl.Additions(t.table, found)
	if len(differences) > 0 {
		evolution, whole := ddl.Evolution(differences)
		switch {
		case t.onDrift == spec.DriftWarn:
			s.action = drifted
		case t.onDrift == spec.DriftEvolve && whole:
			s.action = evolved
			actions = append(actions, evolution...)
		case t.onDrift == spec.DriftEvolve:
			return nil, Drift(t.table, s.differences).WithHint("on_drift=\"evolve\" adds nullable columns and widens types, all or nothing. What keeps it from that: %s.",
				strings.Join(ddl.Obstacles(differences), "; "))
		default:
			return nil, Drift(t.table, s.differences)
		}
	}
	if len(actions) > 0 {
		s.alter = ddl.AlterTable(t.table, actions)
	}
	return s, nil
}

// ensure makes the table with its schema, or changes it as far as is asked for.
func (t *target) ensure(ctx context.Context, tx pgx.Tx) (*state, error) {
	s, err := t.look(ctx, tx)
	if err != nil || (s.found != nil && s.alter == "") {
		return s, err
	}
	// Two first runs at once: the later one waits here, and then sees what the earlier one did.
	if err := pg.Lock(ctx, tx, pg.TargetLock(t.table.Schema, t.table.Name)); err != nil {
		return nil, t.alterFault(err, s)
	}
	if s.found != nil {
		// Whoever is no run of ours may change the definition too: what is compared now stays so.
		if err := pg.LockForChange(ctx, tx, t.table); err != nil {
			return nil, t.alterFault(err, s)
		}
	}
	if s, err = t.look(ctx, tx); err != nil {
		return nil, err
	}
	switch {
	case s.found == nil:
		return s, t.create(ctx, tx)
	case s.alter != "":
		return s, t.define(ctx, tx, s.alter, func(err error) error { return t.alterFault(err, s) })
	}
	return s, nil
}

func (t *target) create(ctx context.Context, tx pgx.Tx) error {
	if err := pg.CreateSchema(ctx, tx, t.table.Schema); err != nil {
		return err
	}
	for _, sql := range append([]string{ddl.CreateTable(t.table)}, t.extra...) {
		if err := t.define(ctx, tx, sql, func(err error) error { return pg.CreateFault(err, t.table.Schema) }); err != nil {
			return err
		}
	}
	return nil
}

// define runs a statement that makes the table or changes its definition, and records it.
func (t *target) define(ctx context.Context, tx pgx.Tx, sql string, explain func(error) error) error {
	if _, err := tx.Exec(ctx, sql); err != nil {
		return explain(err)
	}
	return meta.Defined(ctx, tx, t.table, sql, t.runID)
}

// alterFault tells what keeps the table from being changed.
func (t *target) alterFault(err error, s *state) error {
	e := pg.Fault(err, "alter table")
	var server *pgconn.PgError
	switch {
	case e.Kind == fault.PermissionDenied:
		_ = e.WithHint("Only its owner changes a table. Let the owner run once: %s", s.alter)
	case e.Kind == fault.LockTimeout:
		e.Message = t.table.String() + " is in use by another session for longer than lock_timeout, and cannot be made or changed meanwhile. Nothing was changed."
		e.Hint = "pg_stat_activity and pg_locks show who it is. Try again when it has ended."
	case len(s.differences) > 0 && errors.As(err, &server) && (server.Code[:2] == "0A" || server.Code[:2] == "42"):
		// A view, a policy, a partition or the like stands on the column.
		return Drift(t.table, s.differences).WithHint("PostgreSQL refuses the change: %s. Let the table's owner make it: %s", server.Message, s.alter).Because(err)
	}
	return e
}

// Drift is the error for a table that is not as declared.
func Drift(table *spec.Table, differences []string) *fault.Error {
	return fault.New(fault.SchemaDrift, "The table %s is not as declared:\n  - %s\nNothing was changed.", table, strings.Join(differences, "\n  - ")).
		WithHint("Change the declaration or the table so that they agree; on_drift=\"evolve\" adds nullable columns and widens types, where that is all. " +
			"A table made for another mode has other metadata columns: load it under another name.")
}

// ensureTimeout is how long a table that is ensured by itself is waited for: who waits for it in turn is kept waiting as long.
const ensureTimeout = "30s"

// EnsureTable makes the declared table, or compares the one that is there and, if asked to, changes it. The answer is what was found or done, and the
// differences of before.
func EnsureTable(ctx context.Context, server *pg.Server, table *spec.Table, onDrift string) (action string, differences []string, err error) {
	session, err := server.Acquire(ctx)
	if err != nil {
		return "", nil, err
	}
	defer session.Release()
	t := &target{table: table, onDrift: onDrift}
	s, err := t.look(ctx, session)
	if err != nil {
		return "", nil, err
	}
	if s.found != nil && s.alter == "" { // nothing to write: the state tables may be missing
		return s.action, s.differences, nil
	}
	if err := meta.Ensure(ctx, session); err != nil {
		return "", nil, err
	}
	err = pgx.BeginTxFunc(ctx, session, pg.ReadCommitted, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, true)", ensureTimeout); err != nil {
			return err
		}
		s, err = t.ensure(ctx, tx)
		return err
	})
	if err != nil {
		return "", nil, pg.Fault(err, "ensure table")
	}
	return s.action, s.differences, nil
}
