package meta

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/pg"
)

// Tick is one time at which the schedule of a pipeline fires.
type Tick struct {
	Pipeline string
	At       time.Time
}

// Claim takes a tick for this process, and reports false where it was taken before. Of any number of processes that ask at once one gets it; the others
// wait until that one's row is committed. before is the last earlier tick of the pipeline that was taken, zero for none.
func (t Tick) Claim(ctx context.Context, session *pg.Session, host string, pid int) (taken bool, before time.Time, err error) {
	// READ COMMITTED whatever the default: under REPEATABLE READ the others would get an error instead of an answer.
	err = pgx.BeginTxFunc(ctx, session, pg.ReadCommitted, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO ematix_flow.ticks (pipeline_name, tick, host, pid) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			t.Pipeline, t.At, host, pid)
		taken = tag.RowsAffected() == 1
		if err != nil || !taken {
			return err
		}
		var last *time.Time
		err = tx.QueryRow(ctx, "SELECT max(tick) FROM ematix_flow.ticks WHERE pipeline_name = $1 AND tick < $2", t.Pipeline, t.At).Scan(&last)
		if last != nil {
			before = *last
		}
		return err
	})
	return taken && err == nil, before, orNil(err)
}
