//go:build faults

package run_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

func number[T int | uint32](n T) string { return fmt.Sprint(n) }

// childVariable tells a process that it is a child, which scenario it runs, where, and at which point it dies: scenario|point|URL.
const childVariable = "EMATIX_FAULT_CHILD"

// TestChildProcess is what the children of the tests below run.
func TestChildProcess(t *testing.T) {
	order := strings.SplitN(os.Getenv(childVariable), "|", 3)
	if len(order) != 3 {
		t.Skip("only child processes run this")
	}
	n, err := strconv.Atoi(order[1])
	if err != nil {
		t.Fatal(err)
	}
	st := &stage{place: &place{t: t, url: order[2], server: open(t, order[2])}}
	for _, s := range append(troubled, endless, endlessCopy) {
		if s.name == order[0] {
			st.scenario = s
		}
	}
	point, _, err := st.meets(context.Background(), n, func(context.Context, run.Point) error {
		return syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	if point != "" || err != nil {
		t.Fatalf("it lives on after %q: %v", point, err)
	}
}

// child is a process that runs the load of the scenario and kills itself at the n-th point.
func (st *stage) child(n int) *exec.Cmd {
	command := exec.Command(os.Args[0], "-test.run=^TestChildProcess$")
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%d|%s?application_name=child", childVariable, st.name, n, st.url))
	return command
}

func killed(err error) bool {
	exit, ok := err.(*exec.ExitError)
	return ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

func TestAProcessThatIsKilledBetweenTwoSteps(t *testing.T) {
	for _, s := range troubled {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.set(t, newPlace(t))
			deaths := 0
			for n := 1; ; n++ {
				output, err := st.child(n).CombinedOutput()
				if err == nil {
					break
				}
				if !killed(err) {
					t.Fatalf("the child: %v\n%s", err, output)
				}
				deaths++
				st.until(noTrace)
				// The last point is after the commit.
				if status := st.text("SELECT status FROM ematix_flow.run_history"); status == "success" {
					st.survived(true, "success")
				} else {
					st.survived(false, "running")
				}
				if t.Failed() {
					t.Fatalf("at point %d", n)
				}
				st.reset()
			}
			if deaths < fewestPoints {
				t.Errorf("the child died %d times, want at least %d", deaths, fewestPoints)
			}
		})
	}
}

// endless is a load whose one statement takes longer than anybody waits.
var endless = scenario{
	name: "endless", first: appendFirst, view: plainRows,
	load: func() *spec.Load {
		return load(spec.Append, "SELECT 9 AS id, pg_sleep(600)::text AS name, 1 AS balance")
	},
}

// endlessCopy is one whose rows never end. In FROM the server would collect them first.
var endlessCopy = scenario{
	name: "endless copy", first: appendFirst, view: plainRows,
	load: elsewhere(func() *spec.Load {
		return load(spec.Append, "SELECT generate_series(10, 9000000000) AS id, 'c' AS name, 1 AS balance")
	}),
}

// The servers find out within client_connection_check_interval, not when the statement ends.
func TestAProcessThatIsKilledDuringAStatement(t *testing.T) {
	for _, c := range []struct {
		scenario
		runs string
	}{
		{endless, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())"},
		{endlessCopy, copying},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPlace(t)
			p.must(appendFirst())
			st := &stage{place: p, scenario: c.scenario}
			before := st.target()
			child := st.child(0)
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			p.until(c.runs)
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = child.Wait() // killed
			p.until(noTrace)
			if got := st.target(); got != before {
				t.Errorf("the target:\n%s\nwant:\n%s", got, before)
			}
			p.wants("history", "SELECT status FROM ematix_flow.run_history ORDER BY started_at", "success\nrunning")
		})
	}
}
