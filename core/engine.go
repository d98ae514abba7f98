package core

import (
	"context"
	"sync"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/run"
)

// Engine holds the open connections of one process. It may be used from any number of goroutines.
type Engine struct {
	mu      sync.Mutex
	servers map[int64]*pg.Server
	last    int64
}

// New makes an engine without connections.
func New() *Engine { return &Engine{servers: map[int64]*pg.Server{}} }

// call is one operation under way: what came with the message, and what goes back beside the answer.
type call struct {
	env      map[string]string
	input    RecordReader // the Arrow stream that came with the message, or nil
	output   RecordStream // the Arrow stream that goes back, or nil
	progress func(Progress)
}

// Progress is how far a call is. Only loads have more than phase, rows and bytes.
type Progress = run.Progress

func (e *Engine) server(id int64) (*pg.Server, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.servers[id]; s != nil {
		return s, nil
	}
	return nil, fault.New(fault.ConnectionFailed, "This connection is closed.").WithHint("Connect again.")
}

// session takes a session of a connection; the caller releases it.
func (e *Engine) session(ctx context.Context, id int64) (*pg.Session, error) {
	server, err := e.server(id)
	if err != nil {
		return nil, err
	}
	return server.Acquire(ctx)
}

type connectArgs struct {
	URL string `json:"url"`
}

type connectionInfo struct {
	Connection int64  `json:"connection"`
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Database   string `json:"dbname"`
	User       string `json:"user"`
	Redacted   string `json:"redacted"`
}

func (e *Engine) connect(ctx context.Context, c *call, args connectArgs) (connectionInfo, error) {
	dsn, err := pg.ParseDSN(args.URL)
	if err != nil {
		return connectionInfo{}, err
	}
	server, err := pg.Open(ctx, dsn, c.env)
	if err != nil {
		return connectionInfo{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	e.servers[e.last] = server
	return connectionInfo{e.last, dsn.Host, dsn.Port, dsn.Database, dsn.User, dsn.String()}, nil
}

type connectionArgs struct {
	Connection int64 `json:"connection"`
}

// disconnect closes a connection; one that is closed already is no error.
func (e *Engine) disconnect(_ context.Context, _ *call, args connectionArgs) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if server := e.servers[args.Connection]; server != nil {
		server.Close()
		delete(e.servers, args.Connection)
	}
	return nil, nil
}

func (e *Engine) ping(ctx context.Context, _ *call, args connectionArgs) (int, error) {
	server, err := e.server(args.Connection)
	if err != nil {
		return 0, err
	}
	return 1, server.Ping(ctx)
}
