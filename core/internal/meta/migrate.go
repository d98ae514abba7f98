// Package meta keeps what ematix-flow remembers in the target database, in the schema ematix_flow: runs and watermarks.
package meta

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

//go:embed sql/*.sql
var migrations embed.FS

// Latest is the version of the state tables that this engine writes: the number of the last file in sql/.
var Latest = latest()

func latest() int {
	files, err := fs.Glob(migrations, "sql/*.sql")
	if err != nil || len(files) == 0 {
		panic("no migrations")
	}
	version, err := strconv.Atoi(files[len(files)-1][len("sql/"):][:4])
	if err != nil {
		panic(err)
	}
	return version
}

// Ensure makes or upgrades the state tables, in a transaction of its own. Where all is there it only looks, so that a role without the right to create anything
// can run.
func Ensure(ctx context.Context, session *pg.Session) error {
	version, err := installed(ctx, session)
	if err != nil || version == Latest {
		return err
	}
	// READ COMMITTED whatever the default: what another first run has made while this one waited for the lock must be seen.
	tx, err := session.BeginTx(ctx, pg.ReadCommitted)
	if err != nil {
		return pg.Fault(err, "state tables")
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after Commit it does nothing
	if err := upgrade(ctx, tx); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return pg.Fault(err, "state tables")
	}
	return nil
}

// EnsureWithin makes the state tables in the caller's transaction, where there are none.
func EnsureWithin(ctx context.Context, tx pgx.Tx) error {
	version, err := installed(ctx, tx)
	if err != nil || version != 0 {
		return err
	}
	return upgrade(ctx, tx)
}

// Installed reports whether there are state tables.
func Installed(ctx context.Context, q pg.Querier) (bool, error) {
	version, err := installed(ctx, q)
	return version != 0, err
}

// installed is the version that is there, 0 for none.
func installed(ctx context.Context, q pg.Querier) (int, error) {
	var there bool
	// Not to_regclass: after waiting for the lock it may still answer from the session's cache that there is no such schema.
	if err := q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = 'ematix_flow' AND c.relname = 'state_version')`).Scan(&there); err != nil {
		return 0, pg.Fault(err, "state tables")
	}
	if !there {
		return 0, nil
	}
	var version int
	err := q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM ematix_flow.state_version").Scan(&version)
	if err != nil {
		return 0, stateFault(err)
	}
	if version > Latest {
		return 0, fault.New(fault.ConfigError, "The state tables in the schema ematix_flow have version %d; this ematix-flow knows versions up to %d.", version, Latest).
			WithHint("A newer ematix-flow has upgraded them: upgrade this one too.")
	}
	return version, nil
}

func upgrade(ctx context.Context, tx pgx.Tx) error {
	if err := pg.Lock(ctx, tx, pg.LockOf("schema", "ematix_flow")); err != nil {
		return err
	}
	version, err := installed(ctx, tx) // another first run may have been quicker
	if err != nil {
		return err
	}
	for version < Latest {
		version++
		files, err := fs.Glob(migrations, fmt.Sprintf("sql/%04d_*.sql", version))
		if err != nil || len(files) != 1 {
			return fault.New(fault.InternalError, "There is no single migration %d.", version)
		}
		text, err := migrations.ReadFile(files[0])
		if err != nil {
			return fault.New(fault.InternalError, "The migration %d cannot be read.", version).Because(err)
		}
		if _, err := tx.Exec(ctx, string(text)); err != nil {
			return stateFault(err)
		}
		if _, err := tx.Exec(ctx, "INSERT INTO ematix_flow.state_version (version) VALUES ($1)", version); err != nil {
			return stateFault(err)
		}
	}
	return nil
}

// stateFault completes an error about the state tables with what to do.
func stateFault(err error) error {
	e := pg.Fault(err, "state tables")
	switch {
	case errors.Is(err, context.Canceled):
	case e.Kind == fault.PermissionDenied:
		_ = e.WithHint("The schema ematix_flow keeps the run history. Let an owner run once, or GRANT CREATE ON DATABASE for the first run; later runs need " +
			"GRANT USAGE ON SCHEMA ematix_flow and SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ematix_flow.")
	case e.Kind == fault.InvalidQuery:
		_ = e.WithHint("The state tables in the schema ematix_flow were changed by hand: restore what the message names.")
	}
	return e
}
