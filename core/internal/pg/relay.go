package pg

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// The phases of a relay, as its errors have them: on which side it failed.
const (
	ReadSource = "read source"
	Stage      = "stage"
)

const (
	// Measured: from 64 KiB on the size makes no difference; four let either side run ahead while the other waits for its disk.
	blockSize, blockCount = 128 << 10, 4
	// endWait is how long the other side gets to end its COPY after one has failed; then its session is given up.
	endWait = 10 * time.Second
	// idleReport is how often progress is told while no block is full.
	idleReport = 200 * time.Millisecond
)

// block is a piece of the stream, with the head of a CopyData message before it. Its borders mean nothing.
type block struct {
	message []byte
	rows    int64 // that had come from the source when it was full
}

const messageHead = 5 // the type and the length

// Of a binary COPY. https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.4
const headerSize, trailerSize = 19, 2

// relay carries the stream of one COPY into another.
type relay struct {
	ctx            context.Context //nolint:containedctx // of one call
	source, target *pgconn.PgConn
	progress       func(rows, bytes int64)

	free, full chan *block
	current    *block // the reader's
	rows       atomic.Int64
	begun      bool
	trailer    bool // the stream has ended as a binary COPY does
	sent       pgconn.CommandTag

	waiting   atomic.Bool // the reader waits for the target: all blocks are full, or the source has sent everything
	stopped   chan struct{}
	giveUp    func() // ends the COPY of the source
	failOnce  sync.Once
	failure   error
	failPhase string
}

// Relay runs copyOut (COPY ... TO STDOUT (FORMAT binary)) on the source and copyIn (COPY ... FROM STDIN (FORMAT binary)) on the target, and passes the bytes on undecoded,
// in a fixed number of blocks. Both sessions may be in a transaction. The error is that of the side which failed first, its phase says which: ReadSource or Stage. The
// other side is ended: its COPY fails and its transaction can go back to a savepoint, unless it does not answer either; then its session is closed. The number of
// rows is that of both servers; after an error, how many rows the source had sent.
//
// progress is called from one goroutine, and not after Relay has returned, with the rows that the source has sent and the bytes that have been passed on; it may be nil.
func Relay(ctx context.Context, source *pgconn.PgConn, copyOut string, target *pgconn.PgConn, copyIn string, progress func(rows, bytes int64)) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, Fault(err, ReadSource)
	}
	if err := beginCopy(ctx, target, copyIn); err != nil {
		if ctx.Err() != nil { // what the server says then is that it was cancelled
			err = ctx.Err()
		}
		return 0, Fault(err, Stage)
	}
	r := &relay{ctx: ctx, source: source, target: target, progress: progress, stopped: make(chan struct{})}
	r.free, r.full = make(chan *block, blockCount), make(chan *block, blockCount)
	for range blockCount {
		r.free <- &block{message: make([]byte, messageHead, blockSize)}
	}
	sourceCtx, giveUp := context.WithCancel(ctx)
	r.giveUp = giveUp
	defer giveUp()
	unwatch := context.AfterFunc(ctx, func() { r.fail(r.laggard(), ctx.Err()) })
	defer unwatch()

	var ends sync.WaitGroup
	ends.Go(func() { r.read(sourceCtx, copyOut) })
	ends.Go(r.write)
	received, err := r.answer(ctx)
	if err != nil {
		r.fail(Stage, err)
	}
	ends.Wait()
	if !r.failed() && received.RowsAffected() != r.sent.RowsAffected() {
		r.fail(Stage, fault.New(fault.InternalError, "The source sent %d rows, and %d arrived.", r.sent.RowsAffected(), received.RowsAffected()))
	}
	r.failOnce.Do(func() {}) // a cancellation comes too late now
	if r.failed() {
		_ = target.Conn().SetDeadline(time.Time{}) // a closed session does not care
		return r.rows.Load(), r.told()
	}
	return received.RowsAffected(), nil
}

// fail keeps the first failure, and ends both sides.
func (r *relay) fail(phase string, err error) {
	r.failOnce.Do(func() {
		if r.ctx.Err() != nil { // as above
			err = r.ctx.Err()
		}
		r.failure, r.failPhase = err, phase
		_ = r.target.Conn().SetDeadline(time.Now().Add(endWait))
		close(r.stopped)
		r.giveUp()
	})
}

func (r *relay) failed() bool {
	select {
	case <-r.stopped:
		return true
	default:
		return false
	}
}

// laggard is the side that the other one waits for.
func (r *relay) laggard() string {
	if r.waiting.Load() {
		return Stage
	}
	return ReadSource
}

// told is the failure with the side that it is of.
func (r *relay) told() error {
	e := Fault(r.failure, r.failPhase)
	e.Phase = r.failPhase
	side := "target"
	if r.failPhase == ReadSource {
		side = "source"
	}
	switch {
	case e.Kind == fault.InternalError:
	case e.SQLState == "":
		e.Message = strings.Replace(e.Message, "The connection to the server", "The connection to the "+side+" database", 1)
		e.Message = strings.Replace(e.Message, "The server", "The "+side+" database", 1)
	case r.failPhase == ReadSource:
		e.Message = "In the source database: " + e.Message
	}
	return e
}

// read runs the COPY of the source. The stream ends only when the source has said that it was all of it.
func (r *relay) read(ctx context.Context, sql string) {
	defer close(r.full)
	defer func() {
		if panicked := recover(); panicked != nil {
			r.fail(ReadSource, fault.Recovered("the relay", panicked))
			_ = r.source.Conn().Close() // in the middle of a stream it is of no use
		}
	}()
	tag, err := r.source.CopyTo(ctx, r, sql)
	switch {
	case err != nil:
		r.fail(ReadSource, err)
		return
	case !strings.HasPrefix(tag.String(), "COPY ") || !r.trailer:
		r.fail(ReadSource, fault.New(fault.InternalError, "The stream of the source ended without its end."))
		return
	}
	r.sent = tag
	r.waiting.Store(true)
	r.pass()
}

// Write takes what the source sends, one row at a time: the server writes a message for each.
func (r *relay) Write(data []byte) (int, error) {
	size := len(data)
	r.trailer = size >= trailerSize && data[size-1] == 0xff && data[size-2] == 0xff
	// The head of the stream comes with the first row, its end comes alone; both together are a stream without rows.
	if size != trailerSize && (r.begun || size != headerSize+trailerSize) {
		r.rows.Add(1)
	}
	r.begun = true
	for len(data) > 0 {
		if r.current == nil && !r.take() {
			return size, nil // an error would close the session: the rest is passed over until the server has ended the COPY
		}
		m := r.current.message
		n := copy(m[len(m):cap(m)], data)
		r.current.message = m[:len(m)+n]
		data = data[n:]
		if len(r.current.message) == cap(m) {
			r.pass()
		}
	}
	return size, nil
}

// take gets an empty block to fill, and reports false when the relay has failed.
func (r *relay) take() bool {
	select {
	case r.current = <-r.free:
		return true
	default:
	}
	r.waiting.Store(true)
	select {
	case r.current = <-r.free:
		r.waiting.Store(false)
		return true
	case <-r.stopped:
		return false
	}
}

// pass hands the current block to the writer. There is always room: full takes as many blocks as there are.
func (r *relay) pass() {
	if r.current != nil {
		r.current.rows = r.rows.Load()
		r.full <- r.current
		r.current = nil
	}
}
