//go:build faults

package run_test

import (
	"context"
	"fmt"
	"net/url"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// databaseOf is the URL of another database of the same server.
func databaseOf(t *testing.T, raw, name string) string {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func TestAServerThatIsRestartedDuringALoad(t *testing.T) {
	cluster := testkit.NewCluster(t, "synchronous_commit=on") // a crash must not lose what was committed
	for _, mode := range []string{"fast", "immediate"} {
		for i, s := range troubled {
			points := []string{"begin", "before insert", "after insert", "before commit", "after commit"}
			if i%2 == 1 {
				points = []string{"lock", "query check", "steps"} // each load at some of them: a restart takes its time
			}
			t.Run(mode+"/"+s.name, func(t *testing.T) {
				database := fmt.Sprintf("restart_%s_%d", mode, i)
				testkit.Exec(t, cluster.URL, "CREATE DATABASE "+database)
				url := databaseOf(t, cluster.URL, database)
				p := &place{t: t, url: url, server: open(t, url)}
				p.observer = testkit.Connect(t, url)
				st := s.set(t, p)
				for _, point := range points {
					p.observer = testkit.Connect(t, url)
					st.reset()
					p.observer = nil // it would not survive
					met := false
					ctx := run.WithHook(context.Background(), func(_ context.Context, at run.Point) error {
						if at.Name != point || met {
							return nil
						}
						met = true
						cluster.Restart(mode)
						return nil
					})
					result, err := p.syncOn(ctx, p.server, s.load())
					p.observer = testkit.Connect(t, url)
					if !met {
						t.Fatalf("the load has no point %q", point)
					}
					st.judge(point, fault.ConnectionLost, result, err)
					if t.Failed() {
						t.Fatalf("at the point %q", point)
					}
				}
			})
		}
	}
}
