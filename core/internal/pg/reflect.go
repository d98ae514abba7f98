package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ddl"
)

// The flags of pg_class stay set for a while after the last child or rule is gone.
const relationSQL = `
SELECT c.oid::bigint, c.relkind::text, c.relhassubclass AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid),
       c.relhasrules AND EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2`

const columnsSQL = `
SELECT a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       coalesce(a.attnum = ANY (k.conkey), false), a.attgenerated <> '' OR a.attidentity = 'a',
       (a.atthasdef AND a.attgenerated = '') OR a.attidentity = 'd',
       coalesce((SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname) FROM pg_catalog.pg_collation l JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
           WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation), '')
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'p'
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`

const uniqueSQL = `
SELECT (SELECT array_agg(a.attname::text ORDER BY u.place)
        FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum)
FROM pg_catalog.pg_constraint k
WHERE k.conrelid = $1::bigint::oid AND k.contype = 'u'
ORDER BY k.conname`

// Querier runs queries: a session or a transaction of one.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Reflect describes a relation, or returns nil when there is none of that name. It needs no rights on it.
func Reflect(ctx context.Context, q Querier, schema, name string) (*ddl.Found, error) {
	oid, found, err := relation(ctx, q, schema, name)
	if err != nil || found == nil {
		return nil, err
	}
	rows, err := q.Query(ctx, columnsSQL, oid)
	if err != nil {
		return nil, Fault(err, "reflect")
	}
	found.Columns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c ddl.FoundColumn, err error) {
		return c, row.Scan(&c.Name, &c.Formatted, &c.Nullable, &c.PrimaryKey, &c.Generated, &c.Default, &c.Collation)
	})
	if err != nil {
		return nil, Fault(err, "reflect")
	}
	rows, err = q.Query(ctx, uniqueSQL, oid)
	if err != nil {
		return nil, Fault(err, "reflect")
	}
	if found.Unique, err = pgx.CollectRows(rows, pgx.RowTo[[]string]); err != nil {
		return nil, Fault(err, "reflect")
	}
	return found, nil
}

// relation is what one look at the catalogue tells: whether there is one of that name, and of which kind.
func relation(ctx context.Context, q Querier, schema, name string) (oid int64, found *ddl.Found, err error) {
	var kind string
	var children, rules bool
	err = q.QueryRow(ctx, relationSQL, schema, name).Scan(&oid, &kind, &children, &rules)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, Fault(err, "reflect")
	}
	return oid, &ddl.Found{Kind: kind[0], Children: children && kind == "r", Rules: rules}, nil
}
