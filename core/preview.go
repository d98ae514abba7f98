package core

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/run"
)

type planArgs struct {
	loadArgs
	CrossDatabase bool `json:"cross_database"`
}

// planned is a plan as Python gets it: its statements, and the same as texts with what is bound to them.
type planned struct {
	*plan.Preview
	PlanSQL []string `json:"plan_sql"`
}

// planLoad describes what a load would do. It asks no database.
func (e *Engine) planLoad(_ context.Context, _ *call, args planArgs) (*planned, error) {
	p, err := args.plan(args.CrossDatabase)
	if err != nil {
		return nil, err
	}
	answer := &planned{p.Preview(), []string{}}
	for _, statement := range answer.Statements {
		answer.PlanSQL = append(answer.PlanSQL, statement.Bound())
	}
	return answer, nil
}

type dsnInfo struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Database string `json:"dbname"`
	User     string `json:"user"`
}

// describeDSN says where a URL leads, without going there.
func (e *Engine) describeDSN(_ context.Context, _ *call, args connectArgs) (dsnInfo, error) {
	dsn, err := pg.ParseDSN(args.URL)
	if err != nil {
		return dsnInfo{}, err
	}
	return dsnInfo{dsn.Host, dsn.Port, dsn.Database, dsn.User}, nil
}

type checkArgs struct {
	planArgs
	Connection int64 `json:"connection"` // that the query runs on
}

// checkLoad has the server look at the source query of a load, which it plans and never runs. An error is that of the load.
func (e *Engine) checkLoad(ctx context.Context, _ *call, args checkArgs) (any, error) {
	server, err := e.server(args.Connection)
	if err != nil {
		return nil, err
	}
	p, err := args.plan(args.CrossDatabase)
	if err != nil {
		return nil, err
	}
	return nil, run.Check(ctx, server, p)
}

// observe says what a load would meet in its databases now.
func (e *Engine) observe(ctx context.Context, _ *call, args syncArgs) (*run.Observed, error) {
	server, source, p, err := e.planned(args)
	if err != nil {
		return nil, err
	}
	return run.Observe(ctx, server, source, p), nil
}
