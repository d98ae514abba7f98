package run

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Observed is what only the databases know of a load, as they are now. What could not be found out is nil, and has a note.
type Observed struct {
	SourceRows   *float64        `json:"source_rows"` // the planner's estimate
	TargetExists *bool           `json:"target_exists"`
	TargetRows   *float64        `json:"target_rows"` // the planner's, as of the last ANALYZE or VACUUM
	Differences  []string        `json:"differences"` // of the table from its declaration
	Alter        string          `json:"alter"`       // what the load would do about them
	Guards       []string        `json:"missing_guards"`
	Watermark    *string         `json:"watermark"`
	Locks        []ObservedLocks `json:"locks"`
	Notes        []string        `json:"notes"`
}

// ObservedLocks are those that are in the way of a lock which the load takes.
type ObservedLocks struct {
	Relation string      `json:"relation"`
	Mode     string      `json:"mode"`
	Held     []pg.Holder `json:"conflicting"`
}

// Observe looks at both ends of a load. It changes nothing and waits for nobody; what fails becomes a note.
func Observe(ctx context.Context, server, source *pg.Server, p *plan.Plan) *Observed {
	o := &Observed{Differences: []string{}, Guards: []string{}, Locks: []ObservedLocks{}, Notes: []string{}}
	if p.Path != spec.CrossDB {
		source = server
	}
	for _, look := range []struct {
		at *pg.Server
		do func(context.Context, *load) error
	}{{source, o.rows}, {server, o.table}, {server, o.watermark}, {server, o.locks}} {
		err := readOnly(ctx, look.at, func(l *load) error {
			l.plan = p
			return look.do(ctx, l)
		})
		if err != nil {
			o.Notes = append(o.Notes, strings.ReplaceAll(err.Error(), " Nothing was written.", ""))
		}
	}
	return o
}

// rows is the server's estimate of the source query, which is planned and not run.
func (o *Observed) rows(ctx context.Context, l *load) error {
	text, err := l.explained(ctx, "FORMAT json")
	if err != nil {
		return err
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal([]byte(text), &plans); err != nil || len(plans) != 1 {
		return fault.New(fault.InternalError, "The server's plan of the source query cannot be read.")
	}
	o.SourceRows = &plans[0].Plan.Rows
	return nil
}

// table compares the target with its declaration.
func (o *Observed) table(ctx context.Context, l *load) error {
	t := &target{table: l.plan.Table, onDrift: spec.DriftWarn}
	s, err := t.look(ctx, l.tx)
	if err != nil {
		return err
	}
	there := s.found != nil
	o.TargetExists = &there
	if !there {
		return nil
	}
	o.Differences = s.differences
	var rows float64
	if err := l.tx.QueryRow(ctx, "SELECT reltuples FROM pg_catalog.pg_class WHERE oid = $1::regclass", l.plan.Request.Target()).Scan(&rows); err != nil {
		return pg.Fault(err, "reflect")
	}
	if rows >= 0 { // -1: nobody has counted
		o.TargetRows = &rows
	}
	for _, guard := range ddl.Guards(l.plan.Table, l.plan.Load) {
		held, err := pg.HasGuard(ctx, l.tx, l.plan.Table, l.plan.Load.Keys, guard)
		if err != nil {
			return err
		}
		if !held {
			o.Guards = append(o.Guards, guard.SQL)
		}
	}
	t.onDrift = l.plan.Load.OnDrift
	if s, err = t.look(ctx, l.tx); err != nil {
		return fault.New(fault.SchemaDrift, "A run would refuse the table %s as it is: %s.", l.plan.Table, strings.Join(o.Differences, "; "))
	}
	o.Alter = s.alter
	return nil
}

// watermark is what is stored.
func (o *Observed) watermark(ctx context.Context, l *load) error {
	if l.plan.Load.IncrementalColumn == "" {
		return nil
	}
	var there bool
	if err := l.tx.QueryRow(ctx, "SELECT pg_catalog.to_regclass('ematix_flow.watermarks') IS NOT NULL").Scan(&there); err != nil || !there {
		return orNil(err, "watermark")
	}
	stored, err := meta.ReadWatermark(ctx, l.tx, l.plan.Load.PipelineName)
	if err == nil && stored != nil && stored.Column == l.plan.Load.IncrementalColumn {
		o.Watermark = &stored.LastValue
	}
	return err
}

// locks finds who is in the way of the strongest lock that the load takes on each relation.
func (o *Observed) locks(ctx context.Context, l *load) error {
	for _, lock := range l.plan.Strongest() {
		held, err := pg.Conflicting(ctx, l.tx, lock.Relation, string(lock.Mode))
		if err != nil {
			return fmt.Errorf("locks on %s: %w", lock.Relation, err)
		}
		o.Locks = append(o.Locks, ObservedLocks{lock.Relation, string(lock.Mode), append([]pg.Holder{}, held...)})
	}
	return nil
}
