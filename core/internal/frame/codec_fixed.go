package frame

import (
	"encoding/binary"
	"math"
)

// Codecs of the types whose values all have one size. Their binary forms are those of PostgreSQL's *send functions: big endian.

type boolCodec struct{}

func (boolCodec) layout() layout { return layoutBits }

func (boolCodec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 1 {
		return errField
	}
	v.setBit(row, value[0] != 0)
	return nil
}

// fixed16Codec, fixed32Codec and fixed64Codec take integers and floats as they are.
type fixed16Codec struct{}

func (fixed16Codec) layout() layout { return 2 }

func (fixed16Codec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 2 {
		return errField
	}
	v.setUint16(row, binary.BigEndian.Uint16(value))
	return nil
}

type fixed32Codec struct{}

func (fixed32Codec) layout() layout { return 4 }

func (fixed32Codec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 4 {
		return errField
	}
	v.setUint32(row, binary.BigEndian.Uint32(value))
	return nil
}

type fixed64Codec struct{}

func (fixed64Codec) layout() layout { return 8 }

func (fixed64Codec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 8 {
		return errField
	}
	v.setUint64(row, binary.BigEndian.Uint64(value))
	return nil
}

// PostgreSQL counts from 2000-01-01, Arrow from 1970-01-01.
const (
	epochDays         = 10957
	epochMicroseconds = epochDays * dayMicroseconds
	dayMicroseconds   = 86_400_000_000
)

var errInfiniteTime = &refusal{"an infinite date or time, which Arrow does not have", "Cast it in the query: %s::text."}

type dateCodec struct{}

func (dateCodec) layout() layout { return 4 }

func (dateCodec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 4 {
		return errField
	}
	days := int32(binary.BigEndian.Uint32(value))
	if days == math.MinInt32 || days == math.MaxInt32 {
		return errInfiniteTime
	}
	v.setUint32(row, uint32(days+epochDays)) // PostgreSQL's dates end far below the last int32
	return nil
}

type timestampCodec struct{}

func (timestampCodec) layout() layout { return 8 }

var errFarTime = &refusal{"a time after the year 294246, where Arrow's microseconds end", "Cast it in the query: %s::text."}

func (timestampCodec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 8 {
		return errField
	}
	us := int64(binary.BigEndian.Uint64(value))
	if us == math.MinInt64 || us == math.MaxInt64 {
		return errInfiniteTime
	}
	if us > math.MaxInt64-epochMicroseconds {
		return errFarTime
	}
	v.setUint64(row, uint64(us+epochMicroseconds))
	return nil
}

type timeCodec struct{}

func (timeCodec) layout() layout { return 8 }

var errMidnight = &refusal{"the time 24:00:00, which Arrow does not have", "Cast it in the query: %s::text."}

func (timeCodec) decode(v *Vector, row int, value []byte) error {
	if len(value) != 8 {
		return errField
	}
	us := binary.BigEndian.Uint64(value)
	if us == dayMicroseconds {
		return errMidnight
	}
	v.setUint64(row, us)
	return nil
}
