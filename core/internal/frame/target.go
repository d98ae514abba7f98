package frame

import (
	"context"
	"fmt"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

// targetColumn is a column of a table that rows are written to.
type targetColumn struct {
	name      string
	oid       uint32 // of a domain: that of its base type
	kind      string // as format_type shows it
	enum      bool
	generated bool
	required  bool // NOT NULL, and nothing fills it
}

// A domain's values are sent as those of its base type, and the server checks the domain; domains over domains are rare enough to be left out.
const targetQuery = `SELECT a.attname, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END::oid,
       pg_catalog.format_type(a.atttypid, a.atttypmod), t.typtype = 'e', a.attgenerated <> '',
       (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`

// targetOf looks a table up.
func targetOf(ctx context.Context, tx pgx.Tx, schema, table string) ([]targetColumn, error) {
	var oid uint32
	var kind string
	err := tx.QueryRow(ctx, `SELECT c.oid, c.relkind::text FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = $2`, schema, table).Scan(&oid, &kind)
	switch {
	case err == pgx.ErrNoRows: //nolint:errorlint // Scan returns it as it is
		return nil, fault.New(fault.TargetNotLoadable, "There is no table %s.", ident.Qualified(schema, table)).
			WithHint("Create it first, and mind the exact spelling: names are taken as they are given.")
	case err != nil:
		return nil, pg.Fault(err, "write")
	case kind != "r" && kind != "p":
		return nil, fault.New(fault.TargetNotLoadable, "%s is not a table.", ident.Qualified(schema, table)).
			WithHint("Rows are written to tables, not to views or other relations.")
	}
	rows, err := tx.Query(ctx, targetQuery, oid)
	if err != nil {
		return nil, pg.Fault(err, "write")
	}
	columns, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c targetColumn, err error) {
		return c, row.Scan(&c.name, &c.oid, &c.kind, &c.enum, &c.generated, &c.required)
	})
	if err != nil {
		return nil, pg.Fault(err, "write")
	}
	return columns, nil
}

// match finds the target column of each field, by name.
func match(relation string, columns []targetColumn, schema *arrow.Schema) ([]targetColumn, error) {
	byName := map[string]targetColumn{}
	for _, column := range columns {
		byName[column.name] = column
	}
	var matched []targetColumn
	var unknown []string
	for _, field := range schema.Fields() {
		column, found := byName[field.Name]
		switch {
		case len(schema.FieldIndices(field.Name)) > 1:
			return nil, fault.New(fault.InvalidSpec, "The rows have two columns of the name %s.", ident.Quote(field.Name))
		case found && column.generated:
			return nil, fault.New(fault.InvalidSpec, "Column %s of %s is generated: it cannot be written.", ident.Quote(field.Name), relation).
				WithHint("Leave it out of the rows.")
		case !found:
			unknown = append(unknown, field.Name)
		}
		matched = append(matched, column)
	}
	if len(unknown) > 0 {
		return nil, fault.New(fault.InvalidSpec, "%s has no %s %s.", relation, plural("column", unknown), list(unknown)).
			WithHint("Columns are matched by their exact names. Leave the others out of the rows, or add them to the table.")
	}
	if len(matched) == 0 {
		return nil, fault.New(fault.InvalidSpec, "The rows have no columns.")
	}
	var missing []string
	for _, column := range columns {
		if column.required && !schema.HasField(column.name) {
			missing = append(missing, column.name)
		}
	}
	if len(missing) > 0 {
		return nil, fault.New(fault.InvalidSpec, "The rows lack the %s %s, which %s requires (NOT NULL without a default).", plural("column", missing), list(missing), relation)
	}
	return matched, nil
}

func plural(word string, of []string) string {
	if len(of) > 1 {
		return word + "s"
	}
	return word
}

// list shows names in messages: any text, since they came from outside and may be no names at all.
func list(names []string) string {
	shown := make([]string, len(names))
	for i, name := range names {
		shown[i] = fmt.Sprintf("%q", name)
	}
	return strings.Join(shown, ", ")
}
