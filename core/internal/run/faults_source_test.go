//go:build faults

package run_test

import (
	"context"
	"testing"
	"time"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

const copying = "SELECT count(*) = 2 AND min(tuples_processed) > 1000 FROM pg_stat_progress_copy WHERE datname = current_database()"

// duringCopy has something happen while rows come over from a source behind a proxy, and returns how the load ended.
func duringCopy(t *testing.T, happens func(p *place, proxy *testkit.Proxy, cancel context.CancelFunc)) (*stage, error) {
	t.Helper()
	p := newPlace(t)
	p.must(appendFirst())
	proxy := testkit.NewProxy(t, p.url)
	p.source = open(t, proxy.URL())
	st := &stage{place: p, scenario: endlessCopy}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := p.syncOn(ctx, p.server, endlessCopy.load())
		done <- err
	}()
	p.until(copying)
	happens(p, proxy, cancel)
	select {
	case err := <-done:
		if err == nil {
			t.Fatal("the load succeeded")
		}
		proxy.Reset()
		proxy.Heal()
		return st, err
	case <-time.After(2 * time.Minute):
		t.Fatal("the load does not end")
		return nil, nil
	}
}

// ended checks that a load by COPY left nothing but its history, and that its target can be loaded again.
func (st *stage) ended() {
	st.t.Helper()
	st.until(noTrace)
	st.wants("rows", "SELECT count(*) FROM w.customers", "2")
	st.wants("history", "SELECT status FROM ematix_flow.run_history ORDER BY started_at", "success\nfailed")
	st.must(troubled[1].load())
	st.wants("rows after the next run", "SELECT count(*) FROM w.customers", "4")
}

func TestASourceThatIsCutOffDuringCopy(t *testing.T) {
	st, err := duringCopy(t, func(_ *place, proxy *testkit.Proxy, _ context.CancelFunc) { proxy.CutAfter(100_000) })
	if !fault.Is(err, fault.ConnectionLost) {
		t.Errorf("%v, want ConnectionLost", err)
	}
	st.ended()
}

func TestASourceThatFallsSilentDuringCopyIsGivenUpWhenTheLoadIsCancelled(t *testing.T) {
	st, err := duringCopy(t, func(_ *place, proxy *testkit.Proxy, cancel context.CancelFunc) {
		proxy.Silence()
		<-proxy.Held()
		cancel()
	})
	if !fault.Is(err, fault.QueryError) {
		t.Errorf("%v, want QueryError: it was cancelled", err)
	}
	st.ended()
}

func TestATargetThatIsLostDuringCopy(t *testing.T) {
	st, err := duringCopy(t, func(p *place, _ *testkit.Proxy, _ context.CancelFunc) {
		p.wants("terminated", "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_progress_copy WHERE command = 'COPY FROM' AND datname = current_database()", "t")
	})
	if !fault.Is(err, fault.ConnectionLost) {
		t.Errorf("%v, want ConnectionLost", err)
	}
	st.ended()
}

func TestALockOfTheSourceIsWaitedForNoLongerThanLockTimeout(t *testing.T) {
	p := newPlace(t)
	p.must(appendFirst())
	p.exec("CREATE TABLE w.source AS " + values("(7, 'g', 7)"))
	other := testkit.Connect(t, p.url+"?application_name=somebody")
	if _, err := other.Exec(context.Background(), "BEGIN; LOCK TABLE w.source"); err != nil {
		t.Fatal(err)
	}
	l := load("append", "SELECT * FROM w.source")
	l.CrossServer, l.LockTimeoutMS = true, 60
	want := "w.source is locked by process " + number(other.PgConn().PID()) + ` ("somebody", holds ACCESS EXCLUSIVE, transaction open for 0 s) for longer than lock_timeout (60ms).`
	p.refused(l, fault.LockTimeout, want)
}
