package pg

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// poolSize is the most server connections that one Connection opens (documented).
const poolSize = 8

// Session is one server connection, taken from the pool.
type Session = pgxpool.Conn

// Server is one database that we are connected to: a pool of sessions.
type Server struct {
	DSN  *DSN
	pool *pgxpool.Pool
}

// Open connects and makes one round trip. env is the environment of the calling process, for the PG* variables.
func Open(ctx context.Context, dsn *DSN, env map[string]string) (*Server, error) {
	config, err := pgxpool.ParseConfig(dsn.driverURL(env))
	if err != nil {
		// The driver's text may quote parts of the URL: only what it is about is told.
		return nil, fault.New(fault.ConfigError, "The connection to %s has a setting that cannot be used.", dsn.where()).
			WithHint("Check the query part of its URL (sslmode, connect_timeout, ...), the files that it names, and the PG* environment variables.")
	}
	config.MaxConns, config.MinConns = poolSize, 0
	// No named statements and no prepared-statement cache: they break behind PgBouncer in transaction mode.
	config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	config.ConnConfig.StatementCacheCapacity, config.ConnConfig.DescriptionCacheCapacity = 0, 0
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "ematix-flow"
	}
	// Each use begins with the connection's own settings and no temporary tables, whatever the statements of an earlier use left behind. The round trip also finds a
	// session that died while it was idle; it is replaced.
	config.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		_, err := conn.Exec(ctx, "DISCARD ALL")
		return err == nil, ctx.Err()
	}
	config.ConnConfig.DialFunc = dialer(config.ConnConfig.ConnectTimeout).DialContext
	// A cancelled context asks the server to cancel the statement, and gives up on the socket only if that does not help.
	config.ConnConfig.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, CancelRequestDelay: 0, DeadlineDelay: 5 * time.Second}
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, connectFault(err, dsn)
	}
	s := &Server{DSN: dsn, pool: pool}
	if err := s.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// Ping makes one round trip.
func (s *Server) Ping(ctx context.Context) error {
	session, err := s.Acquire(ctx)
	if err != nil {
		return err
	}
	defer session.Release()
	if _, err := session.Exec(ctx, "SELECT 1"); err != nil {
		return Fault(err, "ping")
	}
	return nil
}

// startupWait is how long a server that starts up, or recovers from a crash, is waited for.
const startupWait = 10 * time.Second

// Acquire takes a session from the pool, made anew when need be.
func (s *Server) Acquire(ctx context.Context) (*Session, error) {
	deadline := time.Now().Add(startupWait)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		session, err := s.pool.Acquire(ctx)
		if err == nil {
			return session, nil
		}
		var server *pgconn.PgError
		if !errors.As(err, &server) || server.Code != "57P03" || time.Now().Add(pause).After(deadline) {
			return nil, connectFault(err, s.DSN)
		}
		select {
		case <-ctx.Done():
			return nil, connectFault(err, s.DSN)
		case <-time.After(pause):
		}
	}
}

// Dedicated opens a session of its own beside the pool; the caller closes it.
func (s *Server) Dedicated(ctx context.Context) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, connectFault(err, s.DSN)
	}
	return conn, nil
}

// Close ends all sessions; those in use end when they are released.
func (s *Server) Close() { go s.pool.Close() }

// where names a server without secrets.
func (d *DSN) where() string {
	return "database " + d.Database + " on " + d.Host + " port " + strconv.Itoa(d.Port) + " as " + d.User
}

// connectFault says why there is no session. Nothing of the driver's own text is used: it quotes the URL.
func connectFault(err error, dsn *DSN) error {
	if errors.Is(err, context.Canceled) {
		return fault.New(fault.QueryError, "Connecting was cancelled.").Because(err)
	}
	e := fault.New(fault.ConnectionFailed, "No connection to %s.", dsn.where()).Because(err)
	e.Phase = "connect"
	var server *pgconn.PgError
	var name *net.DNSError
	var op *net.OpError
	text := err.Error()
	switch {
	case errors.As(err, &server):
		e.Message += " " + fromServer(server).Message + "."
		e.Kind, e.SQLState = fault.KindOf(server.Code), server.Code
		switch server.Code {
		case "28P01":
			e.Hint = "Check the user and the password of this connection."
		case "28000":
			e.Hint = "The server does not let this user in this way: check the user, and the server's pg_hba.conf."
		case "3D000":
			e.Hint = "Check the database name, or create the database."
		case "53300":
			e.Hint = "All connections of the server are in use: close some, or raise max_connections."
		case "57P03":
			e.Hint = "The server is starting up or shutting down: try again in a moment."
		default:
			e.Hint = server.Hint
		}
		if e.Kind == fault.InvalidQuery { // a setting that the server does not know
			e.Kind, e.Hint = fault.ConfigError, "Check the query part of the URL: what is no setting of a connection is taken for one of the server."
		}
		if e.Kind == fault.ConnectionLost || e.Kind == fault.QueryError {
			e.Kind = fault.ConnectionFailed
		}
	case strings.Contains(text, "server refused TLS connection"):
		e.Kind = fault.TLSError
		e.Message += " It does not offer TLS, which sslmode=require asks for; that is the default for hosts that are not local."
		e.Hint = "Turn TLS on at the server, or allow plain text by adding ?sslmode=disable (or prefer) to the URL."
	case strings.Contains(text, "tls:") || strings.Contains(text, "x509:"):
		e.Kind = fault.TLSError
		e.Message += " The TLS connection could not be made or its certificate not verified."
		e.Hint = "Check sslmode and sslrootcert of the URL, and the server's certificate and host name."
	case errors.As(err, &name):
		e.Message += " The host name is not known."
		e.Hint = "Check the host of this connection."
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		e.Message += " The server did not answer in time."
		e.Hint = "Check host, port and firewall; connect_timeout in the URL sets how long to wait (10 seconds by default)."
	case errors.As(err, &op) && op.Op == "dial":
		e.Message += " Nothing listens there: " + op.Err.Error() + "."
		e.Hint = "Check host and port, and that the server is running."
	case strings.Contains(text, "password"):
		e.Kind = fault.AuthenticationFailed
		e.Message += " The server asks for a password and the connection has none."
		e.Hint = "Put it into the URL, PGPASSWORD or ~/.pgpass."
	default:
		e.Hint = "Check that host and port belong to a PostgreSQL server."
	}
	return e
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
