package run_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/testkit"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// place is a fresh database: the engine's connection to it, and an observer that is not ours.
type place struct {
	t        *testing.T
	url      string
	server   *pg.Server
	observer *pgx.Conn
	source   *pg.Server // of loads from another server; the same one where it is nil
}

func newPlace(t *testing.T) *place {
	t.Helper()
	url := testkit.Server(t)
	return &place{t: t, url: url, server: open(t, url), observer: testkit.Connect(t, url)}
}

func open(t *testing.T, url string) *pg.Server {
	t.Helper()
	dsn, err := pg.ParseDSN(url)
	if err != nil {
		t.Fatal(err)
	}
	server, err := pg.Open(context.Background(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// customers is the table of most tests: id is the key.
func customers() *spec.Table {
	t, err := spec.DecodeTable([]byte(`{"schema": "w", "name": "customers", "columns": [
		{"name": "id", "type": {"kind": "big_int"}, "nullable": false, "primary_key": true},
		{"name": "name", "type": {"kind": "string", "length": 10}, "nullable": false, "primary_key": false},
		{"name": "balance", "type": {"kind": "numeric", "precision": 6, "scale": 2}, "nullable": true, "primary_key": false}]}`))
	if err != nil {
		panic(err)
	}
	return t
}

// load is a load of customers by id.
func load(mode spec.Mode, query string) *spec.Load {
	l := &spec.Load{Target: customers(), Augment: true, Mode: mode, Query: query, PipelineName: "p", OnDrift: spec.DriftError, OnBusy: spec.BusyWait, LockTimeoutMS: 10_000}
	if mode.Keyed() {
		l.Keys = []string{"id"}
	}
	return l
}

func values(rows ...string) string {
	return "SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") AS v (id, name, balance)"
}

func (p *place) sync(l *spec.Load) (*run.Result, error) {
	p.t.Helper()
	return p.syncOn(context.Background(), p.server, l)
}

func (p *place) syncOn(ctx context.Context, server *pg.Server, l *spec.Load) (*run.Result, error) {
	p.t.Helper()
	made, err := plan.Make(l)
	if err != nil {
		return nil, err
	}
	source := p.source
	if source == nil {
		source = server
	}
	return run.Sync(ctx, server, source, made, "test", func(run.Progress) {})
}

func (p *place) must(l *spec.Load) *run.Result {
	p.t.Helper()
	r, err := p.sync(l)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *place) exec(sql string, args ...any) {
	p.t.Helper()
	if _, err := p.observer.Exec(context.Background(), sql, args...); err != nil {
		p.t.Fatal(err)
	}
}

// connect opens another session that is not ours, to be called with SQL.
func (p *place) connect() func(sql string) {
	p.t.Helper()
	conn := testkit.Connect(p.t, p.url)
	return func(sql string) {
		p.t.Helper()
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			p.t.Fatal(err)
		}
	}
}

// text is the rows of a query, values separated by spaces, rows by line breaks.
func (p *place) text(sql string) string {
	p.t.Helper()
	var lines []string
	for _, row := range p.rows(sql) {
		lines = append(lines, strings.Join(row, " "))
	}
	return strings.Join(lines, "\n")
}

func (p *place) rows(sql string) [][]string {
	p.t.Helper()
	if p.observer == nil || p.observer.PgConn().TxStatus() != 'I' {
		return testkit.Rows(p.t, p.url, sql) // what is seen must not depend on a transaction of the observer's
	}
	return testkit.RowsOf(p.t, p.observer, sql)
}

func (p *place) wants(what, sql, want string) {
	p.t.Helper()
	if got := p.text(sql); got != want {
		p.t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

// refused runs a load that must fail with the kind and message, and leave the table as it is.
func (p *place) refused(l *spec.Load, kind fault.Kind, message string) {
	p.t.Helper()
	const all = "SELECT coalesce(string_agg(t::text, ',' ORDER BY t::text), '') FROM w.customers AS t"
	before := "no table"
	exists := func() bool { return p.text("SELECT to_regclass('w.customers')") != "NULL" }
	if exists() {
		before = p.text(all)
	}
	_, err := p.sync(l)
	if !fault.Is(err, kind) {
		p.t.Fatalf("error %v (%T), want kind %s", err, err, kind)
	}
	if got := err.Error(); !strings.HasPrefix(got, message) {
		p.t.Errorf("message:\n%s\nwant:\n%s", got, message)
	}
	after := "no table"
	if exists() {
		after = p.text(all)
	}
	if after != before {
		p.t.Errorf("the refused load changed the table from %q to %q", before, after)
	}
}

// until waits for a condition of the catalogue.
func (p *place) until(sql string) {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for p.text(sql) != "t" {
		if time.Now().After(deadline) {
			p.t.Fatalf("it never became true: %s", sql)
		}
	}
}

func column(name, kind string, nullable, pk bool, values ...int) spec.Column {
	return spec.Column{Name: name, Type: types.Must(kind, values...), Nullable: nullable, PrimaryKey: pk}
}
