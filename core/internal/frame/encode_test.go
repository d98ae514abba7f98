package frame

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/decimal128"
	arrowmemory "github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// sent encodes the batches for columns of the types, read in pieces of size bytes.
func sent(t testing.TB, oids []uint32, size int, batches ...arrow.RecordBatch) ([]byte, error) {
	t.Helper()
	reader, err := array.NewRecordReader(batches[0].Schema(), batches)
	if err != nil {
		t.Fatal(err)
	}
	e := &encoder{ctx: context.Background(), input: &Input{reader: reader}}
	for i, field := range batches[0].Schema().Fields() {
		bind, err := bindingFor(&targetColumn{name: field.Name, oid: oids[i], kind: "?"}, field.Type)
		if err != nil {
			return nil, err
		}
		e.columns = append(e.columns, encoderColumn{name: field.Name, bind: bind})
	}
	var all []byte
	piece := make([]byte, size)
	for {
		n, err := e.Read(piece)
		all = append(all, piece[:n]...)
		if err == io.EOF { //nolint:errorlint // of a reader
			return all, nil
		}
		if err != nil {
			return all, e.err
		}
	}
}

// batch builds a batch of one column from JSON.
func batch(t testing.TB, kind arrow.DataType, values string) arrow.RecordBatch {
	t.Helper()
	built, _, err := array.FromJSON(arrowmemory.DefaultAllocator, kind, strings.NewReader(values))
	if err != nil {
		t.Fatal(err)
	}
	schema := arrow.NewSchema([]arrow.Field{{Name: "v", Type: kind, Nullable: true}}, nil)
	return array.NewRecordBatch(schema, []arrow.Array{built}, int64(built.Len()))
}

func TestRowsMayBeCutAnywhere(t *testing.T) {
	texts := batch(t, arrow.BinaryTypes.String, `["", "a", null, "`+strings.Repeat("long ", 100)+`", "é"]`)
	whole, err := sent(t, []uint32{pgtype.TextOID}, 1<<16, texts, texts)
	if err != nil {
		t.Fatal(err)
	}
	rows, _, err := decoded(t, []field{{"v", formatUTF8, bytesCodec{}}}, whole)
	if err != nil || len(rows) != 10 || rows[1][0] != "a" || rows[2][0] != nil || len(rows[8][0].(string)) != 500 || rows[9][0] != "é" {
		t.Fatal(rows, err)
	}
	for size := 1; size < 700; size++ {
		pieces, err := sent(t, []uint32{pgtype.TextOID}, size, texts, texts)
		if err != nil || string(pieces) != string(whole) {
			t.Fatalf("in pieces of %d bytes: %v", size, err)
		}
	}
}

func TestWhatIsWrittenReadsBack(t *testing.T) {
	nines := strings.Repeat("9", 38)
	for _, c := range []struct {
		from   arrow.DataType
		values string
		oid    uint32
		read   field
		want   string
	}{
		{arrow.PrimitiveTypes.Int8, "[-128, null, 127]", pgtype.Int2OID, native[pgtype.Int2OID], "[-128 <nil> 127]"},
		{arrow.PrimitiveTypes.Uint32, "[4294967295]", pgtype.Int8OID, native[pgtype.Int8OID], "[4294967295]"},
		{arrow.PrimitiveTypes.Float64, "[3, -4]", pgtype.Int4OID, native[pgtype.Int4OID], "[3 -4]"},
		{&arrow.Decimal128Type{Precision: 20, Scale: 2}, `["12.00", "-1.00"]`, pgtype.Int8OID, native[pgtype.Int8OID], "[12 -1]"},
		{arrow.PrimitiveTypes.Int64, "[9007199254740992]", pgtype.Float8OID, native[pgtype.Float8OID], "[9.007199254740992e+15]"},
		{arrow.PrimitiveTypes.Float64, "[0.1]", pgtype.Float4OID, native[pgtype.Float4OID], "[0.1]"},
		{arrow.FixedWidthTypes.Boolean, "[true, false, null]", pgtype.BoolOID, native[pgtype.BoolOID], "[true false <nil>]"},
		{arrow.BinaryTypes.LargeString, `["a", null]`, pgtype.VarcharOID, native[pgtype.VarcharOID], "[a <nil>]"},
		{arrow.BinaryTypes.StringView, `["a", "longer than twelve bytes"]`, pgtype.TextOID, native[pgtype.TextOID], "[a longer than twelve bytes]"},
		{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.BinaryTypes.String}, `["x", null, "y", "x"]`, pgtype.TextOID, native[pgtype.TextOID], "[x <nil> y x]"},
		{arrow.Null, "[null, null]", pgtype.DateOID, native[pgtype.DateOID], "[<nil> <nil>]"},
		{arrow.BinaryTypes.String, `["{\"a\": 1}"]`, pgtype.JSONBOID, native[pgtype.JSONBOID], `[{"a": 1}]`},
		{arrow.BinaryTypes.String, `["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc999c0b4ef8bb6d6bb9bd380a11"]`, pgtype.UUIDOID, native[pgtype.UUIDOID],
			"[a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11 a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]"},
		{&arrow.FixedSizeBinaryType{ByteWidth: 16}, `["MDEyMzQ1Njc4OWFiY2RlZg=="]`, pgtype.UUIDOID, native[pgtype.UUIDOID], "[30313233-3435-3637-3839-616263646566]"},
		{arrow.BinaryTypes.Binary, `["AP8=", ""]`, pgtype.ByteaOID, native[pgtype.ByteaOID], "[\x00\xff ]"},
		{arrow.FixedWidthTypes.Date32, `["0001-01-01", "1970-01-01"]`, pgtype.DateOID, native[pgtype.DateOID], "[-719162 0]"},
		{arrow.FixedWidthTypes.Date64, `["1970-01-02"]`, pgtype.DateOID, native[pgtype.DateOID], "[1]"},
		{&arrow.TimestampType{Unit: arrow.Nanosecond}, "[-1, 999, 1000]", pgtype.TimestampOID, native[pgtype.TimestampOID], "[-1 0 1]"},
		{&arrow.TimestampType{Unit: arrow.Second, TimeZone: "Asia/Tokyo"}, "[-1]", pgtype.TimestamptzOID, native[pgtype.TimestamptzOID], "[-1000000]"},
		{arrow.FixedWidthTypes.Date32, `["1970-01-02"]`, pgtype.TimestampOID, native[pgtype.TimestampOID], "[86400000000]"},
		{arrow.FixedWidthTypes.Time32s, `["23:59:59"]`, pgtype.TimeOID, native[pgtype.TimeOID], "[86399000000]"},
		{arrow.PrimitiveTypes.Uint64, "[18446744073709551615, 0, 10000]", pgtype.NumericOID, field{"v", formatUTF8, numericTextCodec{}}, "[18446744073709551615 0 10000]"},
		{arrow.PrimitiveTypes.Int64, "[-9223372036854775808]", pgtype.NumericOID, field{"v", formatUTF8, numericTextCodec{}}, "[-9223372036854775808]"},
		{arrow.PrimitiveTypes.Float64, "[0.1, 1e22, 5e-324, -1.5e-7, 0, 123456.789]", pgtype.NumericOID, field{"v", formatUTF8, numericTextCodec{}},
			"[0.1 10000000000000000000000 0." + strings.Repeat("0", 323) + "5 -0.00000015 0 123456.789]"},
		{arrow.PrimitiveTypes.Float32, "[0.1]", pgtype.NumericOID, field{"v", formatUTF8, numericTextCodec{}}, "[0.1]"},
		{&arrow.Decimal128Type{Precision: 38, Scale: 0}, `["` + nines + `", "-` + nines + `"]`, pgtype.NumericOID, field{"v", formatUTF8, numericTextCodec{}}, "[" + nines + " -" + nines + "]"},
		{&arrow.Decimal128Type{Precision: 38, Scale: 37}, `["9.` + nines[1:] + `"]`, pgtype.NumericOID, field{"v", formatUTF8, numericTextCodec{}}, "[9." + nines[1:] + "]"},
		{&arrow.Decimal256Type{Precision: 76, Scale: 3}, `["` + nines + nines[:30] + `.125", "-0.001"]`, pgtype.NumericOID, field{"v", formatUTF8, numericTextCodec{}}, "[" + nines + nines[:30] + ".125 -0.001]"},
	} {
		data, err := sent(t, []uint32{c.oid}, 64, batch(t, c.from, c.values))
		if err != nil {
			t.Errorf("%s: %v", c.from, err)
			continue
		}
		c.read.name = "v"
		rows, _, err := decoded(t, []field{c.read}, data)
		var got []any
		for _, row := range rows {
			got = append(got, row[0])
		}
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, %v; want %s", c.from, got, err, c.want)
		}
	}
}

func TestDecimalsOfAllScalesAreExact(t *testing.T) {
	for scale := int32(0); scale <= 38; scale++ {
		kind := &arrow.Decimal128Type{Precision: 38, Scale: scale}
		builder := array.NewDecimal128Builder(arrowmemory.DefaultAllocator, kind)
		var want []string
		for digits := 0; digits <= 38; digits++ {
			for _, last := range []int64{0, 1, -1} {
				value := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
				if value.Add(value, big.NewInt(last)); digits == 38 && last >= 0 {
					continue
				}
				want = append(want, value.String())
				builder.Append(decimal128.FromBigInt(value))
			}
		}
		built := builder.NewArray()
		schema := arrow.NewSchema([]arrow.Field{{Name: "v", Type: kind}}, nil)
		data, err := sent(t, []uint32{pgtype.NumericOID}, 100, array.NewRecordBatch(schema, []arrow.Array{built}, int64(built.Len())))
		if err != nil {
			t.Fatal(err)
		}
		rows, _, err := decoded(t, []field{{"v", fmt.Sprintf("d:38,%d", scale), decimalCodec{38, int(scale)}}}, data)
		if err != nil || len(rows) != len(want) {
			t.Fatal(err)
		}
		for i, row := range rows {
			if row[0] != want[i] {
				t.Fatalf("scale %d: %s came back as %s", scale, want[i], row[0])
			}
		}
	}
}

func TestValuesThatDoNotFitAreRefusedByPlace(t *testing.T) {
	for _, c := range []struct {
		from   arrow.DataType
		values string
		oid    uint32
		want   string
	}{
		{arrow.PrimitiveTypes.Int32, "[1, 32768]", pgtype.Int2OID, "row 2 holds a number outside the range"},
		{arrow.PrimitiveTypes.Uint64, "[9223372036854775808]", pgtype.Int8OID, "row 1 holds a number outside the range"},
		{arrow.PrimitiveTypes.Float64, "[1, 2, 2.5]", pgtype.Int4OID, "row 3 holds a number with a fraction"},
		{arrow.PrimitiveTypes.Float64, "[9223372036854775808]", pgtype.Int8OID, "row 1 holds a number outside the range"},
		{arrow.PrimitiveTypes.Int64, "[9007199254740993]", pgtype.Float8OID, "row 1 holds a whole number that a floating-point column cannot hold exactly"},
		{arrow.PrimitiveTypes.Int32, "[16777217]", pgtype.Float4OID, "row 1 holds a whole number that a floating-point column cannot hold exactly"},
		{arrow.PrimitiveTypes.Float64, "[1e300]", pgtype.Float4OID, "row 1 holds a number too large for real"},
		{&arrow.Decimal128Type{Precision: 5, Scale: 1}, `["0.1"]`, pgtype.Int4OID, "row 1 holds a number with a fraction"},
		{arrow.BinaryTypes.String, `["a\u0000"]`, pgtype.TextOID, "row 1 holds text with a NUL character"},
		{arrow.BinaryTypes.String, `["a0eebc99"]`, pgtype.UUIDOID, "row 1 holds text that is no UUID"},
		{&arrow.TimestampType{Unit: arrow.Second}, "[9223372036854775807]", pgtype.TimestampOID, "row 1 holds a date or time outside"},
		{&arrow.TimestampType{Unit: arrow.Microsecond}, fmt.Sprint("[", int64(math.MinInt64), "]"), pgtype.TimestampOID, "row 1 holds a date or time outside"},
		{arrow.FixedWidthTypes.Date64, "[1]", pgtype.DateOID, "row 1 holds a date with a time of day"},
	} {
		_, err := sent(t, []uint32{c.oid}, 1<<10, batch(t, c.from, c.values))
		if !fault.Is(err, fault.DataError) || !strings.Contains(err.Error(), "Column v, "+c.want) {
			t.Errorf("%s: %v", c.from, err)
		}
	}
}

func TestTypesWithoutABindingAreRefusedByName(t *testing.T) {
	for _, c := range []struct {
		from arrow.DataType
		oid  uint32
	}{
		{arrow.ListOf(arrow.PrimitiveTypes.Int32), pgtype.TextOID},
		{arrow.PrimitiveTypes.Int32, pgtype.TextOID},
		{arrow.BinaryTypes.String, pgtype.Int4OID},
		{arrow.FixedWidthTypes.Boolean, pgtype.Int4OID},
		{arrow.PrimitiveTypes.Int32, pgtype.BoolOID},
		{&arrow.TimestampType{Unit: arrow.Microsecond}, pgtype.TimestamptzOID},
		{&arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}, pgtype.TimestampOID},
		{arrow.BinaryTypes.Binary, pgtype.TextOID},
		{arrow.PrimitiveTypes.Int32, pgtype.PointOID},
		{&arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int8, ValueType: arrow.PrimitiveTypes.Int32}, pgtype.TextOID},
	} {
		_, err := bindingFor(&targetColumn{name: "v", oid: c.oid, kind: "the type"}, c.from)
		if !fault.Is(err, fault.NotImplemented) || !strings.Contains(err.Error(), "column v of type the type") {
			t.Errorf("%s: %v", c.from, err)
		}
	}
}

// TestAPanicOfAnArrayIsAnError: the driver reads on its own goroutine, where a panic would be the end of the process.
func TestAPanicOfAnArrayIsAnError(t *testing.T) {
	offsets := arrowmemory.NewBufferBytes([]byte{0, 0, 0, 0, 100, 0, 0, 0})
	data := array.NewData(arrow.BinaryTypes.Binary, 1, []*arrowmemory.Buffer{nil, offsets, arrowmemory.NewBufferBytes([]byte("short"))}, nil, 0, 0)
	defer func() {
		if recover() != nil {
			t.Skip("arrow-go refuses to make such an array")
		}
	}()
	broken := array.NewBinaryData(data)
	schema := arrow.NewSchema([]arrow.Field{{Name: "v", Type: arrow.BinaryTypes.Binary}}, nil)
	_, err := sent(t, []uint32{pgtype.ByteaOID}, 1<<10, array.NewRecordBatch(schema, []arrow.Array{broken}, 1))
	if !fault.Is(err, fault.DataError) {
		t.Fatal(err)
	}
}

func BenchmarkEncode(b *testing.B) {
	const rows = 10_000
	ints, texts := array.NewInt64Builder(arrowmemory.DefaultAllocator), array.NewStringBuilder(arrowmemory.DefaultAllocator)
	floats, decimals := array.NewFloat64Builder(arrowmemory.DefaultAllocator), array.NewDecimal128Builder(arrowmemory.DefaultAllocator, &arrow.Decimal128Type{Precision: 12, Scale: 2})
	for i := range rows {
		ints.Append(int64(i))
		texts.Append(fmt.Sprint("name ", i))
		floats.Append(float64(i) / 7)
		decimals.Append(decimal128.FromI64(int64(i) * 123))
	}
	columns := []arrow.Array{ints.NewArray(), texts.NewArray(), floats.NewArray(), decimals.NewArray()}
	var fields []arrow.Field
	for i, column := range columns {
		fields = append(fields, arrow.Field{Name: fmt.Sprint("c", i), Type: column.DataType()})
	}
	oids := []uint32{pgtype.Int8OID, pgtype.TextOID, pgtype.Float8OID, pgtype.NumericOID}
	e := &encoder{ctx: context.Background()}
	for i, oid := range oids {
		bind, err := bindingFor(&targetColumn{name: "v", oid: oid}, fields[i].Type)
		if err != nil {
			b.Fatal(err)
		}
		e.columns = append(e.columns, encoderColumn{name: "v", encode: bind(columns[i])})
	}
	piece := make([]byte, 0, 1<<20)
	for b.Loop() {
		if len(piece) > 1<<19 {
			piece = piece[:0]
		}
		e.row = (e.row + 1) % rows
		var err error
		if piece, err = e.appendRow(piece); err != nil {
			b.Fatal(err)
		}
	}
}
