package run

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
)

// Looking must not be in anybody's way, nor take long.
const (
	lookLockTimeout = time.Second
	lookTimeout     = 30 * time.Second
)

// readOnly runs what only looks: in a transaction that can write nothing and is always rolled back. Its snapshot is taken at once; after that no
// statement can make it one that writes.
func readOnly(ctx context.Context, server *pg.Server, do func(l *load) error) error {
	session, err := server.Acquire(ctx)
	if err != nil {
		return err
	}
	defer session.Release()
	tx, err := session.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadOnly})
	if err != nil {
		return pg.Fault(err, "begin")
	}
	l := &load{server: server, source: server, session: session, tx: tx, watch: &watch{tell: func(Progress) {}}, findings: noFindings()}
	defer l.rollback(ctx)
	_, err = tx.Exec(ctx, "SELECT pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('statement_timeout', $2, true)",
		strconv.FormatInt(lookLockTimeout.Milliseconds(), 10)+"ms", strconv.FormatInt(lookTimeout.Milliseconds(), 10)+"ms")
	if err != nil {
		return pg.Fault(err, "settings")
	}
	err = do(l)
	if fault.Is(err, fault.LockTimeout) {
		return pg.Fault(err, "look").WithHint("Somebody has a table that is looked at here for himself, and this waits no longer than a second: ask again.")
	}
	return err
}

// Check has the server of the source look at the query of a load: it parses and plans it, and never runs it.
func Check(ctx context.Context, server *pg.Server, p *plan.Plan) error {
	return readOnly(ctx, server, func(l *load) error {
		l.plan = p
		_, err := l.explained(ctx)
		return err
	})
}

// explained is the server's plan of the query: text, or JSON where that is asked for. The query is parsed by itself first, as in a load: the extended protocol takes one
// statement only, and a text that is none in brackets by itself is none. In brackets it can be nothing but a query, and the list of options leaves no room for ANALYZE.
func (l *load) explained(ctx context.Context, options ...string) (text string, err error) {
	if err := l.checkQuery(ctx); err != nil {
		return "", err
	}
	columns := make([]string, len(l.plan.Needs))
	for i, name := range l.plan.Needs {
		columns[i] = "q." + ident.Quote(name)
	}
	sql := "EXPLAIN (" + strings.Join(append([]string{"COSTS true"}, options...), ", ") + ") SELECT " + strings.Join(columns, ", ") + "\nFROM (\n" + l.plan.Load.Query + "\n) AS q"
	results := l.tx.Conn().PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	if results.Err != nil {
		e := pg.Fault(results.Err, "source query")
		e.Message = "The source query cannot be run. " + e.Message
		return "", e
	}
	for _, row := range results.Rows {
		text += string(row[0]) + "\n"
	}
	return text, nil
}
