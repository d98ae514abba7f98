package core

import (
	"context"
	"errors"
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
func (brokenStream) Close()                      {}
func (brokenStream) Done() <-chan struct{}       { return alreadyDone }

var alreadyDone = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// errNoStream is what an operation says that needs a stream and got none.
var errNoStream = errors.New("this operation needs an Arrow stream")
