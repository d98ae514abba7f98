package frame

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

// Write appends the rows of the stream to a table, in a transaction of its own, and counts them. progress may be nil.
func Write(ctx context.Context, session *pgxpool.Conn, schema, table string, in *Input, progress func(rows, bytes int64)) (int64, error) {
	tx, err := session.Begin(ctx)
	if err != nil {
		return 0, pg.Fault(err, "write")
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after Commit it does nothing, and before it the first error counts
	rows, err := CopyInto(ctx, tx, schema, table, in, progress)
	if err != nil {
		return 0, err
	}
	if err := tx.Commit(ctx); err != nil {
		e := pg.Fault(err, "commit")
		if e.Kind == fault.ConnectionLost {
			e = fault.New(fault.CommitUnknown, "The connection was lost while the rows were committed: nobody knows whether %s has them.", ident.Qualified(schema, table)).
				WithHint("Look into the table before the rows are written again.").Because(err)
		}
		return 0, e
	}
	return rows, nil
}

// CopyInto writes the rows of the stream to a table, inside the transaction of the caller.
func CopyInto(ctx context.Context, tx pgx.Tx, schema, table string, in *Input, progress func(rows, bytes int64)) (int64, error) {
	for _, name := range []struct{ what, name string }{{"schema", schema}, {"table", table}} {
		if err := ident.Check(name.what, name.name); err != nil {
			return 0, err
		}
	}
	fields, err := in.Open()
	if err != nil {
		return 0, err
	}
	columns, err := targetOf(ctx, tx, schema, table)
	if err != nil {
		return 0, err
	}
	relation := ident.Qualified(schema, table)
	if columns, err = match(relation, columns, fields); err != nil {
		return 0, err
	}
	e := &encoder{ctx: ctx, input: in, progress: progress}
	names := make([]string, len(columns))
	for i, column := range columns {
		bind, err := bindingFor(&column, fields.Field(i).Type)
		if err != nil {
			return 0, err
		}
		names[i] = column.name
		e.columns = append(e.columns, encoderColumn{name: column.name, bind: bind})
	}
	statement := fmt.Sprintf("COPY %s (%s) FROM STDIN (FORMAT binary)", relation, ident.List(names))
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, e, statement)
	if e.err != nil && ctx.Err() == nil { // the server only repeats it
		return 0, pg.Fault(e.err, "write")
	}
	if err != nil {
		return 0, writeFault(ctx, err)
	}
	return tag.RowsAffected(), nil
}

// place is what the server says of where it was in a binary COPY.
var place = regexp.MustCompile(`, line (\d+), column (.+)$`)

// writeFault names the column and row of a value that the server refused, where it says so.
func writeFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return pg.Fault(ctx.Err(), "write")
	}
	e := pg.Fault(err, "write")
	var server *pgconn.PgError
	if errors.As(err, &server) {
		if at := place.FindStringSubmatch(server.Where); at != nil {
			e.Message += fmt.Sprintf(" (column %s, row %s)", at[2], at[1])
		}
	}
	return e
}
