package meta

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/pg"
)

// Reading is what a command that only reads may do with the recorded runs.
type Reading struct {
	There    bool // runs were recorded in this database
	Readable bool // this role may read them
	Writable bool // it may mark those that died
	Standby  bool // of another server, whose locks cannot be seen from here
}

// Looked tells it, and makes nothing.
func Looked(ctx context.Context, q pg.Querier) (r Reading, err error) {
	err = q.QueryRow(ctx, `SELECT count(*) > 0, coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')), false),
    coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'UPDATE')), false) AND NOT pg_catalog.pg_is_in_recovery()
        AND current_setting('default_transaction_read_only') = 'off',
    pg_catalog.pg_is_in_recovery()
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'ematix_flow' AND c.relname = 'run_history'`).Scan(&r.There, &r.Readable, &r.Writable, &r.Standby)
	if err != nil {
		return r, pg.Fault(err, "history")
	}
	return r, nil
}

// Lost are the runs, of whatever target, that are recorded as running and whose process died. Where the role may, they are marked; a read-only connection only
// learns of them, and a standby, which does not see the locks of living runs, of none.
func (r Reading) Lost(ctx context.Context, session *pg.Session) (ids []string, err error) {
	if !r.There || !r.Readable || r.Standby {
		return nil, nil
	}
	options := pg.ReadCommitted
	if !r.Writable {
		options.AccessMode = pgx.ReadOnly
	}
	err = pgx.BeginTxFunc(ctx, session, options, func(tx pgx.Tx) error {
		if ids, err = lost(ctx, tx, ""); err != nil || !r.Writable {
			return err
		}
		return markLost(ctx, tx, ids)
	})
	return ids, orNil(err)
}

// StateFault completes an error of reading the state tables with what to do.
func StateFault(err error) error { return stateFault(err) }
