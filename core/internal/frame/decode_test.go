package frame

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// copyOf is a binary COPY of rows; a nil field is NULL.
func copyOf(rows ...[][]byte) []byte {
	data := append(append([]byte{}, signature...), make([]byte, 8)...)
	for _, row := range rows {
		data = append(data, rowOf(row...)...)
	}
	return append(data, 0xff, 0xff)
}

func rowOf(fields ...[]byte) []byte {
	data := binary.BigEndian.AppendUint16(nil, uint16(len(fields)))
	for _, field := range fields {
		if field == nil {
			data = append(data, nullField...)
			continue
		}
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(field))), field...)
	}
	return data
}

func be32(v int32) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }
func be64(v int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(v)) }

// decoded runs the messages through a decoder and gives the rows as values. All memory is freed.
func decoded(t testing.TB, fields []field, messages ...[]byte) (rows [][]any, blocks int, err error) {
	t.Helper()
	d := newDecoder(fields, func(block *Block) error {
		blocks++
		for row := range block.Rows {
			values := make([]any, len(fields))
			for i := range fields {
				values[i] = valueOf(fields[i].format, &block.Columns[i], row)
			}
			rows = append(rows, values)
		}
		block.Free()
		return nil
	})
	defer d.discard()
	for _, message := range messages {
		own := append([]byte{}, message...) // the driver uses its slice again
		n, err := d.Write(own)
		if err != nil {
			return rows, blocks, err
		}
		if n != len(own) {
			t.Fatalf("Write took %d bytes of %d", n, len(own))
		}
		for i := range own {
			own[i] = 0xa5
		}
	}
	return rows, blocks, d.finish()
}

func valueOf(format string, v *Vector, row int) any {
	if v.Nulls > 0 && v.validity.bytes[row>>3]>>(row&7)&1 == 0 {
		return nil
	}
	switch {
	case format == formatBool:
		return v.values.bytes[row>>3]>>(row&7)&1 == 1
	case format == formatInt16:
		return int16(binary.NativeEndian.Uint16(v.values.bytes[2*row:]))
	case format == formatInt32 || format == formatDate32:
		return int32(binary.NativeEndian.Uint32(v.values.bytes[4*row:]))
	case format == formatFloat32:
		return math.Float32frombits(binary.NativeEndian.Uint32(v.values.bytes[4*row:]))
	case format == formatFloat64:
		return math.Float64frombits(binary.NativeEndian.Uint64(v.values.bytes[8*row:]))
	case format == formatUTF8 || format == formatBinary:
		start, end := binary.NativeEndian.Uint32(v.values.bytes[4*row:]), binary.NativeEndian.Uint32(v.values.bytes[4*row+4:])
		return string(v.data.bytes[start:end])
	case strings.HasPrefix(format, "d:"):
		value := new(big.Int).SetInt64(int64(binary.NativeEndian.Uint64(v.values.bytes[16*row+8:])))
		return value.Lsh(value, 64).Or(value, new(big.Int).SetUint64(binary.NativeEndian.Uint64(v.values.bytes[16*row:]))).String()
	}
	return int64(binary.NativeEndian.Uint64(v.values.bytes[8*row:]))
}

func mixedFields() []field {
	return []field{
		{"b", formatBool, boolCodec{}},
		{"i", formatInt32, fixed32Codec{}},
		{"l", formatInt64, fixed64Codec{}},
		{"t", formatUTF8, bytesCodec{}},
		{"n", "d:12,2", decimalCodec{12, 2}},
		{"ts", formatTimestamp, timestampCodec{}},
		{"u", formatUTF8, uuidCodec{}},
		{"j", formatUTF8, jsonbCodec{}},
	}
}

func mixedRows() [][][]byte {
	return [][][]byte{
		{{1}, be32(-1), be64(math.MinInt64), []byte("héllo"), numericBytes("123.45", 2), be64(0), []byte("0123456789abcdef"), []byte("\x01{}")},
		{nil, nil, nil, nil, nil, nil, nil, nil},
		{{0}, be32(7), be64(math.MaxInt64), {}, numericBytes("-0.01", 2), be64(-1), []byte("\x00\xff23456789abcdef"), []byte("\x01null")},
	}
}

var mixedWant = [][]any{
	{true, int32(-1), int64(math.MinInt64), "héllo", "12345", int64(946684800000000), "30313233-3435-3637-3839-616263646566", "{}"},
	{nil, nil, nil, nil, nil, nil, nil, nil},
	{false, int32(7), int64(math.MaxInt64), "", "-1", int64(946684799999999), "00ff3233-3435-3637-3839-616263646566", "null"},
}

// numericBytes encodes a decimal text as the server would.
func numericBytes(text string, dscale int) []byte {
	negative := strings.HasPrefix(text, "-")
	text = strings.TrimPrefix(text, "-")
	whole, fraction, _ := strings.Cut(text, ".")
	out := appendNumericText(nil, negative, whole+fraction, len(fraction))
	binary.BigEndian.PutUint16(out[10:], uint16(dscale))
	return out[4:]
}

func TestMessagesMayBeCutAnywhere(t *testing.T) {
	data := copyOf(mixedRows()...)
	for cut := 0; cut <= len(data); cut++ {
		for _, second := range []int{cut, min(cut+1, len(data)), min(cut+9, len(data))} {
			rows, _, err := decoded(t, mixedFields(), data[:cut], data[cut:second], data[second:])
			if err != nil || !reflect.DeepEqual(rows, mixedWant) {
				t.Fatalf("cut at %d and %d: %v, %v", cut, second, rows, err)
			}
		}
	}
}

func TestMessagesMayBeSingleBytes(t *testing.T) {
	var messages [][]byte
	for _, b := range copyOf(mixedRows()...) {
		messages = append(messages, []byte{b})
	}
	rows, _, err := decoded(t, mixedFields(), messages...)
	if err != nil || !reflect.DeepEqual(rows, mixedWant) {
		t.Fatal(rows, err)
	}
}

func TestBlocksAreCutByRowsAndByBytes(t *testing.T) {
	fields := []field{{"i", formatInt32, fixed32Codec{}}, {"t", formatUTF8, bytesCodec{}}}
	data := copyOf()
	messages := [][]byte{data[:headerBytes]}
	const rows = 2*blockRows + 10
	for i := range rows {
		text := []byte(nil)
		if i%3 != 0 {
			text = []byte(fmt.Sprint(i))
		}
		messages = append(messages, rowOf(be32(int32(i)), text))
	}
	got, blocks, err := decoded(t, fields, append(messages, []byte{0xff, 0xff})...)
	if err != nil || len(got) != rows || blocks != 3 {
		t.Fatalf("%d rows in %d blocks, %v", len(got), blocks, err)
	}
	for i, row := range got {
		want := any(nil)
		if i%3 != 0 {
			want = fmt.Sprint(i)
		}
		if row[0] != int32(i) || row[1] != want {
			t.Fatalf("row %d is %v", i, row)
		}
	}
	long := rowOf(be32(1), make([]byte, blockBytes/2))
	got, blocks, err = decoded(t, fields, data[:headerBytes], long, long, long, []byte{0xff, 0xff})
	if err != nil || len(got) != 3 || blocks != 2 {
		t.Fatalf("%d rows in %d blocks, %v", len(got), blocks, err)
	}
}

func TestNumeric(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, c := range []struct {
		text             string
		dscale           int
		precision, scale int
		want             string // "" where it is refused
	}{
		{"0", 0, 1, 0, "0"},
		{"0", 5, 38, 38, "0"},
		{"1", 0, 38, 37, "1" + strings.Repeat("0", 37)},
		{"10000", 0, 5, 0, "10000"},
		{"100000000", 0, 38, 0, "100000000"},
		{"123456789.123456789", 9, 38, 9, "123456789123456789"},
		{"-0.000000000001", 12, 38, 12, "-1"},
		{nines, 0, 38, 0, nines},
		{"-" + nines, 0, 38, 0, "-" + nines},
		{nines[:36] + "." + nines[36:], 2, 38, 2, nines},
		{nines[:35] + "." + nines[35:], 3, 38, 3, nines},
		{nines[:1] + "." + nines[1:], 37, 38, 37, nines},
		{"0." + nines, 38, 38, 38, nines},
		{"1.5", 1, 10, 0, ""},
		{"1.00001", 5, 10, 4, ""},
		{"100", 0, 2, 0, ""},
		{"1" + strings.Repeat("0", 38), 0, 38, 0, ""},
		{"1" + strings.Repeat("0", 100), 0, 38, 0, ""},
		{"0." + strings.Repeat("0", 99) + "1", 100, 38, 38, ""},
	} {
		fields := []field{{"n", fmt.Sprintf("d:%d,%d", c.precision, c.scale), decimalCodec{c.precision, c.scale}}}
		rows, _, err := decoded(t, fields, copyOf([][]byte{numericBytes(c.text, c.dscale)}))
		switch {
		case c.want == "" && !fault.Is(err, fault.DataError):
			t.Errorf("%s as (%d, %d) is %v, %v; want a refusal", c.text, c.precision, c.scale, rows, err)
		case c.want != "" && (err != nil || rows[0][0] != c.want):
			t.Errorf("%s as (%d, %d) is %v, %v", c.text, c.precision, c.scale, rows, err)
		}
	}
}

func TestNumericAsText(t *testing.T) {
	for _, c := range []struct {
		text   string
		dscale int
	}{{"0", 0}, {"0.00", 2}, {"1", 0}, {"-1.10", 2}, {"10000", 0}, {"100000000.5", 1}, {"0.0001", 4}, {"0.00001", 5}, {"0.000100000", 9}, {"-12345678901234567890.0987654321", 10}, {"1" + strings.Repeat("0", 200), 0}} {
		rows, _, err := decoded(t, []field{{"n", formatUTF8, numericTextCodec{}}}, copyOf([][]byte{numericBytes(c.text, c.dscale)}))
		if err != nil || rows[0][0] != c.text {
			t.Errorf("%s is %v, %v", c.text, rows, err)
		}
	}
	for sign, want := range map[uint16]string{numericNaN: "NaN", numericInf: "Infinity", numericNegInf: "-Infinity"} {
		value := append(binary.BigEndian.AppendUint16(make([]byte, 4), sign), 0, 0)
		rows, _, err := decoded(t, []field{{"n", formatUTF8, numericTextCodec{}}, {"f", formatFloat64, numericFloatCodec{}}}, copyOf([][]byte{value, value}))
		if err != nil || rows[0][0] != want || fmt.Sprint(rows[0][1]) != map[string]string{"NaN": "NaN", "Infinity": "+Inf", "-Infinity": "-Inf"}[want] {
			t.Errorf("%s is %v, %v", want, rows, err)
		}
	}
}

func TestRefusalsNameTheColumnAndTheRemedy(t *testing.T) {
	nan := append(binary.BigEndian.AppendUint16(make([]byte, 4), numericNaN), 0, 0)
	for _, c := range []struct {
		codec codec
		value []byte
		want  string
	}{
		{dateCodec{}, be32(math.MaxInt32), "Column when holds an infinite date or time, which Arrow does not have.\nCast it in the query: when::text."},
		{timestampCodec{}, be64(math.MinInt64), "Column when holds an infinite date or time, which Arrow does not have.\nCast it in the query: when::text."},
		{timestampCodec{}, be64(9223371331199999999), "Column when holds a time after the year 294246, where Arrow's microseconds end.\nCast it in the query: when::text."},
		{timeCodec{}, be64(dayMicroseconds), "Column when holds the time 24:00:00, which Arrow does not have.\nCast it in the query: when::text."},
		{decimalCodec{10, 2}, nan, "Column when holds NaN or infinity, which a decimal cannot be.\nCast it in the query, when::float8 or ::text, or leave these rows out."},
		{uncheckedTextCodec{bytesCodec{}}, []byte{0xe9}, "Column when holds text that is not UTF-8 (the database's encoding is SQL_ASCII).\nConvert it in the query: convert_from(when::bytea, 'LATIN1'), or whatever it is."},
		{fixed32Codec{}, []byte{1}, "The answer of the server cannot be understood: the bytes of a value of column when are not of its type."},
	} {
		_, _, err := decoded(t, []field{{"when", "?", c.codec}}, copyOf([][]byte{c.value}))
		if err == nil || err.Error() != c.want {
			t.Errorf("%T: %v", c.codec, err)
		}
	}
}

func TestWhatIsNoCopyIsRefused(t *testing.T) {
	good := copyOf(mixedRows()...)
	for name, data := range map[string][]byte{
		"empty":         {},
		"no signature":  append([]byte("COPYPG"), good[6:]...),
		"flags":         append(append([]byte{}, good[:11]...), append([]byte{0, 1, 0, 0}, good[15:]...)...),
		"no trailer":    good[:len(good)-2],
		"half a row":    good[:len(good)-9],
		"after the end": append(append([]byte{}, good...), good[headerBytes:]...),
		"fields":        copyOf([][]byte{{1}}),
	} {
		if _, _, err := decoded(t, mixedFields(), data); !fault.Is(err, fault.InternalError) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecoder: whatever comes, in whatever pieces, is rows or an error, and the same as in one piece.
func FuzzDecoder(f *testing.F) {
	f.Add(copyOf(mixedRows()...), uint16(7))
	f.Add(copyOf(), uint16(0))
	f.Add(copyOf(mixedRows()...)[:60], uint16(30))
	f.Fuzz(func(t *testing.T, data []byte, cut uint16) {
		at := min(int(cut), len(data))
		one, _, err := decoded(t, mixedFields(), data)
		two, _, err2 := decoded(t, mixedFields(), data[:at], data[at:])
		if !reflect.DeepEqual(one, two) || fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("cut at %d: %v, %v; whole: %v, %v", at, two, err2, one, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	row := rowOf(mixedRows()[0]...)
	d := newDecoder(mixedFields(), func(block *Block) error { block.Free(); return nil })
	defer d.discard()
	if _, err := d.Write(copyOf()[:headerBytes]); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(row)))
	for b.Loop() {
		if _, err := d.Write(row); err != nil {
			b.Fatal(err)
		}
	}
}
