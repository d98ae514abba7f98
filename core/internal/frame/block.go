package frame

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

const (
	// blockRows is the number of rows of a block: large enough that the cost of a block vanishes, small enough to stay in the cache's reach.
	blockRows = 64 << 10
	// blockBytes cuts a block of long rows earlier, to bound the memory of a stream. It also keeps 32-bit offsets far from their end: a
	// value has at most 1 GiB.
	blockBytes = 16 << 20
	// firstRows is the room that the first block begins with. Most results of interactive use are small.
	firstRows = 1 << 10
)

// Block is some rows, column by column, in C memory.
type Block struct {
	Rows    int
	Columns []Vector

	bytes int // as received
}

// Free gives the memory back; for a block that nobody took over.
func (b *Block) Free() {
	for i := range b.Columns {
		b.Columns[i].free()
	}
}

// layout is how the values of a column lie in memory.
type layout int

const (
	layoutBits     layout = 0  // one bit a value
	layoutVariable layout = -1 // 32-bit offsets and bytes; any other layout is the width of a value in bytes
)

// Vector is a column of a block. Rows that are not counted yet may be written again and again: nothing of a row is kept until its block says so.
type Vector struct {
	Nulls   int // set by finish
	Buffers int // of the Arrow layout: validity, values; validity, offsets, data

	layout   layout
	validity memory // empty while there is no NULL
	values   memory // offsets of variable columns
	data     memory
}

func newVector(l layout) Vector {
	if l == layoutVariable {
		return Vector{layout: l, Buffers: 3}
	}
	return Vector{layout: l, Buffers: 2}
}

// reserve makes room for rows.
func (v *Vector) reserve(rows int) {
	switch v.layout {
	case layoutBits:
		v.values.grow(bitmapBytes(rows))
	case layoutVariable:
		v.values.grow(4 * (rows + 1))
		binary.NativeEndian.PutUint32(v.values.bytes, 0)
		v.data.growFor(1) // some consumers want a pointer even to nothing
	default:
		v.values.grow(rows * int(v.layout))
	}
	if v.validity.pointer != nil {
		v.reserveValidity(rows)
	}
}

// reserveValidity makes all new rows valid: only NULLs cost something.
func (v *Vector) reserveValidity(rows int) {
	before := len(v.validity.bytes)
	v.validity.grow(bitmapBytes(rows))
	for i := before; i < len(v.validity.bytes); i++ {
		v.validity.bytes[i] = 0xff
	}
}

// bitmapBytes rounds to whole 64-bit words.
func bitmapBytes(rows int) int { return (rows + 63) / 64 * 8 }

// setNull makes a row NULL; capacity is the number of rows that are reserved.
func (v *Vector) setNull(row, capacity int) {
	if v.validity.pointer == nil {
		v.reserveValidity(capacity)
	}
	v.validity.bytes[row>>3] &^= 1 << (row & 7)
	switch v.layout {
	case layoutBits:
		v.setBit(row, false)
	case layoutVariable:
		v.setBytes(row, nil)
	default:
		clear(v.values.bytes[row*int(v.layout) : (row+1)*int(v.layout)])
	}
}

func (v *Vector) setBit(row int, on bool) {
	if on {
		v.values.bytes[row>>3] |= 1 << (row & 7)
	} else {
		v.values.bytes[row>>3] &^= 1 << (row & 7)
	}
}

func (v *Vector) setUint16(row int, value uint16) {
	binary.NativeEndian.PutUint16(v.values.bytes[row*2:], value)
}

func (v *Vector) setUint32(row int, value uint32) {
	binary.NativeEndian.PutUint32(v.values.bytes[row*4:], value)
}

func (v *Vector) setUint64(row int, value uint64) {
	binary.NativeEndian.PutUint64(v.values.bytes[row*8:], value)
}

// setBytes copies the value of a variable column.
func (v *Vector) setBytes(row int, value []byte) { copy(v.room(row, len(value)), value) }

// room is where the value of a variable column goes, of exactly size bytes.
func (v *Vector) room(row, size int) []byte {
	start := int(binary.NativeEndian.Uint32(v.values.bytes[row*4:]))
	end := start + size
	if end > len(v.data.bytes) {
		v.data.growFor(end)
	}
	binary.NativeEndian.PutUint32(v.values.bytes[row*4+4:], uint32(end))
	return v.data.bytes[start:end]
}

// finish counts the NULLs of the rows that are there.
func (v *Vector) finish(rows int) {
	v.Nulls = 0
	if v.validity.pointer == nil {
		return
	}
	valid, whole := 0, rows/8
	for _, b := range v.validity.bytes[:whole] {
		valid += bits.OnesCount8(b)
	}
	if rest := rows % 8; rest > 0 {
		valid += bits.OnesCount8(v.validity.bytes[whole] & (1<<rest - 1))
	}
	v.Nulls = rows - valid
}

// Take hands the buffers over, in the order of the Arrow layout, to somebody who will call free() on them.
func (v *Vector) Take() [3]unsafe.Pointer {
	return [3]unsafe.Pointer{v.validity.take(), v.values.take(), v.data.take()}
}

func (v *Vector) free() {
	v.validity.free()
	v.values.free()
	v.data.free()
}
