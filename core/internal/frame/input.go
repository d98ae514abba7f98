package frame

// #include <stdlib.h>
import "C"

import (
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow/cdata"
)

// Input is an Arrow stream that came from outside.
type Input struct {
	stream unsafe.Pointer // ArrowArrayStream in C memory, nil once it is given back
}

// Import takes over an ArrowArrayStream in C memory.
func Import(stream unsafe.Pointer) *Input { return &Input{stream: stream} }

// Release gives the stream back to who made it. It may be called twice.
func (in *Input) Release() {
	if in.stream != nil {
		cdata.ReleaseCArrowArrayStream((*cdata.CArrowArrayStream)(in.stream))
		C.free(in.stream)
		in.stream = nil
	}
}
