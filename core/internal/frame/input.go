package frame

// #include <stdlib.h>
import "C"

import (
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/cdata"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Input is an Arrow stream that came from outside. Its maker may be anybody: whatever reads it recovers.
type Input struct {
	stream unsafe.Pointer // ArrowArrayStream in C memory, nil once reader has it
	reader array.RecordReader
}

// Import takes over an ArrowArrayStream in C memory. Nothing is read yet.
func Import(stream unsafe.Pointer) *Input { return &Input{stream: stream} }

// Open reads the schema.
func (in *Input) Open() (schema *arrow.Schema, err error) {
	defer recoverInput(&err)
	if in.stream == nil {
		return nil, fault.New(fault.InternalError, "The Arrow stream has been opened already.")
	}
	stream := in.stream
	in.stream = nil
	defer C.free(stream) // its contents are moved, the struct is ours
	imported, err := cdata.ImportCRecordReader((*cdata.CArrowArrayStream)(stream), nil)
	if err != nil {
		return nil, inputFault(err)
	}
	in.reader = imported.(array.RecordReader)
	return in.reader.Schema(), nil
}

// next reads the next batch, which is good until the one after it is read; nil at the end.
func (in *Input) next() (batch arrow.RecordBatch, err error) {
	defer recoverInput(&err)
	if in.reader.Next() {
		return in.reader.RecordBatch(), nil
	}
	if err := in.reader.Err(); err != nil {
		return nil, inputFault(err)
	}
	return nil, nil
}

// Release gives the stream back to who made it. It may be called again.
func (in *Input) Release() {
	defer func() { _ = recover() }() // of a release callback there is nobody left to tell
	switch {
	case in.stream != nil:
		stream := in.stream
		in.stream = nil
		cdata.ReleaseCArrowArrayStream((*cdata.CArrowArrayStream)(stream))
		C.free(stream)
	case in.reader != nil:
		reader := in.reader
		in.reader = nil
		reader.Release()
	}
}

func inputFault(err error) error {
	return fault.New(fault.DataError, "The Arrow stream that came in failed: %s.", err).Because(err)
}

// recoverInput turns a panic over data that contradict themselves (offsets outside the data, a missing buffer) into an error.
func recoverInput(err *error) {
	if panicked := recover(); panicked != nil {
		e := fault.New(fault.DataError, "The Arrow stream that came in is not valid.").
			WithHint("Its buffers do not fit its lengths, which is a defect of what made it.")
		e.Detail = fmt.Sprint(panicked)
		*err = e
	}
}
