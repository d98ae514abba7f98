package history

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

// Runs are recorded runs, the newest first.
type Runs struct {
	Rows  []json.RawMessage `json:"rows"` // rows of ematix_flow.run_history
	Total int64             `json:"total"`
	Lost  []string          `json:"lost"` // runs that died and could not be marked so
	Notes []string          `json:"notes"`
}

// NotRecorded is said where no run ever was.
const NotRecorded = "No run has been recorded in this database."

const runsSQL = `FROM ematix_flow.run_history AS h
WHERE $1::text IS NULL OR h.pipeline_name = $1 OR starts_with(h.pipeline_name, $1 || '::') OR (h.target_schema = $2 AND h.target_table = $3)`

// ReadRuns reads the newest runs of a pipeline or of a table, or of all where name is nil; limit 0 is no limit.
func ReadRuns(ctx context.Context, session *pg.Session, name *string, limit int) (*Runs, error) {
	runs := &Runs{Rows: []json.RawMessage{}, Lost: []string{}, Notes: []string{}}
	reading, err := meta.Looked(ctx, session)
	if err != nil {
		return nil, err
	}
	if !reading.There {
		runs.Notes = append(runs.Notes, NotRecorded)
		return runs, nil
	}
	lost, err := reading.Lost(ctx, session)
	if err != nil {
		return nil, err
	}
	if !reading.Writable && lost != nil {
		runs.Lost = lost
	}
	err = Snapshot(ctx, session, func(tx pgx.Tx) error { return runs.read(ctx, tx, name, limit) })
	if err != nil {
		return nil, err
	}
	if reading.Standby && slices.ContainsFunc(runs.Rows, running) {
		runs.Notes = append(runs.Notes, "This is a standby, which cannot tell whether the runs that are still running are alive.")
	}
	return runs, nil
}

func (r *Runs) read(ctx context.Context, tx pgx.Tx, name *string, limit int) error {
	var schema, table *string
	if name != nil {
		if parts, err := ident.Split(*name); err == nil && len(parts) == 2 {
			schema, table = &parts[0], &parts[1]
		}
	}
	if err := tx.QueryRow(ctx, "SELECT count(*) "+runsSQL, name, schema, table).Scan(&r.Total); err != nil {
		return meta.StateFault(err)
	}
	if r.Total == 0 && name != nil {
		return known(ctx, tx, *name, schema != nil)
	}
	// As JSON: a state of before some columns were added is read as it is.
	rows, err := tx.Query(ctx, "SELECT to_jsonb(h)::text "+runsSQL+" ORDER BY h.started_at DESC, h.run_id LIMIT nullif($4::bigint, 0)", name, schema, table, limit)
	if err != nil {
		return meta.StateFault(err)
	}
	texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return meta.StateFault(err)
	}
	for _, text := range texts {
		r.Rows = append(r.Rows, json.RawMessage(text))
	}
	return nil
}

// known refuses a name that is neither that of a run nor that of a table.
func known(ctx context.Context, tx pgx.Tx, name string, table bool) error {
	if table {
		if _, err := Find(ctx, tx, name); err == nil {
			return nil
		}
	}
	return invalid("No run is recorded under the name %q, nor is it a table of the database.", name).
		WithHint("Runs are found by the name of their pipeline, or by schema.table.")
}

func running(row json.RawMessage) bool {
	var r struct {
		Status string `json:"status"`
	}
	return json.Unmarshal(row, &r) == nil && r.Status == "running"
}
