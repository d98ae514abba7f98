// Package plan turns a load into the statements that do it, before any database is asked. Run, dry run and preview take the same plan.
package plan

import (
	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
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
	// Request is what the steps were made from; a run asks it for what depends on the source's types.
	Request strategy.Request
	// Guards complete a table that the load makes.
	Guards []string
	// ReadsOnce says that the source cannot be read a second time: the load is never started over.
	ReadsOnce bool
}

// Make checks the load and plans it.
func Make(load *spec.Load) (*Plan, error) {
	if err := load.CheckArguments(); err != nil {
		return nil, err
	}
	if err := load.CheckColumns(); err != nil {
		return nil, err
	}
	p := &Plan{Load: load, Table: load.Target, Path: load.Path()}
	if load.Augment {
		p.Table = load.Target.With(load)
	}
	if err := checkMetadata(p.Table, load); err != nil {
		return nil, err
	}
	if err := ddl.CheckGuards(p.Table, load); err != nil {
		return nil, err
	}
	p.Request = strategy.Request{Load: load, Table: p.Table}
	p.Needs, p.Steps = p.Request.Needs(), strategy.For(load.Mode).Steps(p.Request)
	for _, guard := range ddl.Guards(p.Table, load) {
		p.Guards = append(p.Guards, guard.SQL)
	}
	return p, nil
}

// checkMetadata refuses columns of the user's own that have the name of one that the load fills, and could not do its work.
func checkMetadata(table *spec.Table, load *spec.Load) error {
	for _, want := range load.Metadata() {
		declared := table.Column(want.Name)
		if declared == nil {
			if want.Name != spec.LoadedAt && want.Name != spec.BatchID {
				return fault.New(fault.InvalidSpec, "The load needs the column %q, which the spec of %s lacks.", want.Name, table)
			}
			continue // a spec that is taken as it is may do without
		}
		if !declared.Type.Equal(want.Type) || declared.Nullable != want.Nullable || declared.PrimaryKey != want.PrimaryKey {
			return fault.New(fault.InvalidSpec, "The column %q of %s has the name of a column that the load fills, and is declared differently.", want.Name, table).
				WithHint("Leave it out of the class, and the load adds it as %s; or give your own column another name.", want.Type.SQL())
		}
	}
	return nil
}
