package core

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// ask does one operation and decodes its answer.
func ask(t *testing.T, e *Engine, op string, args any, into any) {
	t.Helper()
	if failed := try(e, op, args, into); failed != "" {
		t.Fatal(failed)
	}
}

func try(e *Engine, op string, args any, into any) (failed string) {
	text, err := json.Marshal(map[string]any{"contract": Contract, "env": map[string]string{}, "args": args})
	if err != nil {
		return err.Error()
	}
	reply, _ := e.Do(context.Background(), op, text, nil, func(Progress) {})
	var answer struct {
		OK    json.RawMessage `json:"ok"`
		Error *errorReply     `json:"error"`
	}
	if err := json.Unmarshal(reply, &answer); err != nil {
		return err.Error()
	}
	if answer.Error != nil {
		return string(answer.Error.Kind) + ": " + answer.Error.Message
	}
	if err := json.Unmarshal(answer.OK, into); err != nil {
		return err.Error()
	}
	return ""
}

func TestDueIsToldWithTheLastTickAndTheOneBefore(t *testing.T) {
	const noon = 1_767_614_400_000_000 // 2026-01-05 12:00 UTC
	for _, c := range []struct {
		schedule string
		now      int64
		interval float64
		want     string
	}{
		{"0 12 * * *", noon, 60, fmt.Sprintf(`{"due":true,"tick":%d,"earlier":null}`, noon)},
		{"0 12 * * *", noon - 1, 60, `{"due":false,"tick":null,"earlier":null}`},
		{"0 12 * * *", noon, 0, `{"due":false,"tick":null,"earlier":null}`},
		{"0 12 * * *", noon, 1e300, fmt.Sprintf(`{"due":true,"tick":%d,"earlier":%d}`, noon, noon-86_400_000_000)},
		{"* * * * *", noon, 60, fmt.Sprintf(`{"due":true,"tick":%d,"earlier":null}`, noon)},
		{"* * * * *", noon, 60.000001, fmt.Sprintf(`{"due":true,"tick":%d,"earlier":%d}`, noon, noon-60_000_000)},
	} {
		var answer dueAnswer
		ask(t, New(), "is_due", map[string]any{"schedule": c.schedule, "now": c.now, "interval_seconds": c.interval}, &answer)
		if got, _ := json.Marshal(answer); string(got) != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	failed := try(New(), "is_due", map[string]any{"schedule": "61 * * * *", "now": noon, "interval_seconds": 60}, &dueAnswer{})
	if !strings.HasPrefix(failed, "invalid_schedule: The schedule \"61 * * * *\"") {
		t.Error(failed)
	}
	if failed = try(New(), "is_due", map[string]any{"schedule": "* * * * *", "now": noon, "interval_seconds": -1}, &dueAnswer{}); !strings.HasPrefix(failed, "invalid_spec") {
		t.Error(failed)
	}
}

// TestOfManyClaimersOneGetsEachTick lets engines with pools of their own, as hosts have, claim the same ticks at once, the first time into an empty database.
func TestOfManyClaimersOneGetsEachTick(t *testing.T) {
	url := testkit.Server(t)
	testkit.Exec(t, url, fmt.Sprintf(`ALTER DATABASE %s SET default_transaction_isolation = 'repeatable read'`, url[strings.LastIndex(url, "/")+1:]))
	const hosts, ticks = 8, 20
	engines := make([]*Engine, hosts)
	connections := make([]connectionInfo, hosts)
	for i := range engines {
		engines[i] = New()
		ask(t, engines[i], "connect", map[string]any{"url": url}, &connections[i])
	}
	var won [ticks]atomic.Int32
	var failures atomic.Value
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range engines {
		for range 2 { // two overlapping calls on one host
			all.Go(func() {
				<-start
				for tick := range ticks {
					var answer claimAnswer
					args := map[string]any{"connection": connections[i].Connection, "pipeline_name": "p", "tick": int64(tick) * 60_000_000}
					if failed := try(engines[i], "claim_tick", args, &answer); failed != "" {
						failures.Store(failed)
					}
					if answer.Claimed {
						won[tick].Add(1)
					}
				}
			})
		}
	}
	close(start)
	all.Wait()
	if failed := failures.Load(); failed != nil {
		t.Fatal(failed)
	}
	for tick := range won {
		if n := won[tick].Load(); n != 1 {
			t.Errorf("tick %d was claimed by %d", tick, n)
		}
	}
	if got := testkit.Rows(t, url, "SELECT count(*), count(DISTINCT tick), min(tick) = to_timestamp(0) FROM ematix_flow.ticks WHERE pid > 0 AND host IS NOT NULL"); strings.Join(got[0], " ") != "20 20 t" {
		t.Errorf("rows: %v", got)
	}

	var other, again claimAnswer
	ask(t, engines[0], "claim_tick", map[string]any{"connection": connections[0].Connection, "pipeline_name": "q", "tick": 60_000_000}, &other)
	if !other.Claimed || other.Previous != nil {
		t.Errorf("another pipeline has ticks of its own: %+v", other)
	}
	ask(t, engines[0], "claim_tick", map[string]any{"connection": connections[0].Connection, "pipeline_name": "p", "tick": 3_600_000_000}, &again)
	if !again.Claimed || again.Previous == nil || *again.Previous != (ticks-1)*60_000_000 {
		t.Errorf("the tick before is told: %+v", again)
	}
	for i := range engines {
		var nothing any
		ask(t, engines[i], "disconnect", map[string]any{"connection": connections[i].Connection}, &nothing)
	}
}
