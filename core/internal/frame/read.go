package frame

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

const (
	// queueBlocks is how far the server may be ahead of the consumer.
	queueBlocks = 2
	// endPatience is how long the end of a transaction may take whose stream nobody wants any more.
	endPatience = 5 * time.Second
)

// Query is what to read.
type Query struct {
	SQL      string
	Numeric  Numeric
	Buffered bool // all rows are fetched before Read returns: the stream never waits, and every error is one of Read
}

// Read runs the query in a read-only transaction and returns its rows when the first block, or an error, is there. It takes the session over and gives it
// back when the stream ends. ctx counts until Read returns; progress may be nil.
func Read(ctx context.Context, session *pgxpool.Conn, q Query, progress func(rows, bytes int64)) (Stream, error) {
	described, err := begin(ctx, session, q)
	if err != nil {
		endTransaction(session)
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &stream{cancel: cancel, queue: make(chan *Block, queueBlocks), done: make(chan struct{})}
	for _, f := range described.fields {
		s.columns = append(s.columns, Column{f.name, f.format})
	}
	go s.run(running, session, described)
	if err := s.fetch(ctx, q.Buffered, progress); err != nil {
		s.Close()
		<-s.done
		return nil, err
	}
	return s, nil
}

// begin opens the transaction and describes the query.
func begin(ctx context.Context, session *pgxpool.Conn, q Query) (*query, error) {
	conn := session.Conn().PgConn()
	statement := "BEGIN TRANSACTION READ ONLY"
	if conn.ParameterStatus("client_encoding") != "UTF8" {
		statement += "; SET LOCAL client_encoding TO 'UTF8'"
	}
	if err := conn.Exec(ctx, statement).Close(); err != nil {
		return nil, pg.Fault(err, "read")
	}
	return describe(ctx, conn, spec.TrimStatement(q.SQL), q.Numeric)
}

// endTransaction gives the session back, clean or closed.
func endTransaction(session *pgxpool.Conn) {
	defer session.Release() // a session that is still in its transaction is closed by the pool
	conn := session.Conn().PgConn()
	if conn.IsClosed() || conn.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endPatience)
	defer cancel()
	_ = conn.Exec(ctx, "ROLLBACK").Close() // of a transaction that only read
}

// stream is a COPY on its way: one goroutine receives and decodes, the consumer takes blocks from the queue.
type stream struct {
	columns []Column
	cancel  context.CancelFunc
	queue   chan *Block
	done    chan struct{}
	err     error // set before queue is closed

	mu    sync.Mutex
	ready []*Block // those that Read has fetched
}

func (s *stream) Columns() []Column     { return s.columns }
func (s *stream) Done() <-chan struct{} { return s.done }

func (s *stream) Next() (*Block, error) {
	s.mu.Lock()
	if len(s.ready) > 0 {
		block := s.ready[0]
		s.ready = s.ready[1:]
		s.mu.Unlock()
		return block, nil
	}
	s.mu.Unlock()
	if block, open := <-s.queue; open {
		return block, nil
	}
	return nil, s.err
}

func (s *stream) Ready(d time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) > 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case block, open := <-s.queue:
		if open {
			s.ready = append(s.ready, block)
		}
		return true
	case <-timer.C:
		return false
	}
}

func (s *stream) Close() {
	s.cancel()
	s.mu.Lock()
	ready := s.ready
	s.ready = nil
	s.mu.Unlock()
	for _, block := range ready {
		block.Free()
	}
	go func() {
		for block := range s.queue {
			block.Free()
		}
	}()
}

// fetch waits for the first block, or for all.
func (s *stream) fetch(ctx context.Context, all bool, progress func(rows, bytes int64)) error {
	var rows, bytes int64
	for {
		select {
		case block, open := <-s.queue:
			if !open {
				return s.err
			}
			s.ready = append(s.ready, block)
			if !all {
				return nil
			}
			rows += int64(block.Rows)
			bytes += int64(block.bytes)
			if progress != nil {
				progress(rows, bytes)
			}
		case <-ctx.Done():
			return pg.Fault(ctx.Err(), "read")
		}
	}
}

// run copies, ends the transaction and closes the queue, in this order: who sees the end of the stream finds the session free again.
func (s *stream) run(ctx context.Context, session *pgxpool.Conn, q *query) {
	defer close(s.done)
	defer close(s.queue)
	defer func() {
		if panicked := recover(); panicked != nil {
			s.err = fault.Recovered("reading", panicked)
			_ = session.Hijack().PgConn().Conn().Close() // nobody knows what state it is in
		}
	}()
	s.err = s.copy(ctx, session.Conn().PgConn(), q)
	endTransaction(session)
}

func (s *stream) copy(ctx context.Context, conn *pgconn.PgConn, q *query) error {
	d := newDecoder(q.fields, func(block *Block) error {
		select {
		case s.queue <- block:
			return nil
		case <-ctx.Done():
			block.Free()
			return ctx.Err()
		}
	})
	defer d.discard()
	receiver := &receiver{decoder: d, cancel: s.cancel}
	_, err := conn.CopyTo(ctx, receiver, q.copy)
	switch {
	case receiver.err != nil && !errors.Is(receiver.err, context.Canceled):
		return pg.Fault(receiver.err, "read")
	case ctx.Err() != nil:
		return pg.Fault(ctx.Err(), "read")
	case err != nil:
		return copyFault(err)
	}
	if err := d.finish(); err != nil {
		return pg.Fault(err, "read")
	}
	return nil
}

// copyFault explains a refusal of COPY. The statement has been described, so that it is valid by itself: a syntax error is one of COPY, which takes
// queries only.
func copyFault(err error) error {
	var server *pgconn.PgError
	if errors.As(err, &server) && server.Code == "42601" || errors.As(err, &server) && server.Code == "0A000" && server.Routine == "DoCopy" {
		return fault.New(fault.InvalidQuery, "This kind of statement cannot be read as a stream.").
			WithHint("Reading takes SELECT, VALUES, TABLE or WITH, and no INTO.").Because(err)
	}
	return pg.Fault(err, "read")
}

// receiver passes the messages to the decoder. An error of it must not reach the driver, which would close the connection: the query is cancelled,
// and what still comes is thrown away until the server has heard of it.
type receiver struct {
	decoder *decoder
	cancel  context.CancelFunc
	err     error
}

func (r *receiver) Write(message []byte) (n int, _ error) {
	if r.err != nil {
		return len(message), nil
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			r.err, n = fault.Recovered("decoding rows", panicked), len(message)
		}
		if r.err != nil {
			r.cancel()
		}
	}()
	_, r.err = r.decoder.Write(message)
	return len(message), nil
}
