package frame

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

// Numeric is what a numeric without precision becomes. A stream's schema stands before its rows are seen, so that somebody has to say.
type Numeric struct {
	Float     bool // the nearest double
	Precision int  // decimals of this precision and Scale; 0: text
	Scale     int
}

// UnmarshalJSON reads null (text), "float64", or [precision, scale].
func (n *Numeric) UnmarshalJSON(text []byte) error {
	var name string
	var pair []int
	switch {
	case string(text) == "null":
		*n = Numeric{}
		return nil
	case json.Unmarshal(text, &name) == nil && name == "float64":
		*n = Numeric{Float: true}
		return nil
	case json.Unmarshal(text, &pair) == nil && len(pair) == 2 && pair[0] >= 1 && pair[0] <= maxDecimal && pair[1] >= 0 && pair[1] <= pair[0]:
		*n = Numeric{Precision: pair[0], Scale: pair[1]}
		return nil
	}
	return fault.New(fault.InvalidSpec, `numeric is None, "float64" or (precision, scale) with 0 <= scale <= precision <= %d.`, maxDecimal)
}

// Formats of the Arrow C data interface.
const (
	formatBool        = "b"
	formatInt16       = "s"
	formatInt32       = "i"
	formatInt64       = "l"
	formatFloat32     = "f"
	formatFloat64     = "g"
	formatUTF8        = "u"
	formatBinary      = "z"
	formatDate32      = "tdD"
	formatTime64      = "ttu"
	formatTimestamp   = "tsu:"
	formatTimestampTZ = "tsu:UTC"
)

// native are the types that are decoded from their own binary form. All others are cast to text in the query.
var native = map[uint32]field{
	pgtype.BoolOID:        {format: formatBool, codec: boolCodec{}},
	pgtype.Int2OID:        {format: formatInt16, codec: fixed16Codec{}},
	pgtype.Int4OID:        {format: formatInt32, codec: fixed32Codec{}},
	pgtype.Int8OID:        {format: formatInt64, codec: fixed64Codec{}},
	pgtype.Float4OID:      {format: formatFloat32, codec: fixed32Codec{}},
	pgtype.Float8OID:      {format: formatFloat64, codec: fixed64Codec{}},
	pgtype.TextOID:        {format: formatUTF8, codec: bytesCodec{}},
	pgtype.VarcharOID:     {format: formatUTF8, codec: bytesCodec{}},
	pgtype.BPCharOID:      {format: formatUTF8, codec: bytesCodec{}},
	pgtype.NameOID:        {format: formatUTF8, codec: bytesCodec{}},
	pgtype.UnknownOID:     {format: formatUTF8, codec: bytesCodec{}},
	pgtype.JSONOID:        {format: formatUTF8, codec: bytesCodec{}},
	pgtype.JSONBOID:       {format: formatUTF8, codec: jsonbCodec{}},
	pgtype.UUIDOID:        {format: formatUTF8, codec: uuidCodec{}},
	pgtype.ByteaOID:       {format: formatBinary, codec: bytesCodec{}},
	pgtype.DateOID:        {format: formatDate32, codec: dateCodec{}},
	pgtype.TimeOID:        {format: formatTime64, codec: timeCodec{}},
	pgtype.TimestampOID:   {format: formatTimestamp, codec: timestampCodec{}},
	pgtype.TimestamptzOID: {format: formatTimestampTZ, codec: timestampCodec{}},
}

// query is what a query gives and how it is copied.
type query struct {
	fields []field
	copy   string // the COPY statement
}

// describe asks the server what the query gives, and nothing is run. sql is one statement without a semicolon: the server refuses several
// in one message of the extended protocol, and a text that is one statement by itself is also one inside the parentheses of COPY.
func describe(ctx context.Context, conn *pgconn.PgConn, sql string, numeric Numeric) (*query, error) {
	described, err := conn.Prepare(ctx, "", sql, nil)
	if err != nil {
		return nil, pg.Fault(err, "read")
	}
	switch {
	case described.Fields == nil:
		return nil, fault.New(fault.InvalidQuery, "The statement returns no rows.").WithHint("Reading takes SELECT, VALUES, TABLE or WITH.")
	case len(described.ParamOIDs) > 0:
		return nil, fault.New(fault.InvalidQuery, "The query has parameters ($1, ...), which an Arrow stream cannot take.").
			WithHint("Write the values into the query.")
	}
	q := &query{fields: make([]field, len(described.Fields))}
	casts := make([]bool, len(described.Fields))
	var foreign []uint32
	for i, column := range described.Fields {
		if q.fields[i], casts[i], err = columnField(&column, numeric); err != nil {
			return nil, err
		}
		if casts[i] {
			foreign = append(foreign, column.DataTypeOID)
		}
		if conn.ParameterStatus("server_encoding") == "SQL_ASCII" && q.fields[i].format == formatUTF8 && column.DataTypeOID != pgtype.UUIDOID {
			q.fields[i].codec = uncheckedTextCodec{q.fields[i].codec}
		}
	}
	if err := refuseArrays(ctx, conn, described.Fields, foreign); err != nil {
		return nil, err
	}
	q.copy = copyStatement(sql, casts)
	return q, nil
}

// columnField chooses the codec of a column; cast is true when the query has to cast it to text.
func columnField(column *pgconn.FieldDescription, numeric Numeric) (f field, cast bool, err error) {
	f, found := native[column.DataTypeOID]
	switch {
	case column.DataTypeOID == pgtype.NumericOID:
		f = numericField(column.TypeModifier, numeric)
	case column.DataTypeOID == pgtype.IntervalOID:
		return f, false, unsupported(column.Name, "interval")
	case !found:
		f, cast = field{format: formatUTF8, codec: bytesCodec{}}, true
	}
	f.name = column.Name
	return f, cast, nil
}

// numericField follows numeric_typmod_precision and numeric_typmod_scale; scales may be negative, or larger than the precision.
func numericField(typmod int32, numeric Numeric) field {
	precision, scale := numeric.Precision, numeric.Scale
	if typmod >= 4 {
		typmod -= 4
		precision, scale = int(typmod>>16&0xffff), int(typmod&0x7ff^1024)-1024
		if scale < 0 {
			precision, scale = precision-scale, 0
		}
		precision = max(precision, scale)
	} else if numeric.Float {
		return field{format: formatFloat64, codec: numericFloatCodec{}}
	}
	if precision == 0 || precision > maxDecimal {
		return field{format: formatUTF8, codec: numericTextCodec{}}
	}
	return field{format: fmt.Sprintf("d:%d,%d", precision, scale), codec: decimalCodec{precision, scale}}
}

// refuseArrays looks the types up that we do not know: among them may be arrays, which text would only blur.
func refuseArrays(ctx context.Context, conn *pgconn.PgConn, columns []pgconn.FieldDescription, oids []uint32) error {
	if len(oids) == 0 {
		return nil
	}
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(oids), " ", ","), "[]")
	const arrays = "SELECT oid, pg_catalog.format_type(oid, NULL) FROM pg_catalog.pg_type WHERE typcategory = 'A' AND typelem <> 0 AND oid IN (%s)"
	result := conn.ExecParams(ctx, fmt.Sprintf(arrays, list), nil, nil, nil, nil).Read()
	if result.Err != nil {
		return pg.Fault(result.Err, "read")
	}
	for _, column := range columns {
		for _, row := range result.Rows {
			if string(row[0]) == fmt.Sprint(column.DataTypeOID) {
				return unsupported(column.Name, string(row[1]))
			}
		}
	}
	return nil
}

func unsupported(column, kind string) error {
	return fault.NotBuilt(fmt.Sprintf("Reading column %s of type %s", column, kind)).WithHint("Cast it in the query: %s::text.", column)
}

// copyStatement copies the query, through a select list where columns must be cast. The line break ends a comment at the query's end;
// columns get names of their own, for those of the query need not be different.
func copyStatement(sql string, casts []bool) string {
	var list, names []string
	wrapped := false
	for i, cast := range casts {
		name := fmt.Sprintf("c%d", i+1)
		names = append(names, name)
		if cast {
			wrapped = true
			name = "CAST(" + name + " AS pg_catalog.text)"
		}
		list = append(list, name)
	}
	if wrapped {
		sql = "SELECT " + strings.Join(list, ", ") + "\nFROM (\n" + sql + "\n) AS query(" + strings.Join(names, ", ") + ")"
	}
	return "COPY (" + sql + "\n) TO STDOUT (FORMAT binary)"
}
