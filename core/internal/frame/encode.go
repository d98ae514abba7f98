package frame

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// encode appends the field of a row, its length before it; the value is not NULL. An error is a refusal.
type encode func(to []byte, row int) ([]byte, error)

// binding makes the encode of an array.
type binding func(arrow.Array) encode

// encoderColumn is a column on its way to the server.
type encoderColumn struct {
	name string
	bind binding

	// of the current batch:
	encode encode
	array  arrow.Array // nil when it holds no NULL
}

// encoder is the io.Reader that the driver sends: the binary COPY of all batches. Rows are written straight into the driver's slice; the last one of a
// slice may have to be cut, and its rest is carried over. Go's driver reads on a goroutine of its own, so that a panic has to be caught here.
type encoder struct {
	ctx      context.Context
	input    *Input
	columns  []encoderColumn
	progress func(rows, bytes int64)

	state   encoderState
	rows    int // of the current batch
	row     int // the next one
	passed  int64
	bytes   int64
	longest int    // bytes of the longest row so far
	carry   []byte // memory of a row that was cut
	rest    []byte // of carry: what is still to be sent
	err     error  // why it stopped, other than at the end
}

type encoderState int

const (
	encoderBegins encoderState = iota
	encoderRuns
	encoderEnded
)

// nullField is the length of a field that is NULL.
var nullField = []byte{0xff, 0xff, 0xff, 0xff}

func (e *encoder) Read(to []byte) (n int, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			broken := fault.New(fault.DataError, "The Arrow stream that came in is not valid.").
				WithHint("Its buffers do not fit its lengths, which is a defect of what made it.")
			broken.Detail = fmt.Sprintf("%v\n%s", panicked, debug.Stack())
			n, err = 0, broken
		}
		if err != nil && err != io.EOF { //nolint:errorlint // ours, as it is
			e.err = err
			err = errors.New("the rows cannot be encoded") // what the server gets to see, and its log
		}
	}()
	if err := e.ctx.Err(); err != nil {
		return 0, err
	}
	return e.fill(to)
}

// fill writes as much as fits.
func (e *encoder) fill(to []byte) (int, error) {
	out := to[:0:len(to)]
	if e.state == encoderBegins {
		e.state = encoderRuns
		header := append(append([]byte{}, signature...), make([]byte, 8)...)
		e.rest = header
	}
	for {
		n := copy(to[len(out):], e.rest)
		out, e.rest = to[:len(out)+n:len(to)], e.rest[n:]
		if len(out) == len(to) {
			e.bytes += int64(len(out))
			return len(out), nil
		}
		if e.state == encoderEnded {
			e.bytes += int64(len(out))
			return len(out), io.EOF
		}
		if e.row == e.rows {
			if err := e.nextBatch(); err != nil {
				return 0, err
			}
			continue
		}
		var err error
		if out, err = e.appendRows(out, to); err != nil {
			return 0, err
		}
	}
}

// appendRows appends the rows of the batch that are sure to fit, then one that may not.
func (e *encoder) appendRows(out, to []byte) ([]byte, error) {
	for e.row < e.rows && len(to)-len(out) >= e.longest {
		before := len(out)
		longer, err := e.appendRow(out)
		if err != nil {
			return nil, err
		}
		length := len(longer) - before
		e.longest = max(e.longest, length)
		e.row++
		if len(longer) > len(to) { // append had to move: the slice itself is as it was up to here
			e.carry = append(e.carry[:0], longer[before:]...)
			e.rest = e.carry
			return out, nil
		}
		out = longer
	}
	if e.row == e.rows {
		return out, nil
	}
	var err error
	if e.carry, err = e.appendRow(e.carry[:0]); err != nil {
		return nil, err
	}
	e.longest = max(e.longest, len(e.carry))
	e.row++
	e.rest = e.carry
	return out, nil
}

func (e *encoder) appendRow(to []byte) (_ []byte, err error) {
	to = binary.BigEndian.AppendUint16(to, uint16(len(e.columns)))
	for i := range e.columns {
		column := &e.columns[i]
		if column.array != nil && column.array.IsNull(e.row) {
			to = append(to, nullField...)
			continue
		}
		if to, err = column.encode(to, e.row); err != nil {
			return nil, e.explain(column.name, err)
		}
	}
	return to, nil
}

// explain names the column and the row, counted from 1 over the whole stream.
func (e *encoder) explain(column string, err error) error {
	var refused *refusal
	if !errors.As(err, &refused) {
		return err
	}
	return fault.New(fault.DataError, "Column %s, row %d holds %s.", column, e.passed+int64(e.row)+1, refused.what).WithHint("%s", refused.remedy)
}

// nextBatch binds the columns to the next batch that has rows, or ends the COPY.
func (e *encoder) nextBatch() error {
	e.passed += int64(e.rows)
	if e.progress != nil && e.rows > 0 {
		e.progress(e.passed, e.bytes)
	}
	e.row, e.rows = 0, 0
	batch, err := e.input.next()
	if err != nil {
		return err
	}
	if batch == nil {
		e.state = encoderEnded
		e.rest = []byte{0xff, 0xff}
		return nil
	}
	for i := range e.columns {
		array := batch.Column(i)
		e.columns[i].encode, e.columns[i].array = e.columns[i].bind(array), array
		if array.NullN() == 0 {
			e.columns[i].array = nil
		}
	}
	e.rows = int(batch.NumRows())
	return nil
}
