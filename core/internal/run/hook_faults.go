//go:build faults

package run

import "context"

// Point is a place between two steps of a load, as a fault sees it.
type Point struct {
	Name    string
	RunID   string
	Backend uint32 // process of the server that the load's session has
}

type hookKey struct{}

// WithHook has the function called at every point of the loads that run under the context. What it returns is what the load meets there.
func WithHook(ctx context.Context, hook func(context.Context, Point) error) context.Context {
	return context.WithValue(ctx, hookKey{}, hook)
}

func (l *load) at(ctx context.Context, name string) error {
	hook, set := ctx.Value(hookKey{}).(func(context.Context, Point) error)
	if !set {
		return nil
	}
	return hook(ctx, Point{Name: name, RunID: l.run.ID, Backend: l.session.Conn().PgConn().PID()})
}
