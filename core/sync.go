package core

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/run"
)

type syncArgs struct {
	loadArgs
	Connection int64  `json:"connection"`
	Source     *int64 `json:"source"`
}

// sync runs one load.
func (e *Engine) sync(ctx context.Context, c *call, args syncArgs) (*run.Result, error) {
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
	p, err := args.plan(source != server && !source.DSN.Same(server.DSN))
	if err != nil {
		return nil, err
	}
	return run.Sync(ctx, server, source, p, Version, c.progress)
}
