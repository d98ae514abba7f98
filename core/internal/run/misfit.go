package run

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// misfit finds the columns whose values do not fit, which the server does not name. The query's rows are put into a temporary table of
// their own types, and each column is asked how many of its values cannot be stored; the transaction is given up in any case.
func (l *load) misfit(ctx context.Context, e *fault.Error) error {
	e.Message += ". Nothing was written."
	fields, from, err := l.raw(ctx, e)
	if err != nil {
		return e
	}
	names, conditions := l.suspects(fields)
	if len(names) == 0 {
		return e
	}
	counts := make([]int64, len(names))
	targets := make([]any, len(names))
	for i := range counts {
		targets[i] = &counts[i]
	}
	if err := l.tx.QueryRow(ctx, "SELECT "+strings.Join(conditions, ", ")+" FROM "+from+" AS q").Scan(targets...); err != nil {
		return e
	}
	var found []string
	for i, n := range counts {
		if n > 0 {
			found = append(found, misfits(n, names[i], l.plan.Table.Column(names[i]).Type.SQL()))
		}
	}
	if len(found) > 0 {
		e.Message = fmt.Sprintf("The source of %s has values that cannot be stored: %s. Nothing was written.", l.plan.Table, strings.Join(found, "; "))
		e.Hint = "Widen the declared type, or change the values in the query."
	}
	return e
}

// raw is a table of the query's rows, before they were converted.
func (l *load) raw(ctx context.Context, e *fault.Error) (fields []pgconn.FieldDescription, table string, err error) {
	if l.arrived != nil {
		_, err := l.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT arrived")
		return l.arrived, arrivedTable, err
	}
	if l.plan.Path == spec.CrossDB { // what COPY refuses it names itself, and the query is not of this database
		return nil, "", e
	}
	if _, err := l.tx.Exec(ctx, "ROLLBACK TO SAVEPOINT before_source"); err != nil {
		return nil, "", err
	}
	if fields, err = l.describe(ctx); err != nil {
		return nil, "", err
	}
	// If the query itself cannot compute a value this fails like the load did, and the server's message is all there is to say.
	if _, err := l.tx.Exec(ctx, "CREATE TEMPORARY TABLE _ematix_raw ON COMMIT DROP AS SELECT q.* FROM (\n"+l.plan.Load.Query+"\n) AS q"); err != nil {
		e.Hint = "The source query itself fails on some value."
		return nil, "", err
	}
	return fields, "pg_temp._ematix_raw", nil
}

func misfits(n int64, column, declared string) string {
	if n == 1 {
		return fmt.Sprintf("1 value in column %q does not fit %s", column, declared)
	}
	return fmt.Sprintf("%d values in column %q do not fit %s", n, column, declared)
}

// suspects are the columns whose type can refuse a value of the type that the query delivers, and the condition that counts such values.
func (l *load) suspects(fields []pgconn.FieldDescription) (names, conditions []string) {
	for _, f := range fields {
		c := l.plan.Table.Column(f.Name)
		if c == nil {
			continue
		}
		numeric := f.DataTypeOID == pgtype.Int2OID || f.DataTypeOID == pgtype.Int4OID || f.DataTypeOID == pgtype.Int8OID ||
			f.DataTypeOID == pgtype.Float4OID || f.DataTypeOID == pgtype.Float8OID || f.DataTypeOID == pgtype.NumericOID
		condition := c.Type.MisfitOf("q." + ident.Quote(c.Name))
		if condition == "" || (c.Type.Kind != "string" && !numeric) {
			continue
		}
		names, conditions = append(names, c.Name), append(conditions, "count(*) FILTER (WHERE "+condition+")")
	}
	return names, conditions
}
