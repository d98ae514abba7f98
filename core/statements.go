package core

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/run"
)

type statementArgs struct {
	Connection int64  `json:"connection"`
	SQL        string `json:"sql"`
}

func (e *Engine) execute(ctx context.Context, _ *call, args statementArgs) (int64, error) {
	server, err := e.server(args.Connection)
	if err != nil {
		return 0, err
	}
	return server.Execute(ctx, args.SQL)
}

func (e *Engine) fetchScalarInt(ctx context.Context, _ *call, args statementArgs) (int64, error) {
	server, err := e.server(args.Connection)
	if err != nil {
		return 0, err
	}
	return server.ScalarInt(ctx, args.SQL)
}

type statementsArgs struct {
	Connection int64    `json:"connection"`
	SQLs       []string `json:"sqls"`
}

func (e *Engine) executeInTransaction(ctx context.Context, _ *call, args statementsArgs) (any, error) {
	server, err := e.server(args.Connection)
	if err != nil {
		return nil, err
	}
	return nil, server.ExecuteAll(ctx, args.SQLs)
}

// dsn is the documented exception: the URL as it was given, password included.
func (e *Engine) dsn(_ context.Context, _ *call, args connectionArgs) (string, error) {
	server, err := e.server(args.Connection)
	if err != nil {
		return "", err
	}
	return server.DSN.Raw(), nil
}

type twoURLs struct {
	A string `json:"a"`
	B string `json:"b"`
}

func (e *Engine) sameDatabase(_ context.Context, _ *call, args twoURLs) (bool, error) {
	a, err := pg.ParseDSN(args.A)
	if err != nil {
		return false, err
	}
	b, err := pg.ParseDSN(args.B)
	if err != nil {
		return false, err
	}
	return a.Same(b), nil
}

type watermarkArgs struct {
	Connection   int64  `json:"connection"`
	PipelineName string `json:"pipeline_name"`
}

func (e *Engine) readWatermark(ctx context.Context, _ *call, args watermarkArgs) (*meta.Watermark, error) {
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	if err := meta.Ensure(ctx, session); err != nil {
		return nil, err
	}
	return meta.ReadWatermark(ctx, session, args.PipelineName)
}

type stepArgs struct {
	Connection   int64   `json:"connection"`
	ParentRunID  string  `json:"parent_run_id"`
	PipelineName string  `json:"pipeline_name"`
	StepName     string  `json:"step_name"`
	Status       string  `json:"status"`
	TargetSchema string  `json:"target_schema"`
	TargetTable  string  `json:"target_table"`
	ErrorMessage *string `json:"error_message"`
	MetricsJSON  *string `json:"metrics_json"`
}

func (e *Engine) recordTransformHistory(ctx context.Context, _ *call, args stepArgs) (any, error) {
	if !run.IsUUID(args.ParentRunID) {
		return nil, fault.New(fault.InvalidSpec, "parent_run_id is not a UUID.")
	}
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	if err := meta.Ensure(ctx, session); err != nil {
		return nil, err
	}
	return nil, meta.RecordStep(ctx, session, run.NewUUID(), meta.Step{
		ParentRunID: args.ParentRunID, Pipeline: args.PipelineName, Name: args.StepName, Status: args.Status,
		Schema: args.TargetSchema, Table: args.TargetTable, ErrorMessage: args.ErrorMessage, Metrics: args.MetricsJSON,
	})
}
