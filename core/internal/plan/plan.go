// Package plan turns a load into the statements that do it, before any database is asked. Run, dry run and preview take the same plan.
package plan

import (
	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// Plan is what a load does.
type Plan struct {
	Load  *spec.Load
	Table *spec.Table // the target with its metadata columns
	Path  string
	Needs []string // columns that the query must deliver
	Steps []strategy.Step
	// Guards complete a table that the load makes.
	Guards []string
}

// Make checks the load and plans it.
func Make(load *spec.Load) (*Plan, error) {
	if err := load.CheckArguments(); err != nil {
		return nil, err
	}
	if err := load.CheckColumns(); err != nil {
		return nil, err
	}
	p := &Plan{Load: load, Table: load.Target, Path: spec.SameDB}
	if load.Augment {
		p.Table = load.Target.Augment(load.Mode)
	}
	request := strategy.Request{Load: load, Table: p.Table}
	p.Needs, p.Steps = request.Needs(), strategy.For(load.Mode).Steps(request)
	if load.Mode == spec.SCD2 {
		p.Guards = []string{ddl.GuardCurrent(p.Table, load.Keys), ddl.GuardValidity(p.Table)}
	}
	return p, nil
}
