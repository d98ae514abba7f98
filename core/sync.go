package core

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/run"
)

type syncArgs struct {
	loadArgs
	Connection int64  `json:"connection"`
	Source     *int64 `json:"source"`
}

// sync runs one load.
func (e *Engine) sync(ctx context.Context, c *call, args syncArgs) (*run.Result, error) {
	server, source, p, err := e.planned(args)
	if err != nil {
		return nil, err
	}
	return run.Sync(ctx, server, source, p, Version, c.progress)
}

// planned is the plan of a load between connections that are open.
func (e *Engine) planned(args syncArgs) (server, source *pg.Server, p *plan.Plan, err error) {
	if server, source, err = e.ends(args); err != nil {
		return nil, nil, nil, err
	}
	p, err = args.plan(source != server && !source.DSN.Same(server.DSN))
	return server, source, p, err
}

// ends are the connections of the target and of the source, which are one where no other is given.
func (e *Engine) ends(args syncArgs) (server, source *pg.Server, err error) {
	if server, err = e.server(args.Connection); err != nil || args.Source == nil {
		return server, server, err
	}
	source, err = e.server(*args.Source)
	return server, source, err
}
