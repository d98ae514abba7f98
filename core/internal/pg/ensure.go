package pg

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Declared is a table to make or to compare, with the statements that complete it when it is made.
type Declared struct {
	Table *spec.Table
	Extra []string
}

// EnsureTable makes the schema and the table when they are missing, inside the caller's transaction, and otherwise lists how the table
// differs from the declared one. found is nil for a table that was made.
func EnsureTable(ctx context.Context, tx pgx.Tx, declared *Declared) (found *ddl.Found, differences []string, err error) {
	found, err = Reflect(ctx, tx, declared.Table.Schema, declared.Table.Name)
	if err != nil {
		return nil, nil, err
	}
	if found == nil {
		// Two first runs at once: the later one waits here, and then sees the table of the earlier one.
		if err := Lock(ctx, tx, TargetLock(declared.Table.Schema, declared.Table.Name)); err != nil {
			return nil, nil, err
		}
		if found, err = Reflect(ctx, tx, declared.Table.Schema, declared.Table.Name); err != nil {
			return nil, nil, err
		}
	}
	if found != nil {
		if err := loadable(found, declared.Table); err != nil {
			return nil, nil, err
		}
		return found, ddl.Differences(declared.Table, found), nil
	}
	return nil, []string{}, create(ctx, tx, declared)
}

// loadable refuses relations in which a load would not do what it reports.
func loadable(found *ddl.Found, table *spec.Table) error {
	e := fault.New(fault.TargetNotLoadable, "%s cannot be loaded.", table)
	switch {
	case found.Kind != 'r' && found.Kind != 'p':
		return e.WithHint("It is not a table. Choose another name for the target: only tables are loaded.")
	case found.Children:
		return e.WithHint("Other tables inherit from it, and a load would change their rows too. Use partitions, or a table of its own.")
	case found.Rules:
		return e.WithHint("A rule rewrites what is written to it, so that nobody could say what was loaded. Use a trigger instead of the rule.")
	}
	return nil
}

func create(ctx context.Context, tx pgx.Tx, declared *Declared) error {
	if err := createSchema(ctx, tx, declared.Table.Schema); err != nil {
		return err
	}
	for _, sql := range append([]string{ddl.CreateTable(declared.Table)}, declared.Extra...) {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return createFault(err, declared.Table.Schema)
		}
	}
	return nil
}

// createSchema makes a schema that is missing. A role that may not create schemas can still run when it exists.
func createSchema(ctx context.Context, tx pgx.Tx, schema string) error {
	there, err := schemaExists(ctx, tx, schema)
	if err != nil || there {
		return err
	}
	if err := Lock(ctx, tx, LockOf("schema", schema)); err != nil {
		return err
	}
	if there, err = schemaExists(ctx, tx, schema); err != nil || there {
		return err
	}
	if _, err := tx.Exec(ctx, ddl.CreateSchema(schema)); err != nil {
		return createFault(err, schema)
	}
	return nil
}

func schemaExists(ctx context.Context, q Querier, schema string) (there bool, err error) {
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)", schema).Scan(&there); err != nil {
		return false, Fault(err, "reflect")
	}
	return there, nil
}

// EnsureSchema makes a schema that is missing, in a transaction of its own.
func EnsureSchema(ctx context.Context, session *Session, schema string) error {
	there, err := schemaExists(ctx, session, schema)
	if err != nil || there {
		return err
	}
	err = pgx.BeginTxFunc(ctx, session, ReadCommitted, func(tx pgx.Tx) error { return createSchema(ctx, tx, schema) })
	if err != nil {
		return Fault(err, "create schema")
	}
	return nil
}

// LockDefinition keeps the definition of a table, if it is there, from being changed until the end of the transaction.
func LockDefinition(ctx context.Context, tx pgx.Tx, table *spec.Table) error {
	_, found, err := relation(ctx, tx, table.Schema, table.Name)
	if err != nil || found == nil || (found.Kind != 'r' && found.Kind != 'p') {
		return err
	}
	if _, err := tx.Exec(ctx, "LOCK TABLE "+ident.Qualified(table.Schema, table.Name)+" IN ACCESS SHARE MODE"); err != nil {
		return Fault(err, "lock table")
	}
	return nil
}

func createFault(err error, schema string) error {
	e := Fault(err, "create table")
	if e.Kind == fault.PermissionDenied {
		_ = e.WithHint("Where the schema is there, its owner runs: GRANT USAGE, CREATE ON SCHEMA %s TO the user of this connection. Where it is missing, the database's owner "+
			"creates it, or runs: GRANT CREATE ON DATABASE.", ident.Quote(schema))
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
	err = pgx.BeginTxFunc(ctx, session, ReadCommitted, func(tx pgx.Tx) error {
		found, listed, err := EnsureTable(ctx, tx, declared)
		created, differences = found == nil, listed
		return err
	})
	if err != nil {
		return false, nil, Fault(err, "ensure table")
	}
	return created, differences, nil
}
