package frame

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

// Signs of a numeric (src/backend/utils/adt/numeric.c).
const (
	numericPositive = 0x0000
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericInf      = 0xD000
	numericNegInf   = 0xF000
)

// maxDecimal is the most digits of Arrow's decimal128.
const maxDecimal = 38

// number is a numeric as it is sent: digits of base 10000, the first of which counts 10000^weight, and decimals to be shown.
type number struct {
	weight int
	sign   uint16
	dscale int
	digits []byte // two bytes each
}

func parseNumeric(value []byte) (n number, err error) {
	if len(value) < 8 {
		return n, errField
	}
	count := int(binary.BigEndian.Uint16(value))
	n.weight = int(int16(binary.BigEndian.Uint16(value[2:])))
	n.sign = binary.BigEndian.Uint16(value[4:])
	n.dscale = int(binary.BigEndian.Uint16(value[6:]) & 0x3FFF)
	n.digits = value[8:]
	if len(n.digits) != 2*count {
		return n, errField
	}
	return n, nil
}

func (n *number) count() int { return len(n.digits) / 2 }

func (n *number) digit(i int) uint64 { return uint64(binary.BigEndian.Uint16(n.digits[2*i:])) }

// uint128 is a magnitude.
type uint128 struct{ hi, lo uint64 }

// mulAdd is u*factor + term; false when that needs more than 128 bits.
func (u uint128) mulAdd(factor, term uint64) (uint128, bool) {
	carry, lo := bits.Mul64(u.lo, factor)
	over, hi := bits.Mul64(u.hi, factor)
	lo, c := bits.Add64(lo, term, 0)
	hi, c2 := bits.Add64(hi, carry, c)
	return uint128{hi, lo}, over == 0 && c2 == 0
}

func (u uint128) less(v uint128) bool { return u.hi < v.hi || (u.hi == v.hi && u.lo < v.lo) }

// negated is the two's complement.
func (u uint128) negated() uint128 {
	lo, borrow := bits.Sub64(0, u.lo, 0)
	hi, _ := bits.Sub64(0, u.hi, borrow)
	return uint128{hi, lo}
}

// powers of ten, as far as 128 bits have them.
var powers = func() (list [maxDecimal + 1]uint128) {
	list[0].lo = 1
	for i := 1; i < len(list); i++ {
		list[i], _ = list[i-1].mulAdd(10, 0)
	}
	return list
}()

// decimalCodec folds the digits into an integer that counts 10^-scale.
type decimalCodec struct{ precision, scale int }

func (decimalCodec) layout() layout { return 16 }

var (
	errNotANumber = &refusal{"NaN or infinity, which a decimal cannot be", "Cast it in the query, %s::float8 or ::text, or leave these rows out."}
	errTooLong    = &refusal{"a numeric that does not fit into the decimals asked for", "Give numeric= a larger precision or scale, or cast in the query: %s::text."}
)

func (c decimalCodec) decode(v *Vector, row int, value []byte) error {
	n, err := parseNumeric(value)
	if err != nil {
		return err
	}
	if n.sign&numericNaN == numericNaN {
		return errNotANumber
	}
	magnitude, exact := n.scaled(c.scale)
	if !exact || !magnitude.less(powers[c.precision]) {
		return errTooLong
	}
	if n.sign == numericNegative {
		magnitude = magnitude.negated()
	}
	v.setUint64(2*row, magnitude.lo) // both machines that we build for are little endian
	v.setUint64(2*row+1, magnitude.hi)
	return nil
}

// scaled is the magnitude times 10^scale; false when that is no integer, or one of more than 128 bits.
func (n *number) scaled(scale int) (magnitude uint128, exact bool) {
	count := n.count()
	if count == 0 {
		return uint128{}, true
	}
	// The last digit counts 10^unit of what we are after. The server sends no trailing zero digits, so that four decimals too many cannot vanish.
	unit := 4*(n.weight-count+1) + scale
	if unit <= -4 || unit > maxDecimal {
		return uint128{}, false
	}
	whole := count
	if unit < 0 {
		whole-- // of the last digit only a part counts; folding all of it could need more than 128 bits
	}
	exact = true
	for i := 0; i < whole && exact; i++ {
		magnitude, exact = magnitude.mulAdd(10000, n.digit(i))
	}
	if !exact {
		return magnitude, false
	}
	if unit < 0 {
		cut := powers[-unit].lo
		last := n.digit(count - 1)
		if last%cut != 0 {
			return magnitude, false
		}
		return magnitude.mulAdd(10000/cut, last/cut)
	}
	for ; unit > 0 && exact; unit -= min(unit, 19) {
		magnitude, exact = magnitude.mulAdd(powers[min(unit, 19)].lo, 0)
	}
	return magnitude, exact
}

// numericTextCodec writes a numeric as PostgreSQL does.
type numericTextCodec struct{}

func (numericTextCodec) layout() layout { return layoutVariable }

func (numericTextCodec) decode(v *Vector, row int, value []byte) error {
	n, err := parseNumeric(value)
	if err != nil {
		return err
	}
	var short [64]byte
	v.setBytes(row, n.appendText(short[:0]))
	return nil
}

// appendText follows numeric_out: all digits before the point, and exactly dscale behind it.
func (n *number) appendText(text []byte) []byte {
	switch n.sign {
	case numericNaN:
		return append(text, "NaN"...)
	case numericInf:
		return append(text, "Infinity"...)
	case numericNegInf:
		return append(text, "-Infinity"...)
	case numericNegative:
		text = append(text, '-')
	}
	count := n.count()
	if n.weight < 0 {
		text = append(text, '0')
	}
	for i := 0; i <= n.weight; i++ {
		var digit uint64
		if i < count {
			digit = n.digit(i)
		}
		if i == 0 {
			text = strconv.AppendUint(text, digit, 10)
		} else {
			text = appendFour(text, digit)
		}
	}
	if n.dscale == 0 {
		return text
	}
	text = append(text, '.')
	end := len(text) + n.dscale
	for i := n.weight + 1; len(text) < end; i++ {
		var digit uint64
		if i >= 0 && i < count {
			digit = n.digit(i)
		}
		text = appendFour(text, digit)
	}
	return text[:end]
}

func appendFour(text []byte, digit uint64) []byte {
	return append(text, byte('0'+digit/1000), byte('0'+digit/100%10), byte('0'+digit/10%10), byte('0'+digit%10))
}

// numericFloatCodec gives the nearest double.
type numericFloatCodec struct{}

func (numericFloatCodec) layout() layout { return 8 }

func (numericFloatCodec) decode(v *Vector, row int, value []byte) error {
	n, err := parseNumeric(value)
	if err != nil {
		return err
	}
	v.setUint64(row, math.Float64bits(n.float()))
	return nil
}

func (n *number) float() float64 {
	// Integers up to 2^53 and powers of ten up to 10^22 are exact doubles, so that one division rounds once.
	if magnitude, exact := n.scaled(n.dscale); exact && magnitude.hi == 0 && magnitude.lo <= 1<<53 && n.dscale <= 22 && n.sign&numericNaN != numericNaN {
		f := float64(magnitude.lo) / math.Pow10(n.dscale)
		if n.sign == numericNegative {
			return -f
		}
		return f
	}
	var short [64]byte
	f, _ := strconv.ParseFloat(string(n.appendText(short[:0])), 64) // too large a number gives infinity, as a cast in Go does
	return f
}
