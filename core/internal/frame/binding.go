package frame

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// bindingFor chooses how an Arrow type is written to a column. Only what keeps every value, or refuses it by name, has a binding.
func bindingFor(column *targetColumn, from arrow.DataType) (binding, error) {
	if !writable(column) {
		return nil, fault.NotBuilt(fmt.Sprintf("Writing column %s of type %s", column.name, column.kind))
	}
	if bind := chooseBinding(column, from); bind != nil {
		return bind, nil
	}
	return nil, fault.NotBuilt(fmt.Sprintf("Writing column %s of type %s from Arrow's %s", column.name, column.kind, from)).
		WithHint("Convert the column to a type that is the same in PostgreSQL, before it is written.")
}

var writableTypes = map[uint32]bool{
	pgtype.Int2OID: true, pgtype.Int4OID: true, pgtype.Int8OID: true, pgtype.Float4OID: true, pgtype.Float8OID: true, pgtype.NumericOID: true,
	pgtype.BoolOID: true, pgtype.TextOID: true, pgtype.VarcharOID: true, pgtype.BPCharOID: true, pgtype.NameOID: true, pgtype.DateOID: true,
	pgtype.TimeOID: true, pgtype.TimestampOID: true, pgtype.TimestamptzOID: true, pgtype.JSONOID: true, pgtype.JSONBOID: true,
	pgtype.UUIDOID: true, pgtype.ByteaOID: true,
}

func writable(column *targetColumn) bool { return column.enum || writableTypes[column.oid] }

// chooseBinding is nil where there is none. Encodings and extension types are unwrapped first.
func chooseBinding(column *targetColumn, from arrow.DataType) binding {
	switch wrapped := from.(type) {
	case *arrow.NullType:
		return func(arrow.Array) encode {
			return func(to []byte, _ int) ([]byte, error) { return append(to, nullField...), nil }
		}
	case *arrow.DictionaryType:
		return dictionaryBinding(chooseBinding(column, wrapped.ValueType))
	case arrow.ExtensionType:
		inner := chooseBinding(column, wrapped.StorageType())
		if inner == nil {
			return nil
		}
		return func(a arrow.Array) encode { return inner(a.(array.ExtensionArray).Storage()) }
	}
	if column.enum {
		return textBinding(from, -1)
	}
	switch column.oid {
	case pgtype.Int2OID:
		return integerBinding(from, 2)
	case pgtype.Int4OID:
		return integerBinding(from, 4)
	case pgtype.Int8OID:
		return integerBinding(from, 8)
	case pgtype.Float4OID:
		return floatBinding(from, 4)
	case pgtype.Float8OID:
		return floatBinding(from, 8)
	case pgtype.NumericOID:
		return numericBinding(from)
	case pgtype.BoolOID:
		return boolBinding(from)
	case pgtype.JSONBOID:
		return textBinding(from, 1) // the version of the format stands before the text
	case pgtype.DateOID:
		return dateBinding(from)
	case pgtype.TimeOID:
		return timeBinding(from)
	case pgtype.TimestampOID:
		return timestampBinding(from, false)
	case pgtype.TimestamptzOID:
		return timestampBinding(from, true)
	case pgtype.UUIDOID:
		return uuidBinding(from)
	case pgtype.ByteaOID:
		return bytesBinding(from)
	}
	return textBinding(from, -1)
}

func dictionaryBinding(inner binding) binding {
	if inner == nil {
		return nil
	}
	return func(a arrow.Array) encode {
		dictionary := a.(*array.Dictionary)
		values := dictionary.Dictionary()
		write := inner(values)
		return func(to []byte, row int) ([]byte, error) {
			i := dictionary.GetValueIndex(row)
			if values.IsNull(i) {
				return append(to, nullField...), nil
			}
			return write(to, i)
		}
	}
}

var (
	errRange      = &refusal{"a number outside the range of the column's type", "Give the column a wider type, or leave these rows out."}
	errFraction   = &refusal{"a number with a fraction, for a column of whole numbers", "Round it first, or give the column another type."}
	errNotFinite  = &refusal{"NaN or infinity, for a column of whole numbers", "Make it NULL first, or give the column another type."}
	errNotExact   = &refusal{"a whole number that a floating-point column cannot hold exactly", "Convert it to floating point first, or make the column numeric."}
	errFloatRange = &refusal{"a number too large for real", "Make the column double precision."}
)

func integerBinding(from arrow.DataType, size int) binding {
	if integersOf(from) == nil {
		return nil
	}
	greatest := int64(1)<<(8*size-1) - 1 // of 8 bytes: shifting wraps around to the same
	return func(a arrow.Array) encode {
		get := integersOf(from)(a)
		return func(to []byte, row int) ([]byte, error) {
			value, err := get(row)
			if err != nil {
				return nil, err
			}
			if value > greatest || value < -greatest-1 {
				return nil, errRange
			}
			to = binary.BigEndian.AppendUint32(to, uint32(size))
			switch size {
			case 2:
				return binary.BigEndian.AppendUint16(to, uint16(value)), nil
			case 4:
				return binary.BigEndian.AppendUint32(to, uint32(value)), nil
			}
			return binary.BigEndian.AppendUint64(to, uint64(value)), nil
		}
	}
}

func floatBinding(from arrow.DataType, size int) binding {
	if floatsOf(from) == nil {
		return nil
	}
	return func(a arrow.Array) encode {
		get := floatsOf(from)(a)
		return func(to []byte, row int) ([]byte, error) {
			value, err := get(row)
			if err != nil {
				return nil, err
			}
			if size == 8 {
				return binary.BigEndian.AppendUint64(append(to, 0, 0, 0, 8), math.Float64bits(value)), nil
			}
			single := float32(value) // rounded to what the column is declared to hold, as an assignment does
			if math.IsInf(float64(single), 0) && !math.IsInf(value, 0) {
				return nil, errFloatRange
			}
			if arrow.IsInteger(from.ID()) && float64(single) != value {
				return nil, errNotExact
			}
			return binary.BigEndian.AppendUint32(append(to, 0, 0, 0, 4), math.Float32bits(single)), nil
		}
	}
}

func boolBinding(from arrow.DataType) binding {
	if from.ID() != arrow.BOOL {
		return nil
	}
	return func(a arrow.Array) encode {
		values := a.(*array.Boolean)
		return func(to []byte, row int) ([]byte, error) {
			if values.Value(row) {
				return append(to, 0, 0, 0, 1, 1), nil
			}
			return append(to, 0, 0, 0, 1, 0), nil
		}
	}
}
