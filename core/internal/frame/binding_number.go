package frame

import (
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// integers gives the value of a row as a whole number.
type integers func(row int) (int64, error)

// valued is an array of plain numbers.
type valued[T any] interface{ Value(int) T }

func signed[T ~int8 | ~int16 | ~int32 | ~int64](a arrow.Array) integers {
	values := a.(valued[T])
	return func(row int) (int64, error) { return int64(values.Value(row)), nil }
}

func unsigned[T ~uint8 | ~uint16 | ~uint32 | ~uint64](a arrow.Array) integers {
	values := a.(valued[T])
	return func(row int) (int64, error) {
		value := uint64(values.Value(row))
		if value > math.MaxInt64 {
			return 0, errRange
		}
		return int64(value), nil
	}
}

// whole takes floats that are whole numbers.
func whole(get floats) integers {
	return func(row int) (int64, error) {
		value, err := get(row)
		switch {
		case err != nil:
			return 0, err
		case math.IsNaN(value) || math.IsInf(value, 0):
			return 0, errNotFinite
		case value != math.Trunc(value):
			return 0, errFraction
		case value < -(1<<63) || value >= 1<<63:
			return 0, errRange
		}
		return int64(value), nil
	}
}

// integersOf is how whole numbers are read from an Arrow type; nil where that is not to be.
func integersOf(from arrow.DataType) func(arrow.Array) integers {
	switch from.ID() {
	case arrow.INT8:
		return signed[int8]
	case arrow.INT16:
		return signed[int16]
	case arrow.INT32:
		return signed[int32]
	case arrow.INT64:
		return signed[int64]
	case arrow.UINT8:
		return unsigned[uint8]
	case arrow.UINT16:
		return unsigned[uint16]
	case arrow.UINT32:
		return unsigned[uint32]
	case arrow.UINT64:
		return unsigned[uint64]
	case arrow.FLOAT16, arrow.FLOAT32, arrow.FLOAT64:
		return func(a arrow.Array) integers { return whole(floatsOf(from)(a)) }
	case arrow.DECIMAL32, arrow.DECIMAL64, arrow.DECIMAL128, arrow.DECIMAL256:
		scale := int(from.(arrow.DecimalType).GetScale())
		return func(a arrow.Array) integers { return wholeDecimals(decimalsOf(a), scale) }
	}
	return nil
}

// floats gives the value of a row as a double.
type floats func(row int) (float64, error)

// floatsOf is how doubles are read from an Arrow type; nil where that is not to be.
func floatsOf(from arrow.DataType) func(arrow.Array) floats {
	switch from.ID() {
	case arrow.FLOAT16:
		return func(a arrow.Array) floats {
			values := a.(*array.Float16)
			return func(row int) (float64, error) { return float64(values.Value(row).Float32()), nil }
		}
	case arrow.FLOAT32:
		return func(a arrow.Array) floats {
			values := a.(*array.Float32)
			return func(row int) (float64, error) { return float64(values.Value(row)), nil }
		}
	case arrow.FLOAT64:
		return func(a arrow.Array) floats {
			values := a.(*array.Float64)
			return func(row int) (float64, error) { return values.Value(row), nil }
		}
	}
	if !arrow.IsInteger(from.ID()) {
		return nil
	}
	return func(a arrow.Array) floats {
		get := integersOf(from)(a)
		return func(row int) (float64, error) {
			value, err := get(row)
			if err != nil {
				return 0, err
			}
			double := float64(value)
			if double == 1<<63 || int64(double) != value {
				return 0, errNotExact
			}
			return double, nil
		}
	}
}
