package pg

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// CreateSchema makes a schema that is missing. A role that may not create schemas can still run when it exists.
func CreateSchema(ctx context.Context, tx pgx.Tx, schema string) error {
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
		return CreateFault(err, schema)
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
	err = pgx.BeginTxFunc(ctx, session, ReadCommitted, func(tx pgx.Tx) error { return CreateSchema(ctx, tx, schema) })
	if err != nil {
		return Fault(err, "create schema")
	}
	return nil
}

// CreateFault completes an error of making something in a schema with the rights that it needs.
func CreateFault(err error, schema string) error {
	e := Fault(err, "create table")
	if e.Kind == fault.PermissionDenied {
		_ = e.WithHint("Where the schema is there, its owner runs: GRANT USAGE, CREATE ON SCHEMA %s TO the user of this connection. Where it is missing, the database's owner "+
			"creates it, or runs: GRANT CREATE ON DATABASE.", ident.Quote(schema))
	}
	return e
}

// LockDefinition keeps the definition of a table, if it is there, from being changed until the end of the transaction.
func LockDefinition(ctx context.Context, tx pgx.Tx, table *spec.Table) error {
	_, found, err := relation(ctx, tx, table.Schema, table.Name)
	if err != nil || found == nil || (found.Kind != 'r' && found.Kind != 'p') {
		return err
	}
	return lockTable(ctx, tx, table, "ACCESS SHARE", "lock table")
}

// LockForChange keeps everybody else off a table, whose definition is about to be changed.
func LockForChange(ctx context.Context, tx pgx.Tx, table *spec.Table) error {
	return lockTable(ctx, tx, table, "ACCESS EXCLUSIVE", "alter table")
}

func lockTable(ctx context.Context, tx pgx.Tx, table *spec.Table, mode, phase string) error {
	if _, err := tx.Exec(ctx, "LOCK TABLE "+ident.Qualified(table.Schema, table.Name)+" IN "+mode+" MODE"); err != nil {
		if e := Fault(err, phase); e.Kind == fault.PermissionDenied {
			return e.WithHint("Let the owner run: GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %s TO the user of this connection.", table)
		}
		return Fault(err, phase)
	}
	return nil
}

// Loadable refuses relations in which a load would not do what it reports.
func Loadable(found *ddl.Found, table *spec.Table) error {
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
