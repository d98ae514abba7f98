package pg

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// ReadCommitted is how our own transactions run, whatever the session's defaults: a lock comes first, and what others committed while we waited for it is seen.
var ReadCommitted = pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite}

// Execute runs one statement of the user's and commits it. The number is the rows that it changed or returned, 0 for DDL.
func (s *Server) Execute(ctx context.Context, sql string) (int64, error) {
	session, err := s.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer session.Release()
	tag, err := ExecOne(ctx, session.Conn().PgConn(), sql)
	if err != nil {
		return 0, Fault(err, "execute")
	}
	return tag.RowsAffected(), nil
}

// ExecOne runs exactly one statement: the extended protocol refuses several in one text. Rows that it returns are passed over.
func ExecOne(ctx context.Context, conn *pgconn.PgConn, sql string) (pgconn.CommandTag, error) {
	return conn.ExecParams(ctx, sql, nil, nil, nil, nil).Close()
}

// ExecuteAll runs the statements in one transaction, all or nothing.
func (s *Server) ExecuteAll(ctx context.Context, statements []string) error {
	session, err := s.Acquire(ctx)
	if err != nil {
		return err
	}
	defer session.Release()
	tx, err := session.Begin(ctx)
	if err != nil {
		return Fault(err, "begin")
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // after Commit it does nothing, and before it the first error counts
	for _, sql := range statements {
		if _, err := ExecOne(ctx, session.Conn().PgConn(), sql); err != nil {
			return Fault(err, "execute")
		}
		if session.Conn().PgConn().TxStatus() == 'I' {
			return fault.New(fault.InvalidQuery, "A statement ended the transaction that all of them should be in.").
				WithHint("Leave COMMIT and ROLLBACK out: execute_in_transaction commits by itself.")
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return Fault(err, "commit")
	}
	return nil
}

// ScalarInt is the first column of the first row of a query, which must be an integer.
func (s *Server) ScalarInt(ctx context.Context, sql string) (int64, error) {
	session, err := s.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer session.Release()
	rows := session.Conn().PgConn().ExecParams(ctx, sql, nil, nil, nil, nil)
	var first []byte
	found := rows.NextRow()
	if found && len(rows.Values()) > 0 {
		first = append(first, rows.Values()[0]...)
		found = rows.Values()[0] != nil
	}
	fields := rows.FieldDescriptions()
	integer := len(fields) > 0 && (fields[0].DataTypeOID == pgtype.Int2OID || fields[0].DataTypeOID == pgtype.Int4OID || fields[0].DataTypeOID == pgtype.Int8OID)
	if _, err := rows.Close(); err != nil {
		return 0, Fault(err, "query")
	}
	value, err := strconv.ParseInt(string(first), 10, 64)
	switch {
	case !integer:
		return 0, fault.New(fault.InvalidQuery, "The query's first column is not an integer.").WithHint("Cast it, for example: count(*)::bigint.")
	case !found || err != nil:
		return 0, fault.New(fault.DataError, "The query gave no row, or NULL, where an integer was asked for.")
	}
	return value, nil
}
