package testkit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/testkit"
)

func TestTheProxyTreatsConnectionsAsTold(t *testing.T) {
	url := testkit.Server(t)
	proxy := testkit.NewProxy(t, url)
	ctx := context.Background()
	connect := func() *pgx.Conn { return testkit.Connect(t, proxy.URL()) }
	ask := func(conn *pgx.Conn) error {
		var text string
		return conn.QueryRow(ctx, "SELECT repeat('x', 5000)").Scan(&text)
	}

	proxy.Slice(100)
	proxy.Latency(time.Millisecond)
	if err := ask(connect()); err != nil {
		t.Errorf("slow: %v", err)
	}
	proxy.Heal()
	conn := connect()
	proxy.CutAfter(1000)
	if ask(conn) == nil || ask(connect()) != nil {
		t.Error("only the connection that was cut should fail")
	}
	proxy.Refuse()
	if conn, err := pgx.Connect(ctx, proxy.URL()); err == nil {
		_ = conn.Close(ctx)
		t.Error("a refused connection was made")
	}
	proxy.Listen()
	conn = connect()
	proxy.Silence()
	short, cancel := context.WithCancel(ctx)
	go func() {
		<-proxy.Held()
		cancel()
	}()
	if _, err := conn.Exec(short, "SELECT 1"); err == nil {
		t.Error("silence was answered")
	}
	proxy.Heal()

	testkit.Exec(t, url, "CREATE TABLE public.t (x int)")
	conn = connect()
	proxy.Swallow("INTO public.t", 2, nil)
	if _, err := conn.Exec(ctx, "INSERT INTO public.t VALUES (1)"); err != nil {
		t.Error(err)
	}
	if _, err := conn.Exec(ctx, "INSERT INTO public.t VALUES (2)"); err == nil {
		t.Error("the second answer arrived")
	}
	if rows := testkit.Rows(t, url, "SELECT count(*) FROM public.t"); rows[0][0] != "2" {
		t.Errorf("%s rows, want 2: the statement whose answer vanishes is done", rows[0][0])
	}
}

func TestAClusterIsStoppedAndStarted(t *testing.T) {
	c := testkit.NewCluster(t, "work_mem=7MB")
	testkit.Exec(t, c.URL, "CREATE TABLE public.t (x int)")
	for _, mode := range []string{"fast", "immediate"} {
		c.Stop(mode)
		if conn, err := pgx.Connect(t.Context(), c.URL); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("%s: it is not stopped", mode)
		}
		c.Start()
		rows := testkit.Rows(t, c.URL, "SELECT current_setting('work_mem'), count(*) FROM public.t")
		if got := strings.Join(rows[0], " "); got != "7MB 0" {
			t.Errorf("%s: %s, want 7MB 0", mode, got)
		}
	}
}
