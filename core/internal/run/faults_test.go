//go:build faults

package run_test

import (
	"context"
	"errors"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/run"
)

// fewestPoints is how many points even the shortest load has; fewer mean that the hook was lost.
const fewestPoints = 9

func TestWhateverGoesWrongBetweenTwoSteps(t *testing.T) {
	for _, s := range troubled {
		for name, c := range map[string]struct {
			kind fault.Kind
			do   func(*stage, context.CancelFunc) func(context.Context, run.Point) error
		}{
			"failure": {fault.QueryError, func(*stage, context.CancelFunc) func(context.Context, run.Point) error {
				return func(context.Context, run.Point) error { return errors.New("injected") }
			}},
			"panic": {fault.InternalError, func(*stage, context.CancelFunc) func(context.Context, run.Point) error {
				return func(context.Context, run.Point) error { panic("injected") }
			}},
			"timeout reported though it was done": {fault.Timeout, func(*stage, context.CancelFunc) func(context.Context, run.Point) error {
				return func(context.Context, run.Point) error { return context.DeadlineExceeded }
			}},
			"cancelled while it hangs": {fault.QueryError, func(_ *stage, cancel context.CancelFunc) func(context.Context, run.Point) error {
				return func(ctx context.Context, _ run.Point) error {
					cancel()
					<-ctx.Done()
					return ctx.Err()
				}
			}},
			"session terminated": {fault.ConnectionLost, func(st *stage, _ context.CancelFunc) func(context.Context, run.Point) error {
				return func(_ context.Context, at run.Point) error {
					st.wants("terminated", "SELECT pg_terminate_backend("+number(at.Backend)+", 20000)", "t")
					return nil
				}
			}},
		} {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := s.set(t, newPlace(t))
				for n := 1; ; n++ {
					ctx, cancel := context.WithCancel(context.Background())
					point, result, err := st.meets(ctx, n, c.do(st, cancel))
					cancel()
					if point == "" {
						if err != nil || n <= fewestPoints {
							t.Fatalf("the load without a fault: %v, after %d points", err, n-1)
						}
						return
					}
					st.judge(point, c.kind, result, err)
					if t.Failed() {
						t.Fatalf("at the point %q", point)
					}
					st.reset()
				}
			})
		}
	}
}

// judge checks the outcome of a run that met a fault in its own process.
func (st *stage) judge(point string, kind fault.Kind, result *run.Result, err error) {
	st.t.Helper()
	committed := point == "after commit"
	if committed && kind != fault.InternalError {
		// The answer is lost, or what came after it does not matter: the run's own row says that it is done.
		if err != nil || result.Status != "success" {
			st.t.Errorf("%v after the commit, want success", err)
		}
		st.survived(true, "success")
		return
	}
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != kind || e.RunID == "" {
		st.t.Errorf("%v, want kind %s and the run's id", err, kind)
	}
	if committed {
		st.survived(true, "success")
		return
	}
	st.survived(false, "failed")
}

// What happens to the source alone leaves the target as it was, and the session of the target usable: the failure is recorded.
func TestASourceThatIsLostBetweenTwoSteps(t *testing.T) {
	for _, s := range troubled {
		if !s.load().CrossServer {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.set(t, newPlace(t))
			lost := 0
			for n := 1; ; n++ {
				open := false
				point, _, err := st.meets(context.Background(), n, func(_ context.Context, at run.Point) error {
					open = st.text("SELECT count(pg_terminate_backend(pid, 20000)) FROM pg_stat_activity WHERE application_name = 'ematix-flow "+at.RunID+"' AND pid <> "+number(at.Backend)) == "1"
					return nil
				})
				if point == "" {
					break
				}
				if err != nil { // after staging nobody needs it any more
					lost++
					if !fault.Is(err, fault.ConnectionLost) || !open {
						t.Fatalf("at the point %q: %v, want ConnectionLost", point, err)
					}
					st.survived(false, "failed")
				}
				st.reset()
			}
			if lost == 0 {
				t.Error("no load noticed that its source was lost")
			}
		})
	}
}
