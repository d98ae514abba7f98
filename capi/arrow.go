//go:build capi

package main

// #include <stdlib.h>
// #include "arrow.h"
import "C"

import (
	"errors"
	"syscall"
	"time"
	"unsafe"

	"github.com/ematix/ematix-flow/core"
)

// streams are those that consumers hold.
var streams = table[core.RecordStream]{open: map[int64]core.RecordStream{}}

// exportStream writes the stream into the struct, which is zeroed; out.release stays NULL when there is no memory.
func exportStream(s core.RecordStream, out *C.struct_ArrowArrayStream) {
	id := streams.add(s)
	if !exportInto(s, C.int64_t(id), out) {
		streams.remove(id)
		closeStream(s)
	}
}

func exportInto(s core.RecordStream, id C.int64_t, out *C.struct_ArrowArrayStream) bool {
	var schema C.struct_ArrowSchema
	columns := s.Columns()
	if C.flow_schema_new(&schema, C.int64_t(len(columns))) != 0 {
		return false
	}
	for i, column := range columns {
		name, format := C.CString(column.Name), C.CString(column.Format)
		failed := C.flow_schema_column(&schema, C.int64_t(i), name, format)
		C.free(unsafe.Pointer(name))
		C.free(unsafe.Pointer(format))
		if failed != 0 {
			return false
		}
	}
	return C.flow_stream_new(out, id, &schema) == 0
}

// flowStreamNext is the get_next of our streams: 0 with the next block or, at the end, with out as it was (released); else an errno.
//
//export flowStreamNext
func flowStreamNext(stream *C.struct_ArrowArrayStream, out *C.struct_ArrowArray) (errno C.int) {
	fail := func(code syscall.Errno, text string, fault []byte) {
		C.flow_stream_fail(stream, C.CString(text), C.CString(string(fault)))
		errno = C.int(code)
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			text, fault := core.Recovered("reading a stream", panicked)
			fail(syscall.EIO, text, fault)
		}
	}()
	s := streams.get(int64(C.flow_stream_id(stream)))
	if s == nil {
		text, fault := core.DescribeError(errors.New("this stream is closed"))
		fail(syscall.EINVAL, text, fault)
		return errno
	}
	block, err := s.Next()
	switch {
	case err != nil:
		text, fault := core.DescribeError(err)
		fail(syscall.EIO, text, fault)
	case block != nil && !exportBlock(block, out):
		text, fault := core.DescribeError(errors.New("there is no memory for the next rows"))
		fail(syscall.ENOMEM, text, fault)
	}
	return errno
}

// flowStreamReady waits until the stream's get_next would not have to, for some milliseconds at most: 1 it is so, 0 not yet. A stream that is not
// known is as ready as it will be.
//
//export flowStreamReady
func flowStreamReady(id C.int64_t, milliseconds C.longlong) (ready C.int) {
	defer func() {
		if recover() != nil {
			ready = 1
		}
	}()
	s := streams.get(int64(id))
	if s == nil || s.Ready(time.Duration(milliseconds)*time.Millisecond) {
		return 1
	}
	return 0
}

// exportBlock moves the memory of the block into the array.
func exportBlock(block *core.Block, out *C.struct_ArrowArray) bool {
	if C.flow_array_new(out, C.int64_t(block.Rows), C.int64_t(len(block.Columns))) != 0 {
		block.Free()
		return false
	}
	whole := true
	for i := range block.Columns {
		column := &block.Columns[i]
		buffers := column.Take()
		whole = C.flow_array_column(out, C.int64_t(i), C.int64_t(column.Nulls), C.int64_t(column.Buffers), buffers[0], buffers[1], buffers[2]) == 0 && whole
	}
	return whole // what is missing leaves a NULL child, which release_array knows
}

// flowStreamRelease forgets a stream. Its query is told to end, which is not waited for.
//
//export flowStreamRelease
func flowStreamRelease(id C.int64_t) {
	defer func() { _ = recover() }()
	if s := streams.remove(int64(id)); s != nil {
		closeStream(s)
	}
}
