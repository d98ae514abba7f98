package frame

// #include <stdlib.h>
import "C"

import "unsafe"

// memory is a piece of C memory: consumers keep column buffers for as long as they like, on any thread and past the end of the Go call, so
// that they cannot be Go's.
type memory struct {
	pointer unsafe.Pointer
	bytes   []byte // the whole piece
}

// grow makes the piece at least size bytes long. What was in it stays, what is new is undefined.
func (m *memory) grow(size int) {
	if size <= len(m.bytes) {
		return
	}
	moved := C.realloc(m.pointer, C.size_t(size))
	if moved == nil {
		panic("there is no memory for the next rows")
	}
	m.pointer, m.bytes = moved, unsafe.Slice((*byte)(moved), size)
}

// growFor is grow, at least doubling, for a piece that is filled little by little.
func (m *memory) growFor(size int) {
	if size > len(m.bytes) {
		m.grow(max(size, 2*len(m.bytes), 64))
	}
}

// take hands the piece over to somebody who will call free().
func (m *memory) take() unsafe.Pointer {
	pointer := m.pointer
	*m = memory{}
	return pointer
}

func (m *memory) free() { C.free(m.take()) }
