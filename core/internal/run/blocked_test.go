package run_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

func TestWhoHoldsALockIsNamed(t *testing.T) {
	const parent = "CREATE TABLE w.parent (id BIGINT PRIMARY KEY); INSERT INTO w.parent SELECT generate_series(1, 9); ALTER TABLE w.customers ADD FOREIGN KEY (id) REFERENCES w.parent"
	const drift = "ALTER TABLE w.customers ADD note text"
	for name, c := range map[string]struct {
		mode               spec.Mode
		setup, lock, query string
		object, holds      string
	}{
		"reader before truncate":   {spec.Truncate, "", "SELECT FROM w.customers", "", "w.customers", "holds ACCESS SHARE"},
		"writer before merge":      {spec.Merge, "", "UPDATE w.customers SET name = 'z'", "", "w.customers", "holds ROW EXCLUSIVE"},
		"writer before history":    {spec.SCD2, "", "UPDATE w.customers SET name = 'z'", "", "w.customers", "holds ROW EXCLUSIVE"},
		"locked row":               {spec.Merge, "", "SELECT FROM w.customers FOR UPDATE", "", "w.customers", "holds ROW SHARE"},
		"locked row of history":    {spec.SCD2, "", "SELECT FROM w.customers FOR UPDATE", "", "w.customers", "holds ROW SHARE"},
		"lock against writers":     {spec.Append, "", "LOCK TABLE w.customers IN SHARE MODE", "", "w.customers", "holds SHARE"},
		"locked row of a parent":   {spec.Append, parent, "SELECT FROM w.parent FOR UPDATE", "", "w.parent", "holds ROW SHARE"},
		"locked parent":            {spec.Append, parent, "LOCK TABLE w.parent IN EXCLUSIVE MODE", "", "w.parent", "holds EXCLUSIVE"},
		"definition being changed": {spec.Merge, "", drift, "", "w.customers", "holds ACCESS EXCLUSIVE"},
		"the same under append":    {spec.Append, "", drift, "", "w.customers", "holds ACCESS EXCLUSIVE"},
		"locked source":            {spec.Merge, "CREATE TABLE w.source AS " + values("(2, 'b', 2)"), "LOCK TABLE w.source", "SELECT * FROM w.source", "w.source", "holds ACCESS EXCLUSIVE"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.must(load(c.mode, values("(1, 'a', 1)")))
			if c.setup != "" {
				p.exec(c.setup)
			}
			other := testkit.Connect(t, p.url+"?application_name=somebody")
			if _, err := other.Exec(context.Background(), "BEGIN; "+c.lock); err != nil {
				t.Fatal(err)
			}
			query := c.query
			if query == "" {
				query = values("(1, 'b', 1)")
				if c.mode == spec.Append {
					query = values("(2, 'b', 1)")
				}
			}
			l := load(c.mode, query)
			l.LockTimeoutMS = 60
			_, err := p.sync(l)
			want := fmt.Sprintf(`%s is locked by process %d ("somebody", %s, transaction open for 0 s) for longer than lock_timeout (60ms). Nothing was written.`,
				c.object, other.PgConn().PID(), c.holds)
			if !fault.Is(err, fault.LockTimeout) || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v\nwant: %s", err, want)
			}
		})
	}
}

func TestAPreparedTransactionThatHoldsALockIsNamed(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	name := "forgotten of " + p.text("SELECT current_database()") // names belong to the whole cluster
	other := testkit.Connect(t, p.url)
	if _, err := other.Exec(context.Background(), "BEGIN; UPDATE w.customers SET name = 'z'; PREPARE TRANSACTION '"+name+"'"); err != nil {
		t.Skip("this server has no prepared transactions: ", err)
	}
	l := load(spec.Merge, values("(1, 'b', 1)"))
	l.LockTimeoutMS = 60
	p.refused(l, fault.LockTimeout, fmt.Sprintf(`w.customers is locked by the prepared transaction %q (holds ROW EXCLUSIVE, transaction open for 0 s)`, name))
	p.exec("ROLLBACK PREPARED '" + name + "'")
	p.must(l)
}

// Who waits for a lock in front of a load holds it up as well.
func TestWhoWaitsInFrontOfALoadIsNamed(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	reader, changer := testkit.Connect(t, p.url), testkit.Connect(t, p.url+"?application_name=changer")
	if _, err := reader.Exec(context.Background(), "BEGIN; SELECT FROM w.customers"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := changer.Exec(context.Background(), "ALTER TABLE w.customers ADD note text")
		done <- err
	}()
	p.until("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'w.customers'::regclass AND NOT granted)")
	l := load(spec.Merge, values("(1, 'b', 1)"))
	l.LockTimeoutMS = 60
	_, err := p.sync(l)
	want := fmt.Sprintf(`w.customers is locked by process %d ("changer", waits for ACCESS EXCLUSIVE`, changer.PgConn().PID())
	if !fault.Is(err, fault.LockTimeout) || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v\nwant: %s", err, want)
	}
	if _, err := reader.Exec(context.Background(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
