package core

import "github.com/ematix/ematix-flow/core/internal/frame"

// RecordReader is an Arrow stream that comes in.
type RecordReader = frame.RecordReader

// RecordStream is an Arrow stream that goes out.
type RecordStream = frame.Stream
