package core

import (
	"context"
	"time"
	"unsafe"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/frame"
)

// RecordReader is an Arrow stream that comes in.
type RecordReader = *frame.Input

// RecordStream is an Arrow stream that goes out, Block some of its rows.
type (
	RecordStream = frame.Stream
	Block        = frame.Block
)

// ImportStream takes over an ArrowArrayStream: a struct in C memory, made by malloc, that nobody else uses any more. It does not read
// from it yet. Release gives it back.
func ImportStream(stream unsafe.Pointer) RecordReader { return frame.Import(stream) }

// DescribeError gives an error in the two forms that leave the engine: as text for people, and as the answer of an operation.
func DescribeError(err error) (text string, reply []byte) { return err.Error(), encodeReply(nil, err) }

// Recovered is DescribeError for what recover() gave.
func Recovered(what string, panicked any) (text string, reply []byte) {
	return DescribeError(fault.Recovered(what, panicked))
}

// panicStream answers with a stream that panics when it is read, to prove that the callbacks of streams recover.
func (e *Engine) panicStream(_ context.Context, c *call, _ noArgs) (any, error) {
	c.output = brokenStream{}
	return nil, nil
}

type brokenStream struct{}

func (brokenStream) Columns() []frame.Column     { return []frame.Column{{Name: "never", Format: "i"}} }
func (brokenStream) Next() (*frame.Block, error) { panic("on purpose") }
func (brokenStream) Ready(time.Duration) bool    { return true }
func (brokenStream) Close()                      {}
func (brokenStream) Done() <-chan struct{}       { return alreadyDone }

var alreadyDone = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

type readArrowArgs struct {
	Connection int64         `json:"connection"`
	SQL        string        `json:"sql"`
	Numeric    frame.Numeric `json:"numeric"`
	Buffered   bool          `json:"buffered"` // all rows are fetched by the call; the stream does not wait any more
}

// readArrow answers with the rows of a query. It waits for the first of them: from then on they are the consumer's to fetch.
func (e *Engine) readArrow(ctx context.Context, c *call, args readArrowArgs) (any, error) {
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	q := frame.Query{SQL: args.SQL, Numeric: args.Numeric, Buffered: args.Buffered}
	c.output, err = frame.Read(ctx, session, q, func(rows, bytes int64) { c.progress(Progress{Phase: "read", Rows: rows, Bytes: bytes}) })
	return nil, err
}

type writeArrowArgs struct {
	Connection int64  `json:"connection"`
	Schema     string `json:"schema"`
	Table      string `json:"table"`
}

type rowsWritten struct {
	Rows int64 `json:"rows"`
}

// writeArrow appends the rows of the stream that came with the message to a table, in a transaction of its own.
func (e *Engine) writeArrow(ctx context.Context, c *call, args writeArrowArgs) (rowsWritten, error) {
	if c.input == nil {
		return rowsWritten{}, fault.New(fault.InvalidSpec, "The operation needs an Arrow stream, and none came with it.")
	}
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return rowsWritten{}, err
	}
	defer session.Release()
	rows, err := frame.Write(ctx, session, args.Schema, args.Table, c.input, func(rows, bytes int64) { c.progress(Progress{Phase: "write", Rows: rows, Bytes: bytes}) })
	return rowsWritten{rows}, err
}
