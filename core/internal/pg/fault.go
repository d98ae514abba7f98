package pg

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Fault turns any error of a server call into a *fault.Error of the given phase. One that is a *fault.Error already passes through.
func Fault(err error, phase string) *fault.Error {
	var known *fault.Error
	if errors.As(err, &known) {
		if known.Phase == "" {
			known.Phase = phase
		}
		return known
	}
	e := classify(err)
	e.Phase = phase
	return e.Because(err)
}

func classify(err error) *fault.Error {
	var server *pgconn.PgError
	switch {
	case errors.As(err, &server):
		return fromServer(server)
	case errors.Is(err, context.Canceled):
		return fault.New(fault.QueryError, "The statement was cancelled.")
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Timeout, "The server did not answer in time.")
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return fault.New(fault.QueryError, "The server rolled the transaction back instead of committing it.")
	case isNetwork(err):
		return fault.New(fault.ConnectionLost, "The connection to the server was lost.")
	}
	// Texts of the driver hold no values; what may hold a DSN never comes here (Open).
	return fault.New(fault.QueryError, "%s", err)
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		err.Error() == "conn closed"
}

func fromServer(server *pgconn.PgError) *fault.Error {
	text := fault.WithoutValues(server.Code, server.Message)
	e := fault.New(fault.KindOf(server.Code), "%s: %s", server.Severity, text)
	e.Hint, e.Detail, e.SQLState = server.Hint, server.Detail, server.Code
	if e.Kind == fault.ConnectionLost {
		e.Message += ". The session ended, and with it what was not committed."
		if e.Hint == "" {
			e.Hint = "The server was stopped, or an administrator ended the session: run again when it is back."
		}
	}
	e.Retryable = e.Kind == fault.Conflict
	if e.Detail == "" && text != server.Message {
		e.Detail = server.Message
	}
	return e
}
