// Package frame moves rows between PostgreSQL's binary COPY and Arrow.
package frame

import "github.com/apache/arrow-go/v18/arrow/array"

// RecordReader is an Arrow stream that comes in.
type RecordReader = array.RecordReader

// Stream is an Arrow stream that goes out (to be completed).
type Stream interface {
	Close()
}
