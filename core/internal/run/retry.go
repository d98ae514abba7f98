package run

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// tries is how often the statements of a load are tried in all when others get in their way.
const tries = 3

// findings are what a load has found out in its transaction. What is rolled back takes them along.
type findings struct {
	before      []string                  // the connection's own values of the pinned settings, while they are pinned
	created     bool                      // the target
	emptied     bool                      // of rows that it had; found out in dry runs only
	fields      []pgconn.FieldDescription // of the query
	differences []string
	warnings    []string
	watermark   *Watermark
	arrived     []pgconn.FieldDescription // columns of rows from another server whose conversion failed
	loadTime    string                    // read once, when the first statement needs it
	counts      map[strategy.Count]int64
	expected    map[strategy.Count]int64
}

func noFindings() findings {
	return findings{counts: map[strategy.Count]int64{}, expected: map[strategy.Count]int64{}}
}

func (f findings) clone() findings {
	f.counts, f.expected = maps.Clone(f.counts), maps.Clone(f.expected)
	return f
}

// retries are how often a load was tried again, and where.
type retries struct {
	done      int
	here      bool // in this transaction, from its savepoint
	duplicate bool // for a unique violation
}

// persist does the load's transaction, and once more from its beginning where that can help: it lets go of every lock, and the same statements run again.
func (l *load) persist(ctx context.Context) (*Result, error) {
	for {
		result, err := l.guarded(ctx)
		if err == nil {
			result.Retries = l.retries.done
			return result, nil
		}
		e := inTheWay(err)
		if e == nil {
			return nil, err
		}
		if l.plan.ReadsOnce || l.retries.done >= tries-1 || ctx.Err() != nil {
			return nil, l.givenUp(e)
		}
		l.retries.done++
		l.retries.here = false
		l.findings = noFindings()
		if err := l.freshSession(ctx); err != nil {
			return nil, err
		}
	}
}

// guarded is the transaction, with a panic in it as an error. The session is closed then: nobody knows what it was in the middle of.
func (l *load) guarded(ctx context.Context) (result *Result, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fault.Recovered("the load of "+l.plan.Table.String(), panicked)
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackWait)
			defer cancel()
			_ = l.session.Conn().Close(closing) // its own end is all that is wanted of it
		}
	}()
	return l.transaction(ctx)
}

// inTheWay is the error if it says that other sessions were in the way, and may not be any more.
func inTheWay(err error) *fault.Error {
	var e *fault.Error
	if errors.As(err, &e) && (e.SQLState == "40001" || e.SQLState == "40P01") {
		return e
	}
	return nil
}

func (l *load) givenUp(e *fault.Error) error {
	if l.retries.done > 0 {
		e.Message += fmt.Sprintf(". The load was tried %d times", l.retries.done+1)
	}
	e.Message += ". Nothing was written."
	return e.WithHint("Other sessions use the same tables at the same time: run again when they have ended.")
}

// steps does the steps of the plan. Those after staging run from a savepoint, to which the load goes back when others got in its way: the source is not read again.
func (l *load) steps(ctx context.Context) error {
	from := retryPoint(l.plan.Steps)
	for _, step := range l.plan.Steps[:from] {
		if err := l.step(ctx, step); err != nil {
			return err
		}
	}
	if _, err := l.tx.Exec(ctx, "SAVEPOINT staged"); err != nil {
		return pg.Fault(err, "savepoint")
	}
	staged := l.findings.clone()
	for {
		err := l.each(ctx, l.plan.Steps[from:])
		if err == nil || ctx.Err() != nil || !l.again(err) {
			return err
		}
		if _, err := l.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT staged"); err != nil {
			return pg.Fault(err, "savepoint")
		}
		l.findings = staged.clone()
	}
}

func (l *load) each(ctx context.Context, steps []strategy.Step) error {
	for _, step := range steps {
		if err := l.step(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

func (l *load) step(ctx context.Context, step strategy.Step) error {
	l.progress(step.Name)
	if err := l.at(ctx, "before "+step.Name); err != nil {
		return pg.Fault(err, step.Name)
	}
	if err := l.do(ctx, step); err != nil {
		return err
	}
	return orNil(l.at(ctx, "after "+step.Name), step.Name)
}

// retryPoint is the first step that can run again without reading the source: the one after staging, or the one statement of a load that stages nothing.
func retryPoint(steps []strategy.Step) int {
	point := 0
	for i, step := range steps {
		switch {
		case step.Counts == strategy.Staged || step.Extract != "":
			point = i + 1
		case step.Boundary == strategy.Source:
			point = i
		}
	}
	return point
}

// again decides whether the steps after staging run once more in the same transaction.
func (l *load) again(err error) bool {
	if l.retries.done >= tries-1 {
		return false
	}
	if inTheWay(err) == nil {
		// A unique violation may come from an index that is being built just now. One that comes back is in the data.
		var e *fault.Error
		duplicate := errors.As(err, &e) && e.SQLState == "23505" && l.plan.Load.Mode.Keyed() && !l.retries.duplicate
		if !duplicate {
			return false
		}
		l.retries.duplicate = true
	} else if !l.plan.ReadsOnce && (l.retries.here || truncates(l.plan.Steps)) {
		// The savepoint was tried, or cannot help: who waits for TRUNCATE holds a lock on what the other has staged, and staging did that too.
		return false
	} else {
		l.retries.here = true
	}
	l.retries.done++
	return true
}
