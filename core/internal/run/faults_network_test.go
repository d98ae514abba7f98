//go:build faults

package run_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// commitMessage is how the driver sends COMMIT. That of the load is the second: the run is recorded before it.
const (
	commitMessage = "commit\x00"
	commitOfLoad  = 2
)

// overProxy is a scenario whose load goes through a proxy.
func (s scenario) overProxy(t *testing.T) (*stage, *testkit.Proxy) {
	t.Helper()
	st := s.set(t, newPlace(t))
	proxy := testkit.NewProxy(t, st.url)
	st.server = open(t, proxy.URL())
	return st, proxy
}

func TestALostAnswerToCommitIsResolved(t *testing.T) {
	for _, s := range troubled {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st, proxy := s.overProxy(t)
			proxy.Swallow(commitMessage, commitOfLoad, nil)
			result, err := st.sync(s.load())
			if err != nil || result.Status != "success" {
				t.Errorf("%v, want success: the run's row says so", err)
			}
			st.survived(true, "success")
		})
	}
}

func TestALostAnswerToACommitThatFailedIsResolved(t *testing.T) {
	for _, s := range troubled[1:] {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st, proxy := s.overProxy(t)
			// The load has constraints checked before it records its success: this one is put off again by that record.
			st.exec(`CREATE FUNCTION w.later() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN SET CONSTRAINTS ALL DEFERRED; RETURN NEW; END$$;
				CREATE TRIGGER later BEFORE UPDATE ON ematix_flow.run_history FOR EACH ROW WHEN (NEW.status = 'success') EXECUTE FUNCTION w.later();
				CREATE FUNCTION w.refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'refused at the commit'; END$$;
				CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON ematix_flow.run_history DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'success') EXECUTE FUNCTION w.refuse()`)
			proxy.Swallow(commitMessage, commitOfLoad, nil)
			_, err := st.sync(s.load())
			if !fault.Is(err, fault.ConnectionLost) || !strings.Contains(err.Error(), "Nothing was written.") {
				t.Errorf("%v, want ConnectionLost that says that nothing was written", err)
			}
			st.exec("DROP FUNCTION w.refuse, w.later CASCADE")
			st.survived(false, "failed")
		})
	}
}

func TestACommitWhoseAnswerIsLostWithTheServerIsUnknown(t *testing.T) {
	for _, s := range troubled {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st, proxy := s.overProxy(t)
			proxy.Swallow(commitMessage, commitOfLoad, proxy.Refuse)
			_, err := st.sync(s.load())
			if !fault.Is(err, fault.CommitUnknown) {
				t.Fatalf("%v, want CommitUnknown", err)
			}
			id := st.text("SELECT run_id FROM ematix_flow.run_history")
			if !strings.Contains(err.Error(), id) {
				t.Errorf("%v\nwant the run's id %s in it", err, id)
			}
			st.survived(true, "success") // the history knows
			proxy.Listen()
			if err := st.server.Ping(context.Background()); err != nil {
				t.Errorf("the connection does not recover: %v", err)
			}
		})
	}
}

func TestANetworkThatSaysNothingIsGivenUpWhenTheLoadIsCancelled(t *testing.T) {
	for _, s := range troubled {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st, proxy := s.overProxy(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			hooked := run.WithHook(ctx, func(_ context.Context, at run.Point) error {
				if at.Name == "before insert" {
					proxy.Silence()
				}
				return nil
			})
			go func() {
				<-proxy.Held()
				cancel()
			}()
			done := make(chan error, 1)
			go func() {
				_, err := st.syncOn(hooked, st.server, s.load())
				done <- err
			}()
			select {
			case err := <-done:
				if err == nil {
					t.Error("the load succeeded")
				}
			case <-time.After(2 * time.Minute): // it takes 5 s to give up the session, and 10 s the recording
				t.Fatal("the load does not end")
			}
			proxy.Reset()
			proxy.Heal()
			st.survived(false, "running") // nobody could be told
		})
	}
}

func TestAConnectionThatIsCut(t *testing.T) {
	for _, s := range troubled {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st, proxy := s.overProxy(t)
			proxy.CutAfter(0)
			if _, err := st.sync(s.load()); err != nil && !fault.Is(err, fault.ConnectionLost) && !fault.Is(err, fault.ConnectionFailed) {
				t.Errorf("at once: %v", err)
			}
			st.reset()
			ctx := run.WithHook(context.Background(), func(_ context.Context, at run.Point) error {
				if at.Name == "before insert" {
					proxy.CutAfter(3)
				}
				return nil
			})
			_, err := st.syncOn(ctx, st.server, s.load())
			if !fault.Is(err, fault.ConnectionLost) {
				t.Errorf("%v, want ConnectionLost", err)
			}
			st.survived(false, "failed")
		})
	}
}

func TestASlowNetworkMakesSlowLoads(t *testing.T) {
	for _, s := range troubled {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st, proxy := s.overProxy(t)
			proxy.Latency(2 * time.Millisecond)
			proxy.Slice(3)
			if _, err := st.sync(s.load()); err != nil {
				t.Error(err)
			}
			st.survived(true, "success")
		})
	}
}
