package core

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/doctor"
)

type doctorArgs struct {
	Connection int64    `json:"connection"`
	Table      string   `json:"table"`
	Keys       []string `json:"keys"`
	MadeBy     string   `json:"made_by"`

	SCD2Columns map[string]string `json:"scd2_columns"`
}

// doctor answers with what is wrong with a table.
func (e *Engine) doctor(ctx context.Context, _ *call, args doctorArgs) (*doctor.Report, error) {
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	return doctor.Examine(ctx, session, doctor.Request{Table: args.Table, Keys: args.Keys, Tool: args.MadeBy, Columns: args.SCD2Columns})
}
