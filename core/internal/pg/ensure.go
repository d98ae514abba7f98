package pg

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Declared is a table to make or to compare, with the statements that complete it when it is made.
type Declared struct {
	Table *spec.Table
	Extra []string
}

// EnsureTable makes the schema and the table when they are missing, inside the caller's transaction, and otherwise lists how the table
// differs from the declared one.
func EnsureTable(ctx context.Context, tx pgx.Tx, declared *Declared) (created bool, differences []string, err error) {
	found, err := Reflect(ctx, tx, declared.Table.Schema, declared.Table.Name)
	if err != nil {
		return false, nil, err
	}
	if found == nil {
		// Two first runs at once: the later one waits here, and then sees the table of the earlier one.
		if err := Lock(ctx, tx, LockOf("schema", declared.Table.Schema)); err != nil {
			return false, nil, err
		}
		if found, err = Reflect(ctx, tx, declared.Table.Schema, declared.Table.Name); err != nil {
			return false, nil, err
		}
	}
	if found != nil {
		if found.Kind != 'r' && found.Kind != 'p' {
			return false, nil, fault.New(fault.TargetNotLoadable, "%s is not a table.", declared.Table).WithHint("Choose another name for the target: only tables are loaded.")
		}
		return false, ddl.Differences(declared.Table, found), nil
	}
	return true, []string{}, create(ctx, tx, declared)
}

func create(ctx context.Context, tx pgx.Tx, declared *Declared) error {
	var schemaThere bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)", declared.Table.Schema).Scan(&schemaThere); err != nil {
		return Fault(err, "reflect")
	}
	statements := append([]string{ddl.CreateTable(declared.Table)}, declared.Extra...)
	if !schemaThere { // a role that may not create schemas can still run when the schema exists
		statements = append([]string{ddl.CreateSchema(declared.Table.Schema)}, statements...)
	}
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return createFault(err, declared.Table.Schema)
		}
	}
	return nil
}

func createFault(err error, schema string) error {
	e := Fault(err, "create table")
	if e.Kind == fault.PermissionDenied {
		_ = e.WithHint("Let somebody who may do it run: GRANT CREATE ON SCHEMA %s TO the user of this connection (or GRANT CREATE ON DATABASE, where the schema is missing).", schema)
	}
	return e
}

// Ensure does so in a transaction of its own.
func (s *Server) Ensure(ctx context.Context, declared *Declared) (created bool, differences []string, err error) {
	session, err := s.Acquire(ctx)
	if err != nil {
		return false, nil, err
	}
	defer session.Release()
	err = pgx.BeginFunc(ctx, session, func(tx pgx.Tx) error {
		created, differences, err = EnsureTable(ctx, tx, declared)
		return err
	})
	if err != nil {
		return false, nil, Fault(err, "ensure table")
	}
	return created, differences, nil
}
