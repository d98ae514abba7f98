package meta

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Run is one run as the history records it.
type Run struct {
	ID       string
	Pipeline string
	Schema   string
	Table    string
	Mode     string
	Path     string

	EngineVersion string
	Host          string
	PID           int
}

// Counts are what a run did; nil is written as NULL.
type Counts struct{ Inserted, Updated, Unchanged, Closed, Deleted *int64 }

// Execer runs statements: a session or a transaction of one.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Begin records the run as running.
func (r *Run) Begin(ctx context.Context, session Execer) error {
	_, err := session.Exec(ctx, `INSERT INTO ematix_flow.run_history
    (run_id, pipeline_name, target_schema, target_table, mode, path, started_at, status, server_version, engine_version, host, pid)
VALUES ($1::uuid, $2, $3, $4, $5, $6, pg_catalog.clock_timestamp(), 'running', current_setting('server_version'), $7, $8, $9::integer)`,
		r.ID, r.Pipeline, r.Schema, r.Table, r.Mode, r.Path, r.EngineVersion, r.Host, r.PID)
	return orNil(err)
}

// Succeed completes the run's row in the load's own transaction. It overrides "lost": whoever took the run for dead was wrong.
func (r *Run) Succeed(ctx context.Context, tx pgx.Tx, loadTime string, c Counts) error {
	tag, err := tx.Exec(ctx, `UPDATE ematix_flow.run_history
SET status = 'success', finished_at = pg_catalog.clock_timestamp(), loaded_at = $2::timestamptz, xact_id = pg_catalog.pg_current_xact_id(),
    rows_inserted = $3::bigint, rows_updated = $4::bigint, rows_unchanged = $5::bigint, rows_closed = $6::bigint, rows_deleted = $7::bigint, error_message = NULL
WHERE run_id = $1::uuid`, r.ID, loadTime, c.Inserted, c.Updated, c.Unchanged, c.Closed, c.Deleted)
	if err == nil && tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "The history row of the run is gone. Everything was rolled back.").
			WithHint("Somebody deleted it from ematix_flow.run_history while the run went on: run again.")
	}
	return orNil(err)
}

func orNil(err error) error {
	if err == nil {
		return nil
	}
	return stateFault(err)
}

// Defined records a statement that made a table or changed its definition, in the transaction that ran it. runID is empty where no run did.
func Defined(ctx context.Context, tx pgx.Tx, table *spec.Table, sql, runID string) error {
	_, err := tx.Exec(ctx, "INSERT INTO ematix_flow.schema_history (target_schema, target_table, fingerprint, ddl, run_id) VALUES ($1, $2, $3, $4, nullif($5, '')::uuid)",
		table.Schema, table.Name, table.Fingerprint, sql, runID)
	return orNil(err)
}

// Defines reports whether the run made a table or changed its definition.
func (r *Run) Defines(ctx context.Context, tx pgx.Tx) (found bool, err error) {
	err = tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ematix_flow.schema_history WHERE run_id = $1::uuid)", r.ID).Scan(&found)
	return found, orNil(err)
}

// Fail completes the row after the rollback. message is the text of the error, without its detail.
func (r *Run) Fail(ctx context.Context, session Execer, message string) error {
	_, err := session.Exec(ctx, `UPDATE ematix_flow.run_history
SET status = 'failed', finished_at = pg_catalog.clock_timestamp(), error_message = $2
WHERE run_id = $1::uuid AND status IN ('running', 'lost')`, r.ID, message)
	return err
}

// Skip completes the row of a run that found its target busy.
func (r *Run) Skip(ctx context.Context, session Execer) error {
	_, err := session.Exec(ctx, "UPDATE ematix_flow.run_history SET status = 'skipped', finished_at = pg_catalog.clock_timestamp() WHERE run_id = $1::uuid", r.ID)
	return err
}

// What became of a transaction whose COMMIT was not answered.
const (
	Committed = "committed"
	Aborted   = "aborted"
)

// Outcome asks what became of the run's transaction. Its success row was written in the transaction itself, and the run's lock is free once it has ended: who holds
// the lock knows that what the row says is final. The number of the transaction would tell less: after a crash the server gives it to another one.
func (r *Run) Outcome(ctx context.Context, session *pg.Session) (status string, err error) {
	err = pgx.BeginTxFunc(ctx, session, pg.ReadCommitted, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, true)", outcomeWait.String()); err != nil {
			return err
		}
		if err := pg.Lock(ctx, tx, r.LockKey()); err != nil {
			return err
		}
		return tx.QueryRow(ctx, "SELECT CASE WHEN status = 'success' THEN $2 ELSE $3 END FROM ematix_flow.run_history WHERE run_id = $1::uuid", r.ID, Committed, Aborted).Scan(&status)
	})
	return status, err
}

// outcomeWait is how long a COMMIT whose answer was lost may still go on: it may wait for a standby.
const outcomeWait = 5 * time.Second

// LockKey is the advisory lock that the run holds while it lives.
func (r *Run) LockKey() int64 { return pg.LockOf("run", r.ID) }

// grace is how long after its start a run may not yet hold its lock without being taken for dead.
const grace = time.Minute

// MarkLost finds runs on the same target that are recorded as running and whose process died: their lock is free.
func (r *Run) MarkLost(ctx context.Context, tx pgx.Tx) error {
	ids, err := lost(ctx, tx, "AND target_schema = $2 AND target_table = $3 AND run_id <> $4::uuid", r.Schema, r.Table, r.ID)
	if err != nil {
		return err
	}
	return markLost(ctx, tx, ids)
}

// mostLost is how many runs are asked for at once: the server has room for a few thousand locks, which all its sessions share.
const mostLost = 1000

// lost are the runs that are recorded as running for longer than the grace period and whose lock is free, the newest first. It holds the locks until the transaction ends.
func lost(ctx context.Context, tx pgx.Tx, which string, args ...any) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT run_id::text FROM ematix_flow.run_history
WHERE status = 'running' AND started_at < pg_catalog.clock_timestamp() - make_interval(secs => $1) `+which+" ORDER BY started_at DESC, run_id LIMIT "+strconv.Itoa(mostLost), append([]any{grace.Seconds()}, args...)...)
	if err != nil {
		return nil, stateFault(err)
	}
	candidates, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, stateFault(err)
	}
	var ids []string
	for _, id := range candidates {
		free, err := pg.TryLock(ctx, tx, pg.LockOf("run", id))
		if err != nil {
			return nil, err
		}
		if free { // else it lives
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func markLost(ctx context.Context, tx pgx.Tx, ids []string) error {
	for _, id := range ids {
		if _, err := tx.Exec(ctx, "UPDATE ematix_flow.run_history SET status = 'lost', finished_at = pg_catalog.clock_timestamp() WHERE run_id = $1::uuid AND status = 'running'", id); err != nil {
			return stateFault(err)
		}
	}
	return nil
}

// LoadTime is the one time that the run stamps its rows with: the server's clock now, and later than that of the target's previous run.
func (r *Run) LoadTime(ctx context.Context, tx pgx.Tx) (at string, err error) {
	err = tx.QueryRow(ctx, `SELECT pg_catalog.to_char(greatest(pg_catalog.clock_timestamp(), max(loaded_at) + interval '1 microsecond') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
FROM ematix_flow.run_history WHERE target_schema = $1 AND target_table = $2`, r.Schema, r.Table).Scan(&at)
	if err != nil {
		return "", stateFault(err)
	}
	return at, nil
}

// Holder is the run that holds the target, for messages: empty when there is none or it cannot be told.
func (r *Run) Holder(ctx context.Context, session *pg.Session) string {
	var text string
	err := session.QueryRow(ctx, `SELECT 'run ' || run_id || ' of ' || pipeline_name || ', since ' || date_trunc('second', started_at) || ', process ' || pid || ' on ' || host
FROM ematix_flow.run_history WHERE target_schema = $1 AND target_table = $2 AND status = 'running' AND run_id <> $3::uuid ORDER BY started_at LIMIT 1`,
		r.Schema, r.Table, r.ID).Scan(&text)
	if err != nil {
		return ""
	}
	return text
}
