package pg_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// side is one end of a relay: a database, the engine's session in a transaction of its own, and an observer.
type side struct {
	t    *testing.T
	url  string
	conn *pgconn.PgConn
}

// newSide is a session through to, "" for the server itself.
func newSide(t *testing.T, to *proxy) *side {
	t.Helper()
	url := testkit.Server(t)
	through := url
	if to != nil {
		through = to.between(url)
	}
	dsn, err := pg.ParseDSN(through + "?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	server, err := pg.Open(t.Context(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	session, err := server.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Release)
	s := &side{t, url, session.Conn().PgConn()}
	s.exec("BEGIN")
	return s
}

func (s *side) exec(sql string) {
	s.t.Helper()
	if _, err := s.conn.Exec(s.t.Context(), sql).ReadAll(); err != nil {
		s.t.Fatal(sql, err)
	}
}

// arrived is the target of the tests: a table, and a savepoint after it.
func (s *side) arrived(columns string) *side {
	s.t.Helper()
	s.exec("CREATE TEMP TABLE arrived (" + columns + ") ON COMMIT DROP; SAVEPOINT before_source")
	return s
}

// wants checks that the session takes statements again, after going back to the savepoint, and what is in the table then.
func (s *side) wants(sql, want string) {
	s.t.Helper()
	results, err := s.conn.Exec(s.t.Context(), sql).ReadAll()
	if err != nil {
		s.t.Fatal(sql, err)
	}
	last := results[len(results)-1]
	if got := string(last.Rows[0][0]); got != want {
		s.t.Errorf("%s: %s, want %s", sql, got, want)
	}
}

func (s *side) usable() {
	s.t.Helper()
	s.wants("ROLLBACK TO SAVEPOINT before_source; SELECT count(*) FROM pg_temp.arrived", "0")
}

// locked holds the advisory lock 1 of the database until the test ends: a query that wants it is silent for ever.
func (s *side) locked() *side {
	s.t.Helper()
	if _, err := testkit.Connect(s.t, s.url).Exec(s.t.Context(), "SELECT pg_advisory_lock(1)"); err != nil {
		s.t.Fatal(err)
	}
	return s
}

// untilSilent waits until a session of the database waits for the lock.
func (s *side) untilSilent() {
	s.t.Helper()
	observer := testkit.Connect(s.t, s.url)
	for waiting := false; !waiting; {
		if err := observer.QueryRow(s.t.Context(), "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)").Scan(&waiting); err != nil {
			s.t.Fatal(err)
		}
	}
}

// expiring is a context whose deadline passes when the test says so.
type expiring struct {
	context.Context
	passed chan struct{}
}

func (e expiring) Done() <-chan struct{} { return e.passed }

func (e expiring) Err() error {
	select {
	case <-e.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// terminate ends the session as an administrator would.
func (s *side) terminate() {
	testkit.Exec(s.t, s.url, fmt.Sprintf("SELECT pg_terminate_backend(%d)", s.conn.PID()))
}

const copyIn = "COPY pg_temp.arrived FROM STDIN (FORMAT binary)"

func copyOut(query string) string { return "COPY (" + query + ") TO STDOUT (FORMAT binary)" }

// silentAt delivers more than one block of rows, but less than there are blocks, and then nothing more while the lock is held.
const silentAt = "SELECT g, CASE WHEN g = 4000 THEN pg_advisory_xact_lock(1)::text ELSE repeat('x', 50) END FROM generate_series(1, 5000) AS g"

// refusal checks an error of a relay.
func refusal(t *testing.T, err error, kind fault.Kind, phase, message string) {
	t.Helper()
	e := pg.Fault(err, "")
	if err == nil || e.Kind != kind || e.Phase != phase || !strings.HasPrefix(e.Message, message) {
		t.Errorf("kind %q, phase %q: %v; want %q, %q: %s", e.Kind, e.Phase, err, kind, phase, message)
	}
}

func TestRelayMovesEveryRow(t *testing.T) {
	source, target := newSide(t, nil), newSide(t, nil).arrived("g integer, v text")
	for _, rows := range []int64{0, 1, 300_000} {
		query := fmt.Sprintf("SELECT g, repeat('x', g %% 100) || g FROM generate_series(1, %d) AS g", rows)
		var seenRows, seenBytes int64
		moved, err := pg.Relay(t.Context(), source.conn, copyOut(query), target.conn, copyIn, func(rows, bytes int64) {
			if rows < seenRows || bytes < seenBytes {
				t.Errorf("progress went from %d rows, %d bytes to %d, %d", seenRows, seenBytes, rows, bytes)
			}
			seenRows, seenBytes = rows, bytes
		})
		if err != nil || moved != rows || seenRows != rows {
			t.Errorf("%d rows and %d in progress, %v; want %d", moved, seenRows, err, rows)
		}
		sum := "SELECT coalesce(sum(hashtextextended(r::text, 0)::numeric), 0) FROM (%s) AS r"
		source.wants(fmt.Sprintf("SELECT (%s)", fmt.Sprintf(sum, query)), target.text(fmt.Sprintf(sum, "SELECT * FROM pg_temp.arrived")))
		target.usable()
	}
}

func TestRelayTellsOfRowsThatComeSlowly(t *testing.T) {
	source, target := newSide(t, nil), newSide(t, nil).arrived("g integer, v text")
	observer := testkit.Connect(t, source.url)
	let := func(sql string) {
		if _, err := observer.Exec(t.Context(), sql); err != nil {
			t.Error(err)
		}
	}
	let("SELECT pg_advisory_lock(1)")
	// The source waits for the lock with less than a block on its way; it is let go on by the one who hears of these rows.
	slow := "SELECT g, CASE WHEN g = 1000 THEN pg_advisory_xact_lock(1)::text ELSE repeat('x', 50) END FROM generate_series(1, 1500) AS g"
	heard := false
	moved, err := pg.Relay(t.Context(), source.conn, copyOut(slow), target.conn, copyIn, func(rows, bytes int64) {
		if !heard && bytes == 0 && rows > 0 && rows < 1000 {
			heard = true
			let("SELECT pg_advisory_unlock(1)")
		}
	})
	if err != nil || moved != 1500 || !heard {
		t.Errorf("%d rows, %v; heard of the first ones: %v", moved, err, heard)
	}
}

func (s *side) text(sql string) string {
	s.t.Helper()
	results, err := s.conn.Exec(s.t.Context(), sql).ReadAll()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(results[0].Rows[0][0])
}

func TestRelayNamesTheSideThatRefuses(t *testing.T) {
	for _, c := range []struct {
		name, out, in, phase, message string
		kind                          fault.Kind
	}{
		{
			"source in the middle", copyOut("SELECT 1 / (g - 200000), 'x' FROM generate_series(1, 300000) AS g"), copyIn,
			pg.ReadSource, "In the source database: ERROR: division by zero", fault.DataError,
		},
		{"source at once", copyOut("SELECT nothing"), copyIn, pg.ReadSource, `In the source database: ERROR: column "nothing" does not exist`, fault.InvalidQuery},
		{"no copy out", "SELECT 1", copyIn, pg.ReadSource, "The stream of the source ended without its end.", fault.InternalError},
		{
			"target in the middle", copyOut("SELECT g, CASE WHEN g = 200000 THEN repeat('x', 61) ELSE repeat('x', 50) END FROM generate_series(1, 3000000) AS g"), copyIn,
			pg.Stage, "ERROR: value too long for type character varying(60)", fault.DataError,
		},
		{"target at once", copyOut("SELECT 1, 'x'"), "COPY nowhere FROM STDIN (FORMAT binary)", pg.Stage, `ERROR: relation "nowhere" does not exist`, fault.InvalidQuery},
		{"no copy in", copyOut("SELECT 1, 'x'"), "SELECT 1", pg.Stage, "The statement is no COPY ... FROM STDIN.", fault.InternalError},
	} {
		t.Run(c.name, func(t *testing.T) {
			source, target := newSide(t, nil), newSide(t, nil).arrived("g integer, v varchar(60)")
			source.exec("SAVEPOINT before_source")
			_, err := pg.Relay(t.Context(), source.conn, c.out, target.conn, c.in, nil)
			refusal(t, err, c.kind, c.phase, c.message)
			target.usable()
			source.wants("ROLLBACK TO SAVEPOINT before_source; SELECT 1", "1")
		})
	}
}

func TestRelayTellsHowFarTheSourceCame(t *testing.T) {
	source, target := newSide(t, nil), newSide(t, nil).arrived("g integer")
	rows, err := pg.Relay(t.Context(), source.conn, copyOut("SELECT 1 / (g - 4711) FROM generate_series(1, 10000) AS g"), target.conn, copyIn, nil)
	if err == nil || rows != 4710 {
		t.Errorf("%d rows, %v; the 4711th is the one that failed", rows, err)
	}
}

func TestRelayEndsWhenTheContextDoes(t *testing.T) {
	source, target := newSide(t, nil).locked(), newSide(t, nil).arrived("g integer, v text")
	source.exec("SAVEPOINT before_source")
	ctx, cancel := context.WithCancel(t.Context())
	go func() { source.untilSilent(); cancel() }()
	_, err := pg.Relay(ctx, source.conn, copyOut(silentAt), target.conn, copyIn, nil)
	refusal(t, err, fault.QueryError, pg.ReadSource, "The statement was cancelled.")
	target.usable()
	source.wants("ROLLBACK TO SAVEPOINT before_source; SELECT 1", "1")

	if _, err := pg.Relay(ctx, source.conn, copyOut("SELECT 1, 'x'"), target.conn, copyIn, nil); err == nil {
		t.Error("a context that had ended was no error")
	}
	target.usable()
}

// What is silent here is the source: an error of the target must not wait for its next row.
func TestRelayEndsWhenTheTargetIsLost(t *testing.T) {
	source, target := newSide(t, nil).locked(), newSide(t, nil).arrived("g integer, v text")
	source.exec("SAVEPOINT before_source")
	go func() { source.untilSilent(); target.terminate() }()
	_, err := pg.Relay(t.Context(), source.conn, copyOut(silentAt), target.conn, copyIn, nil)
	refusal(t, err, fault.ConnectionLost, pg.Stage, "FATAL: terminating connection")
	source.wants("ROLLBACK TO SAVEPOINT before_source; SELECT 1", "1")
}

func TestRelayEndsWhenTheSourceIsLost(t *testing.T) {
	source, target := newSide(t, nil).locked(), newSide(t, nil).arrived("g integer, v text")
	go func() { source.untilSilent(); source.terminate() }()
	_, err := pg.Relay(t.Context(), source.conn, copyOut(silentAt), target.conn, copyIn, nil)
	refusal(t, err, fault.ConnectionLost, pg.ReadSource, "In the source database: FATAL: terminating connection")
	target.usable()
}

// A stream that is cut between two rows looks whole to COPY: only the server's own end counts.
func TestRelayRefusesAStreamThatIsCut(t *testing.T) {
	cut := newProxy(t)
	source, target := newSide(t, cut), newSide(t, nil).arrived("g integer, v text")
	cut.after(1<<20, cutOff)
	_, err := pg.Relay(t.Context(), source.conn, copyOut("SELECT g, repeat('x', 50) FROM generate_series(1, 400000) AS g"), target.conn, copyIn, nil)
	refusal(t, err, fault.ConnectionLost, pg.ReadSource, "The connection to the source database was lost.")
	target.usable()
}

func TestRelayGivesUpOnASilentNetwork(t *testing.T) {
	for name, c := range map[string]struct {
		phase string
		rows  int // for the target: less than a block, so that the source has ended when the first byte goes out
		bytes int64
	}{"source": {pg.ReadSource, 1_000_000, 200_000}, "target": {pg.Stage, 1000, 5000}} {
		t.Run(name, func(t *testing.T) {
			silent := newProxy(t)
			between := map[string]*proxy{c.phase: silent}
			source, target := newSide(t, between[pg.ReadSource]), newSide(t, between[pg.Stage]).arrived("g integer, v text")
			deadline := expiring{t.Context(), make(chan struct{})}
			go func() { <-silent.reached; close(deadline.passed) }()
			silent.after(c.bytes, fallSilent)
			query := fmt.Sprintf("SELECT g, repeat('x', 50) FROM generate_series(1, %d) AS g", c.rows)
			_, err := pg.Relay(deadline, source.conn, copyOut(query), target.conn, copyIn, nil)
			refusal(t, err, fault.Timeout, c.phase, "The "+name+" database did not answer in time.")
			if c.phase == pg.ReadSource {
				target.usable()
			}
		})
	}
}

func TestRelaySurvivesAPanic(t *testing.T) {
	source, target := newSide(t, nil), newSide(t, nil).arrived("g integer, v text")
	_, err := pg.Relay(t.Context(), source.conn, copyOut("SELECT g, repeat('x', 50) FROM generate_series(1, 400000) AS g"), target.conn, copyIn, func(int64, int64) { panic("a defect") })
	refusal(t, err, fault.InternalError, pg.Stage, "Internal error in the relay: a defect")
	target.usable()
}
