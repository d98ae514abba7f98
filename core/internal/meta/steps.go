package meta

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/pg"
)

// Watermark is how far a pipeline has read.
type Watermark struct {
	Pipeline  string `json:"pipeline_name"`
	Column    string `json:"column_name"`
	LastValue string `json:"last_value"`
}

// ReadWatermark is the watermark of a pipeline, or nil.
func ReadWatermark(ctx context.Context, q pg.Querier, pipeline string) (*Watermark, error) {
	rows, err := q.Query(ctx, "SELECT pipeline_name, column_name, last_value FROM ematix_flow.watermarks WHERE pipeline_name = $1", pipeline)
	if err != nil {
		return nil, stateFault(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Watermark])
	if err != nil {
		return nil, stateFault(err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	return &found[0], nil
}

// WriteWatermark stores how far a pipeline has read.
func WriteWatermark(ctx context.Context, tx Execer, w Watermark) error {
	_, err := tx.Exec(ctx, `INSERT INTO ematix_flow.watermarks (pipeline_name, column_name, last_value, updated_at) VALUES ($1, $2, $3, pg_catalog.clock_timestamp())
ON CONFLICT (pipeline_name) DO UPDATE SET column_name = EXCLUDED.column_name, last_value = EXCLUDED.last_value, updated_at = EXCLUDED.updated_at`, w.Pipeline, w.Column, w.LastValue)
	return orNil(err)
}

// Step is a post-load step as the history records it.
type Step struct {
	ParentRunID  string
	Pipeline     string
	Name         string
	Status       string
	Schema       string
	Table        string
	ErrorMessage *string
	Metrics      *string
}

// RecordStep writes one finished step.
func RecordStep(ctx context.Context, session Execer, id string, s Step) error {
	_, err := session.Exec(ctx, `INSERT INTO ematix_flow.run_history
    (run_id, pipeline_name, target_schema, target_table, mode, path, started_at, finished_at, status, error_message, parent_run_id, step_name, metrics_json)
VALUES ($1::uuid, $2, $3, $4, 'transform', 'post', now(), now(), $5, $6, $7::uuid, $8, $9)`,
		id, s.Pipeline, s.Schema, s.Table, s.Status, s.ErrorMessage, s.ParentRunID, s.Name, s.Metrics)
	if err != nil {
		return stateFault(err)
	}
	return nil
}
