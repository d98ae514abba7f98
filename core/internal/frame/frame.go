// Package frame moves rows between PostgreSQL's binary COPY and Arrow.
//
// Reading: COPY (query) TO STDOUT, decoded inside the driver's write callback straight into blocks of columns in C memory, which go to the
// consumer through a short queue (read.go, decode.go, block.go). Writing: COPY FROM STDIN, encoded from Arrow arrays straight into the
// slices that the driver sends (write.go, encode.go). The codec of a column is chosen once, for reading by the type of the query's column, for
// writing by the type of the target's column and that of the Arrow column together.
package frame

import "time"

// Column is what the schema of a stream says of a column.
type Column struct {
	Name   string
	Format string // of the Arrow C data interface, such as "l" for int64
}

// Stream is a result on its way to one consumer. Columns and Done may be used at any time; Next, Ready and Close by one goroutine at a time.
type Stream interface {
	Columns() []Column
	// Next waits for the next block, which belongs to the caller then; nil at the end.
	Next() (*Block, error)
	// Ready waits until Next would not have to wait, for at most d.
	Ready(d time.Duration) bool
	// Close tells the query to end if it has not, and gives back what belongs to it. It does not wait for that.
	Close()
	// Done is closed when nothing of the stream is left at the server.
	Done() <-chan struct{}
}
