package frame

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

// decimal is a number of at most 77 digits: digits times 10^-scale of its type.
type decimal struct {
	negative  bool
	magnitude uint128
	large     *big.Int // of either sign, where 128 bits are not enough
}

// decimals gives the value of a row.
type decimals func(row int) decimal

func decimalsOf(a arrow.Array) decimals {
	switch values := a.(type) {
	case *array.Decimal32:
		return func(row int) decimal { return smallDecimal(int64(values.Value(row))) }
	case *array.Decimal64:
		return func(row int) decimal { return smallDecimal(int64(values.Value(row))) }
	case *array.Decimal128:
		return func(row int) decimal {
			value := values.Value(row)
			magnitude := uint128{uint64(value.HighBits()), value.LowBits()}
			if value.HighBits() < 0 {
				return decimal{negative: true, magnitude: magnitude.negated()}
			}
			return decimal{magnitude: magnitude}
		}
	}
	values := a.(*array.Decimal256)
	return func(row int) decimal { return decimal{large: values.Value(row).BigInt()} }
}

func smallDecimal(value int64) decimal {
	if value < 0 {
		return decimal{negative: true, magnitude: uint128{0, uint64(-value)}}
	}
	return decimal{magnitude: uint128{0, uint64(value)}}
}

// wholeDecimals takes decimals that are whole numbers.
func wholeDecimals(get decimals, scale int) integers {
	return func(row int) (int64, error) {
		d := get(row)
		value := d.large
		if value == nil {
			value = new(big.Int).SetUint64(d.magnitude.hi)
			value.Lsh(value, 64).Or(value, new(big.Int).SetUint64(d.magnitude.lo))
			if d.negative {
				value.Neg(value)
			}
		}
		power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil)
		if scale < 0 {
			value = new(big.Int).Mul(value, power)
		} else if scale > 0 {
			rest := new(big.Int)
			if value, rest = new(big.Int).QuoRem(value, power, rest); rest.Sign() != 0 {
				return 0, errFraction
			}
		}
		if !value.IsInt64() {
			return 0, errRange
		}
		return value.Int64(), nil
	}
}

// numericBinding writes exact numbers exactly, and floats by their shortest digits, as a cast to numeric does. The server rounds to the column's scale, as
// any assignment, and refuses what has too many digits.
func numericBinding(from arrow.DataType) binding {
	switch id := from.ID(); {
	case id == arrow.UINT64:
		return func(a arrow.Array) encode {
			values := a.(*array.Uint64)
			return func(to []byte, row int) ([]byte, error) {
				return appendNumeric(to, false, uint128{0, values.Value(row)}, 0), nil
			}
		}
	case arrow.IsInteger(id):
		return func(a arrow.Array) encode {
			get := integersOf(from)(a)
			return func(to []byte, row int) ([]byte, error) {
				value, err := get(row)
				d := smallDecimal(value)
				return appendNumeric(to, d.negative, d.magnitude, 0), err
			}
		}
	case arrow.IsFloating(id):
		digits := 64
		if id != arrow.FLOAT64 {
			digits = 32
		}
		return func(a arrow.Array) encode {
			get := floatsOf(from)(a)
			return func(to []byte, row int) ([]byte, error) {
				value, err := get(row)
				return appendNumericFloat(to, value, digits), err
			}
		}
	case arrow.IsDecimal(id):
		scale := int(from.(arrow.DecimalType).GetScale())
		return func(a arrow.Array) encode {
			get := decimalsOf(a)
			return func(to []byte, row int) ([]byte, error) {
				d := get(row)
				if d.large == nil && scale >= 0 {
					return appendNumeric(to, d.negative, d.magnitude, scale), nil
				}
				return appendNumericDecimal(to, d, scale), nil
			}
		}
	}
	return nil
}

// appendNumeric writes magnitude times 10^-scale, with scale decimals to be shown.
func appendNumeric(to []byte, negative bool, magnitude uint128, scale int) []byte {
	var digits [12]uint16 // of base 10000, the last one first: a part of one, and what is left of 39 decimal digits
	var rest uint64
	count := 0
	if part := scale % 4; part > 0 { // the point stands between two digits
		magnitude, rest = magnitude.divide(powers[part].lo)
		digits[0], count = uint16(rest*powers[4-part].lo), 1
	}
	for ; magnitude != (uint128{}); count++ {
		magnitude, rest = magnitude.divide(10000)
		digits[count] = uint16(rest)
	}
	return appendDigits(to, negative, digits[:count], count-1-(scale+3)/4, scale)
}

// divide gives quotient and remainder.
func (u uint128) divide(by uint64) (uint128, uint64) {
	hi := u.hi / by
	lo, rest := bits.Div64(u.hi%by, u.lo, by)
	return uint128{hi, lo}, rest
}

// appendDigits writes the field; the last digit comes first in digits, and weight is that of the first to be sent.
func appendDigits(to []byte, negative bool, digits []uint16, weight, dscale int) []byte {
	for len(digits) > 0 && digits[0] == 0 { // behind the number
		digits = digits[1:]
	}
	for len(digits) > 0 && digits[len(digits)-1] == 0 { // before it
		digits = digits[:len(digits)-1]
		weight--
	}
	sign := uint16(numericPositive)
	if len(digits) == 0 {
		weight = 0
	} else if negative {
		sign = numericNegative
	}
	to = binary.BigEndian.AppendUint32(to, uint32(8+2*len(digits)))
	to = binary.BigEndian.AppendUint16(to, uint16(len(digits)))
	to = binary.BigEndian.AppendUint16(to, uint16(int16(weight)))
	to = binary.BigEndian.AppendUint16(to, sign)
	to = binary.BigEndian.AppendUint16(to, uint16(dscale))
	for i := len(digits) - 1; i >= 0; i-- {
		to = binary.BigEndian.AppendUint16(to, digits[i])
	}
	return to
}

// appendNumericDecimal is the way for numbers of more than 128 bits, and for negative scales.
func appendNumericDecimal(to []byte, d decimal, scale int) []byte {
	negative, text := d.negative, ""
	if d.large != nil {
		negative, text = d.large.Sign() < 0, new(big.Int).Abs(d.large).String()
	} else {
		value := new(big.Int).SetUint64(d.magnitude.hi)
		text = value.Lsh(value, 64).Or(value, new(big.Int).SetUint64(d.magnitude.lo)).String()
	}
	return appendNumericText(to, negative, text, scale)
}

// appendNumericText writes decimal digits times 10^-scale.
func appendNumericText(to []byte, negative bool, text string, scale int) []byte {
	shown := max(scale, 0)
	for ; scale < 0 || scale%4 != 0; scale++ { // the point between two digits of base 10000
		text += "0"
	}
	var digits []uint16
	for end := len(text); end > 0; end -= 4 {
		digit, _ := strconv.ParseUint(text[max(end-4, 0):end], 10, 16)
		digits = append(digits, uint16(digit))
	}
	return appendDigits(to, negative, digits, len(digits)-1-scale/4, shown)
}

func appendNumericFloat(to []byte, value float64, digits int) []byte {
	special := func(sign uint16) []byte {
		to = append(to, 0, 0, 0, 8, 0, 0, 0, 0)
		return append(binary.BigEndian.AppendUint16(to, sign), 0, 0)
	}
	switch {
	case math.IsNaN(value):
		return special(numericNaN)
	case math.IsInf(value, 1):
		return special(numericInf)
	case math.IsInf(value, -1):
		return special(numericNegInf)
	}
	var room [32]byte
	text := strconv.AppendFloat(room[:0], math.Abs(value), 'e', -1, digits) // d.ddde±xx
	at := len(text) - 1
	for text[at] != 'e' {
		at--
	}
	exponent, _ := strconv.Atoi(string(text[at+1:]))
	mantissa := append([]byte{}, text[0])
	if at > 2 {
		mantissa = append(mantissa, text[2:at]...)
	}
	return appendNumericText(to, value < 0, string(mantissa), len(mantissa)-1-exponent)
}
