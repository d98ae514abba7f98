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
		if _, err := l.explained(ctx); err != nil {
			return err
		}
		return l.checkTypes(ctx)
	})
}

// misassignedSQL finds the columns of a query whose type cannot be assigned to the declared one: what an INSERT would refuse when it is parsed. To texts everything
// can be assigned. A domain is as its base.
const misassignedSQL = `SELECT format('%I is %s where %s is declared', c.name, format_type(c.source, NULL), format_type(c.target, NULL))
FROM (
    SELECT g.n, g.name, CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS source, g.declared::regtype::oid AS target
    FROM unnest($1::text[], $2::oid[], $3::text[]) WITH ORDINALITY AS g (name, source, declared, n)
    JOIN pg_catalog.pg_type AS t ON t.oid = g.source
) AS c
JOIN pg_catalog.pg_type AS s ON s.oid = c.source
JOIN pg_catalog.pg_type AS d ON d.oid = c.target
WHERE c.source <> c.target AND s.typtype <> 'd' AND d.typcategory <> 'S'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_cast AS k WHERE k.castsource = c.source AND k.casttarget = c.target AND k.castcontext IN ('a', 'i'))
ORDER BY c.n`

// checkTypes compares the types of the query's columns with the declared ones. A type of somebody's own without a cast comes from another database as text, to which the same applies.
func (l *load) checkTypes(ctx context.Context) error {
	var names, declared []string
	var found []uint32
	for _, column := range l.plan.Request.Staged() {
		for _, field := range l.fields {
			if field.Name == column.From {
				names, found, declared = append(names, column.From), append(found, field.DataTypeOID), append(declared, column.Type.Base())
			}
		}
	}
	rows, err := l.tx.Query(ctx, misassignedSQL, names, found, declared)
	if err != nil {
		return pg.Fault(err, "source query")
	}
	wrong, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return pg.Fault(err, "source query")
	}
	if len(wrong) == 0 {
		return nil
	}
	return fault.New(fault.InvalidQuery, "The source query has columns that cannot be stored as declared: %s.", strings.Join(wrong, "; ")).
		WithHint("Cast them to the declared types in the query (column::type). A bare NULL or text constant counts as text there.")
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
