package core

import (
	"context"
	"slices"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

type specArgs struct {
	Spec string `json:"spec"`
}

func (e *Engine) parseSpec(_ context.Context, _ *call, args specArgs) (string, error) {
	p, err := spec.DecodePipeline([]byte(args.Spec))
	if err != nil {
		return "", err
	}
	return p.JSON(), nil
}

func (e *Engine) parseTableSpec(_ context.Context, _ *call, args specArgs) (string, error) {
	return withTable(args, (*spec.Table).JSON)
}

func (e *Engine) augmentTableSpec(_ context.Context, _ *call, args specArgs) (string, error) {
	return withTable(args, func(t *spec.Table) string { return t.Augment(spec.Append).JSON() })
}

func (e *Engine) augmentTableSpecSCD2(_ context.Context, _ *call, args specArgs) (string, error) {
	return withTable(args, func(t *spec.Table) string { return t.Augment(spec.SCD2).JSON() })
}

func (e *Engine) createTableSQL(_ context.Context, _ *call, args specArgs) (string, error) {
	return withTable(args, ddl.CreateTable)
}

func withTable(args specArgs, do func(*spec.Table) string) (string, error) {
	t, err := spec.DecodeTable([]byte(args.Spec))
	if err != nil {
		return "", err
	}
	return do(t), nil
}

type ensureArgs struct {
	Connection int64  `json:"connection"`
	Spec       string `json:"spec"`
	OnDrift    string `json:"on_drift"`
}

type ensured struct {
	Action      string   `json:"action"`
	Differences []string `json:"differences"`
}

// ensureTable makes a table that is missing and compares one that is there. It changes one only where that is asked for, and removes all differences.
func (e *Engine) ensureTable(ctx context.Context, _ *call, args ensureArgs) (*ensured, error) {
	if !slices.Contains([]string{spec.DriftError, spec.DriftWarn, spec.DriftEvolve}, args.OnDrift) {
		return nil, fault.New(fault.InvalidSpec, "on_drift=%q: it is \"error\", \"warn\" or \"evolve\".", args.OnDrift)
	}
	table, err := spec.DecodeTable([]byte(args.Spec))
	if err != nil {
		return nil, err
	}
	server, err := e.server(args.Connection)
	if err != nil {
		return nil, err
	}
	action, differences, err := run.EnsureTable(ctx, server, table, args.OnDrift)
	if err != nil {
		return nil, err
	}
	return &ensured{action, differences}, nil
}
