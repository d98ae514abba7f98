package core

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/profile"
)

type resolveArgs struct {
	Name string `json:"name"`
	Cwd  string `json:"cwd"`
}

// resolveConnection finds the DSN of a named connection. The answer has warnings about the file it stands in; Python shows them.
func (e *Engine) resolveConnection(_ context.Context, c *call, args resolveArgs) (profile.Found, error) {
	return profile.Places{Env: c.env, Cwd: args.Cwd}.Resolve(args.Name)
}

type listArgs struct {
	Cwd string `json:"cwd"`
}

type listAnswer struct {
	Connections []profile.Listed `json:"connections"`
	Warnings    []string         `json:"warnings"` // about entries that cannot be used
}

// listConnections returns every named connection with its DSN redacted.
func (e *Engine) listConnections(_ context.Context, c *call, args listArgs) (listAnswer, error) {
	listed, problems, err := profile.Places{Env: c.env, Cwd: args.Cwd}.List()
	if listed == nil {
		listed = []profile.Listed{}
	}
	return listAnswer{listed, problems}, err
}

type setArgs struct {
	Name string `json:"name"`
	DSN  string `json:"dsn"`
}

// setConnection writes the user's own file and returns its path.
func (e *Engine) setConnection(_ context.Context, c *call, args setArgs) (string, error) {
	return profile.Places{Env: c.env}.Set(args.Name, args.DSN)
}

type redactArgs struct {
	DSN string `json:"dsn"`
}

// redact shows a DSN without its secrets.
func (e *Engine) redact(_ context.Context, _ *call, args redactArgs) (string, error) {
	return pg.Redact(args.DSN), nil
}
