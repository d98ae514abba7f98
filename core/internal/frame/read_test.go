package frame

import (
	"context"
	"fmt"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// opened is a server for the test, and its URL.
func opened(t testing.TB) (*pg.Server, string) {
	t.Helper()
	url := testkit.Server(t)
	dsn, err := pg.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	server, err := pg.Open(context.Background(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server, url
}

func begun(t testing.TB, server *pg.Server, q Query) (Stream, error) {
	t.Helper()
	session, err := server.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return Read(context.Background(), session, q, nil)
}

// all reads the stream to its end and counts the rows.
func all(s Stream) (rows int, err error) {
	defer s.Close()
	for {
		block, err := s.Next()
		if block == nil || err != nil {
			return rows, err
		}
		rows += block.Rows
		block.Free()
	}
}

const endless = "SELECT generate_series(1, 100000000) AS g, repeat('x', 100) AS t /* endless */"

func TestClosedStreamsLeaveNothingAtTheServer(t *testing.T) {
	server, url := opened(t)
	for reads := range 3 {
		s, err := begun(t, server, Query{SQL: endless})
		if err != nil {
			t.Fatal(err)
		}
		for range reads {
			block, err := s.Next()
			if err != nil {
				t.Fatal(err)
			}
			block.Free()
		}
		s.Close()
		<-s.Done()
	}
	left := testkit.Rows(t, url, "SELECT state, query FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'")
	if len(left) != 0 {
		t.Fatal(left)
	}
}

func TestTheEndOfAStreamIsTheEndOfItsTransaction(t *testing.T) {
	server, _ := opened(t)
	for range 30 { // more than the pool has sessions
		s, err := begun(t, server, Query{SQL: "SELECT g FROM generate_series(1, 70000) AS g"})
		if err != nil {
			t.Fatal(err)
		}
		if rows, err := all(s); rows != 70000 || err != nil {
			t.Fatal(rows, err)
		}
	}
}

func TestABufferedReadKnowsEveryErrorAtOnce(t *testing.T) {
	server, _ := opened(t)
	const sql = "SELECT 1 / (%d - g) AS v FROM generate_series(1, 200000) AS g"
	if _, err := begun(t, server, Query{SQL: fmt.Sprintf(sql, 150000), Buffered: true}); !fault.Is(err, fault.DataError) {
		t.Fatal(err)
	}
	s, err := begun(t, server, Query{SQL: fmt.Sprintf(sql, 0), Buffered: true})
	if err != nil {
		t.Fatal(err)
	}
	<-s.Done() // nothing is left at the server although nobody has read
	if rows, err := all(s); rows != 200000 || err != nil {
		t.Fatal(rows, err)
	}
}

func TestACancelledReadEnds(t *testing.T) {
	server, _ := opened(t)
	ctx, cancel := context.WithCancel(context.Background())
	session, err := server.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	go cancel()
	if _, err := Read(ctx, session, Query{SQL: "SELECT pg_sleep(300)"}, nil); err == nil {
		t.Fatal("it went on")
	}
	if err := server.Ping(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkRead reads a million rows of eight columns; what it measures is mostly the server. Its profile shows what the client costs beside it.
func BenchmarkRead(b *testing.B) {
	server, _ := opened(b)
	const sql = `SELECT g, g::bigint * 7, g / 7.0::float8, (g * 0.01)::numeric(12,2), 'name ' || g, g % 2 = 0,
       timestamptz '2020-01-01' + g * interval '1 s', CASE WHEN g % 5 > 0 THEN date '2020-01-01' + g % 1000 END
FROM generate_series(1, 1000000) AS g`
	for b.Loop() {
		s, err := begun(b, server, Query{SQL: sql})
		if err != nil {
			b.Fatal(err)
		}
		if rows, err := all(s); rows != 1_000_000 || err != nil {
			b.Fatal(rows, err)
		}
	}
}
