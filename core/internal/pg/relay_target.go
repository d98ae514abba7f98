package pg

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// beginCopy brings the target to where it takes rows. Nothing is read from the source before.
func beginCopy(ctx context.Context, target *pgconn.PgConn, sql string) error {
	if err := target.SyncConn(ctx); err != nil {
		return err
	}
	target.Frontend().SendQuery(&pgproto3.Query{String: sql})
	if err := target.Frontend().Flush(); err != nil {
		return err
	}
	var refused error
	for {
		message, err := receive(ctx, target)
		if err != nil {
			return err
		}
		switch message := message.(type) {
		case *pgproto3.CopyInResponse:
			return nil
		case *pgproto3.ErrorResponse:
			refused = pgconn.ErrorResponseToPgError(message)
		case *pgproto3.ReadyForQuery:
			if refused == nil {
				refused = fault.New(fault.InternalError, "The statement is no COPY ... FROM STDIN.")
			}
			return refused
		}
	}
}

// receive takes the next message, also of a cancelled context: what a statement answers must be read to its end, or the session is lost.
func receive(ctx context.Context, conn *pgconn.PgConn) (pgproto3.BackendMessage, error) {
	if ctx.Err() != nil {
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
		defer cancel()
		ctx = late
	}
	message, err := conn.ReceiveMessage(ctx)
	if err != nil && !conn.IsClosed() { // after a timeout nobody knows what comes next
		now, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Millisecond)
		defer cancel()
		_ = conn.Close(now)
	}
	return message, err
}

// write sends the blocks to the target, then CopyDone, or CopyFail when it is not all there. It writes to the socket itself: the driver's buffer belongs to the
// goroutine that reads the answers.
func (r *relay) write() {
	last, err := (&pgproto3.CopyDone{}).Encode(nil)
	if pumped := r.pump(); pumped != nil {
		r.fail(Stage, pumped)
	}
	if r.failed() {
		last, err = (&pgproto3.CopyFail{Message: "the other side of the relay has ended"}).Encode(nil)
	}
	if err == nil {
		_, err = r.target.Conn().Write(last)
	}
	if err != nil {
		r.fail(Stage, err)
	}
}

func (r *relay) pump() (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fault.Recovered("the relay", panicked)
		}
	}()
	var bytes, told int64
	idle := time.NewTicker(idleReport)
	defer idle.Stop()
	for {
		var b *block
		open := true
		select {
		case <-idle.C: // rows that come slowly take long to fill a block
			if rows := r.rows.Load(); r.progress != nil && rows > told {
				told = rows
				r.progress(rows, bytes)
			}
			continue
		case b, open = <-r.full:
		case <-r.stopped:
			return nil
		}
		if !open {
			return nil
		}
		b.message[0] = 'd'
		binary.BigEndian.PutUint32(b.message[1:], uint32(len(b.message)-1)) //nolint:gosec // at most blockSize
		if _, err := r.target.Conn().Write(b.message); err != nil {
			return err
		}
		bytes += int64(len(b.message) - messageHead)
		rows := max(b.rows, told)
		told = rows
		b.message = b.message[:messageHead]
		r.free <- b
		if r.progress != nil {
			r.progress(rows, bytes)
		}
	}
}

// answer reads what the target says, up to the end of its COPY. It listens all the time, so that an error ends the relay at once, whatever the source does.
func (r *relay) answer(ctx context.Context) (tag pgconn.CommandTag, err error) {
	for {
		message, err := receive(ctx, r.target)
		if err != nil {
			return tag, err
		}
		switch message := message.(type) {
		case *pgproto3.ErrorResponse:
			r.fail(Stage, pgconn.ErrorResponseToPgError(message))
		case *pgproto3.CommandComplete:
			tag = pgconn.NewCommandTag(string(message.CommandTag))
		case *pgproto3.ReadyForQuery:
			if !r.failed() && !strings.HasPrefix(tag.String(), "COPY ") {
				return tag, errors.New("the target ended its COPY without saying how many rows it took")
			}
			return tag, nil
		}
	}
}
