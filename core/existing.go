package core

import (
	"context"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/spec"
)

type reflectArgs struct {
	Connection int64     `json:"connection"`
	Source     *int64    `json:"source"` // the connection that the query runs on, if it is another one
	Schema     string    `json:"schema"`
	Table      string    `json:"table"`
	Mode       spec.Mode `json:"mode"`
	Keys       []string  `json:"keys"`
	Query      string    `json:"query"`
}

type reflected struct {
	Spec  string `json:"spec"`
	Exact bool   `json:"exact"` // false: the table has columns or constraints that the load leaves alone
}

// reflectTable declares a table of the target database, as far as a load by a query writes it.
func (e *Engine) reflectTable(ctx context.Context, _ *call, args reflectArgs) (*reflected, error) {
	server, err := e.server(args.Connection)
	if err != nil {
		return nil, err
	}
	source := server
	if args.Source != nil {
		if source, err = e.server(*args.Source); err != nil {
			return nil, err
		}
	}
	query := spec.TrimStatement(args.Query)
	var delivered []string
	if query != "" && !strings.ContainsRune(query, 0) {
		if delivered, err = source.Delivered(ctx, query); err != nil {
			return nil, err
		}
	}
	load := &spec.Load{Mode: args.Mode, Keys: args.Keys, History: spec.StandardHistory}
	table, exact, err := server.Existing(ctx, args.Schema, args.Table, load, delivered)
	if err != nil {
		return nil, err
	}
	return &reflected{Spec: table.JSON(), Exact: exact}, nil
}
