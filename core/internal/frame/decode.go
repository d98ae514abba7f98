package frame

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// signature begins a binary COPY; flags and the length of an extension follow it.
// https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4
var signature = []byte("PGCOPY\n\xff\r\n\x00")

const headerBytes = 11 + 4 + 4

// codec decodes the values of one column; never NULL, which has no bytes. An error is a refusal, or errField for bytes that are not of the type.
type codec interface {
	layout() layout
	decode(v *Vector, row int, value []byte) error
}

// field is a column of the query.
type field struct {
	name   string
	format string
	codec  codec
}

// refusal is why a value cannot be taken. It names what it is, never the value, and the remedy.
type refusal struct{ what, remedy string }

func (r *refusal) Error() string { return r.what }

var errField = errors.New("a value is not of the column's type")

// errShort: the row goes on in the next message.
var errShort = errors.New("short")

type decoderState int

const (
	atHeader decoderState = iota
	atRows
	atEnd
)

// decoder turns the messages of a COPY into blocks. It is an io.Writer; rows and values may be cut by messages anywhere.
type decoder struct {
	fields []field
	emit   func(*Block) error // takes over the block

	state    decoderState
	pending  []byte // what is left of the messages so far, when it is no whole row
	need     int    // bytes that pending must have before it is worth another look
	columns  []Vector
	rows     int // of the current block
	capacity int // rows that the vectors have room for; 0 when there is no current block
	roomNext int // capacity that the next block begins with
	bytes    int // of the current block, as received
}

func newDecoder(fields []field, emit func(*Block) error) *decoder {
	return &decoder{fields: fields, emit: emit, need: headerBytes, roomNext: firstRows}
}

// Write takes a message. What is not decoded yet is copied: the driver uses the slice again.
func (d *decoder) Write(message []byte) (int, error) {
	if len(d.pending) == 0 {
		used, err := d.consume(message)
		if err == nil && used < len(message) {
			d.pending = append(d.pending, message[used:]...)
		}
		return len(message), err
	}
	d.pending = append(d.pending, message...)
	if len(d.pending) < d.need {
		return len(message), nil
	}
	used, err := d.consume(d.pending)
	d.pending = d.pending[:copy(d.pending, d.pending[used:])]
	if len(d.pending) == 0 && cap(d.pending) > 1<<20 {
		d.pending = nil // a long value is gone: so may its room
	}
	return len(message), err
}

// consume decodes as many whole rows as data begins with, and tells how many bytes that were.
func (d *decoder) consume(data []byte) (used int, err error) {
	if d.state == atHeader {
		if used, err = d.header(data); err != nil {
			return 0, ignoreShort(err)
		}
	}
	for used < len(data) && err == nil {
		var n int
		n, err = d.row(data[used:])
		used += n
	}
	return used, ignoreShort(err)
}

func ignoreShort(err error) error {
	if err == errShort { //nolint:errorlint // compared for each message, and never wrapped
		return nil
	}
	return err
}

func (d *decoder) header(data []byte) (int, error) {
	if len(data) < headerBytes {
		d.need = headerBytes
		return 0, errShort
	}
	flags, extension := binary.BigEndian.Uint32(data[11:]), binary.BigEndian.Uint32(data[15:])
	if !bytes.Equal(data[:11], signature) || flags != 0 || extension > 1<<20 {
		return 0, malformed("its header is not that of a binary COPY")
	}
	if end := headerBytes + int(extension); len(data) < end {
		d.need = end
		return 0, errShort
	}
	d.state = atRows
	return headerBytes + int(extension), nil
}

// row decodes the row that data begins with. Until its last field is there nothing of it counts: it is decoded again from its start, into the same
// places, once more of it has come.
func (d *decoder) row(data []byte) (int, error) {
	if len(data) < 2 {
		d.need = 2
		return 0, errShort
	}
	if count := int16(binary.BigEndian.Uint16(data)); int(count) != len(d.fields) || d.state == atEnd {
		return d.trailer(int(count))
	}
	if d.rows == d.capacity {
		d.makeRoom()
	}
	at := 2
	for i := range d.fields {
		if len(data)-at < 4 {
			d.need = at + 4
			return 0, errShort
		}
		size := int(int32(binary.BigEndian.Uint32(data[at:])))
		at += 4
		if size < 0 {
			d.columns[i].setNull(d.rows, d.capacity)
			continue
		}
		if len(data)-at < size {
			d.need = at + size
			return 0, errShort
		}
		if err := d.fields[i].codec.decode(&d.columns[i], d.rows, data[at:at+size]); err != nil {
			return 0, d.explain(i, err)
		}
		at += size
	}
	d.rows++
	d.bytes += at
	if d.rows == blockRows || d.bytes >= blockBytes {
		return at, d.flush()
	}
	return at, nil
}

func (d *decoder) trailer(count int) (int, error) {
	if count != -1 || d.state == atEnd {
		return 0, malformed("a row has another number of fields than the query has columns")
	}
	d.state = atEnd
	return 2, nil
}

// makeRoom begins a block, or lets it grow. The first one grows from little, the others begin with as much as the one before had.
func (d *decoder) makeRoom() {
	if d.capacity == 0 {
		d.columns = make([]Vector, len(d.fields))
		for i := range d.columns {
			d.columns[i] = newVector(d.fields[i].codec.layout())
		}
		d.capacity = d.roomNext
	} else {
		d.capacity = min(4*d.capacity, blockRows)
	}
	d.roomNext = d.capacity
	for i := range d.columns {
		d.columns[i].reserve(d.capacity)
	}
}

// flush hands the current block over.
func (d *decoder) flush() error {
	if d.rows == 0 {
		return nil
	}
	block := &Block{Rows: d.rows, Columns: d.columns, bytes: d.bytes}
	for i := range block.Columns {
		block.Columns[i].finish(d.rows)
	}
	d.columns, d.rows, d.capacity, d.bytes = nil, 0, 0, 0
	return d.emit(block)
}

// finish hands the last block over, once the server has said that all went well.
func (d *decoder) finish() error {
	if d.state != atEnd || len(d.pending) > 0 {
		return malformed("it ends in the middle")
	}
	return d.flush()
}

// discard frees the block that nobody will get.
func (d *decoder) discard() {
	for i := range d.columns {
		d.columns[i].free()
	}
	d.columns, d.rows, d.capacity = nil, 0, 0
}

// explain names the column of a value that cannot be taken.
func (d *decoder) explain(column int, err error) error {
	name := d.fields[column].name
	var refused *refusal
	if errors.As(err, &refused) {
		return fault.New(fault.DataError, "Column %s holds %s.", name, refused.what).WithHint(refused.remedy, name)
	}
	return malformed("the bytes of a value of column " + name + " are not of its type")
}

func malformed(what string) error {
	return fault.New(fault.InternalError, "The answer of the server cannot be understood: %s.", what)
}
