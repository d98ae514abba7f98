package frame

import (
	"encoding/binary"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

var (
	errTimeRange = &refusal{"a date or time outside PostgreSQL's range", "Make it NULL first, or leave these rows out."}
	errNoDate    = &refusal{"a date with a time of day", "Make the column timestamp, or cut the time off first."}
)

// toMicroseconds converts by unit: down from nanoseconds by floor (documented), up exactly or not at all.
func toMicroseconds(value int64, unit arrow.TimeUnit) (int64, error) {
	factor := int64(1)
	switch unit {
	case arrow.Nanosecond:
		us := value / 1000
		if value%1000 < 0 {
			us--
		}
		return us, nil
	case arrow.Millisecond:
		factor = 1000
	case arrow.Second:
		factor = 1_000_000
	}
	if value > math.MaxInt64/factor || value < math.MinInt64/factor {
		return 0, errTimeRange
	}
	return value * factor, nil
}

// appendTimestamp writes microseconds since 1970. The two ends of int64 mean infinity and cannot be meant; the server refuses what else is out of its range.
func appendTimestamp(to []byte, us int64) ([]byte, error) {
	if us <= math.MinInt64+epochMicroseconds {
		return nil, errTimeRange
	}
	return binary.BigEndian.AppendUint64(append(to, 0, 0, 0, 8), uint64(us-epochMicroseconds)), nil
}

// timestampBinding takes timestamps of any unit, with a zone for timestamptz and without one for timestamp: the other way round a zone would have to
// be guessed. Dates are the midnights that they begin with, for timestamp.
func timestampBinding(from arrow.DataType, zoned bool) binding {
	switch from := from.(type) {
	case *arrow.TimestampType:
		if (from.TimeZone != "") != zoned {
			return nil
		}
		return func(a arrow.Array) encode {
			values := a.(*array.Timestamp)
			return func(to []byte, row int) ([]byte, error) {
				us, err := toMicroseconds(int64(values.Value(row)), from.Unit)
				if err != nil {
					return nil, err
				}
				return appendTimestamp(to, us)
			}
		}
	case *arrow.Date32Type:
		if zoned {
			return nil
		}
		return func(a arrow.Array) encode {
			values := a.(*array.Date32)
			return func(to []byte, row int) ([]byte, error) {
				return appendTimestamp(to, int64(values.Value(row))*dayMicroseconds)
			}
		}
	}
	return nil
}

func dateBinding(from arrow.DataType) binding {
	var days func(a arrow.Array) integers
	switch from.ID() {
	case arrow.DATE32:
		days = signed[arrow.Date32]
	case arrow.DATE64: // milliseconds, of whole days
		days = func(a arrow.Array) integers {
			values := a.(*array.Date64)
			return func(row int) (int64, error) {
				ms := int64(values.Value(row))
				if ms%86_400_000 != 0 {
					return 0, errNoDate
				}
				return ms / 86_400_000, nil
			}
		}
	default:
		return nil
	}
	return func(a arrow.Array) encode {
		get := days(a)
		return func(to []byte, row int) ([]byte, error) {
			value, err := get(row)
			if err != nil {
				return nil, err
			}
			if value -= epochDays; value <= math.MinInt32 || value >= math.MaxInt32 {
				return nil, errTimeRange // the ends would mean infinity
			}
			return binary.BigEndian.AppendUint32(append(to, 0, 0, 0, 4), uint32(int32(value))), nil
		}
	}
}

func timeBinding(from arrow.DataType) binding {
	var get func(arrow.Array) integers
	var unit arrow.TimeUnit
	switch from := from.(type) {
	case *arrow.Time32Type:
		get, unit = signed[arrow.Time32], from.Unit
	case *arrow.Time64Type:
		get, unit = signed[arrow.Time64], from.Unit
	default:
		return nil
	}
	return func(a arrow.Array) encode {
		get := get(a)
		return func(to []byte, row int) ([]byte, error) {
			value, err := get(row)
			if err == nil {
				value, err = toMicroseconds(value, unit)
			}
			if err != nil {
				return nil, err
			}
			if value < 0 || value >= dayMicroseconds {
				return nil, errTimeRange
			}
			return binary.BigEndian.AppendUint64(append(to, 0, 0, 0, 8), uint64(value)), nil
		}
	}
}
