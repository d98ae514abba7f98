package pg

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// indexColumns holds for indexes whose columns are the keys $2 and nothing else.
const indexColumns = `(SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE "C") FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
        = (SELECT array_agg(k ORDER BY k COLLATE "C") FROM unnest($2::text[]) AS k)`

const currentIndexSQL = `SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index AS i
    WHERE i.indrelid = $1::regclass AND i.indisvalid AND i.indnatts = cardinality($2::text[]) AND ` + indexColumns + `
      AND pg_catalog.pg_get_expr(i.indpred, i.indrelid) = $3`

// guardSQL asks whether the table $1 has a guard on the keys $2 that says $3.
var guardSQL = map[ddl.GuardKind]string{
	ddl.CurrentIndex:  currentIndexSQL + ")",
	ddl.CurrentUnique: currentIndexSQL + " AND i.indisunique AND i.indnullsnotdistinct)",
	ddl.Validity: `SELECT EXISTS (SELECT FROM pg_catalog.pg_constraint
    WHERE conrelid = $1::regclass AND contype = 'c' AND $2::text[] IS NOT NULL AND pg_catalog.pg_get_constraintdef(oid) = $3)`,
	ddl.NoOverlap: `SELECT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS c
    JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.conindid
    WHERE c.conrelid = $1::regclass AND c.contype = 'x' AND i.indisvalid AND i.indpred IS NULL AND i.indnatts = cardinality($2::text[]) + 1 AND ` + indexColumns + `
      AND pg_catalog.pg_get_expr(i.indexprs, i.indrelid) = $3
      AND (SELECT bool_and(o.oprname = CASE WHEN u.attnum = 0 THEN '&&' ELSE '=' END)
           FROM unnest(c.conexclop, i.indkey::int2[]) AS u (operator, attnum) JOIN pg_catalog.pg_operator AS o ON o.oid = u.operator))`,
}

// HasGuard reports whether a table has a guard on the keys, under whatever name.
func HasGuard(ctx context.Context, q Querier, table *spec.Table, keys []string, guard ddl.Guard) (there bool, err error) {
	if err := q.QueryRow(ctx, guardSQL[guard.Kind], ident.Qualified(table.Schema, table.Name), keys, guard.Says).Scan(&there); err != nil {
		return false, Fault(err, "guards")
	}
	return there, nil
}

// HasExtension reports whether the database has an extension.
func HasExtension(ctx context.Context, q Querier, name string) (there bool, err error) {
	if err := q.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = $1)", name).Scan(&there); err != nil {
		return false, Fault(err, "reflect")
	}
	return there, nil
}
