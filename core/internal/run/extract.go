package run

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// wanted is a column of the staging table, and the column of the source query that fills it.
type wanted struct {
	name   string
	source string
	kind   types.Type
}

// extract says how the rows of a query travel from another database into the staging table, so that what arrives is what INSERT INTO stage SELECT ... FROM (query) makes of them within one database.
type extract struct {
	stage, arrival string // qualified names of temporary tables
	columns        []travelling
	arrives        bool // in a table of its own first, whatever the types
}

// travelling is one column under way.
type travelling struct {
	wanted
	output string // of the SELECT at the source
	wire   uint32 // the type that is sent
	late   bool   // the target converts it, after it has arrived
}

// newExtract decides it for each column. fields are those of the query, as the source describes them; each wanted source column is among them. source is asked for the casts of types that are not built in.
func newExtract(ctx context.Context, source pgx.Tx, target *pgconn.PgConn, fields []pgconn.FieldDescription, want []wanted, stage, arrival string) (*extract, error) {
	x := &extract{stage: stage, arrival: arrival}
	older := major(source.Conn().PgConn()) >= infiniteIntervals && major(target) < infiniteIntervals
	var foreign []int
	var types []uint32
	for _, w := range want {
		field := fields[slices.IndexFunc(fields, func(f pgconn.FieldDescription) bool { return f.Name == w.source })]
		from, to := field.DataTypeOID, declaredOID[w.kind.Kind]
		c := travelling{wanted: w, output: "q." + ident.Quote(w.source), wire: from}
		switch _, listed := wireNames[from]; {
		case !listed || (older && from == oidIntervals):
			foreign, types = append(foreign, len(x.columns)), append(types, from)
			c.output, c.wire = c.output+"::"+wireNames[to], to
		case slices.Contains(exact[from], to):
			c.output, c.wire = c.output+"::"+wireNames[to], to
		default:
			c.late = from != to && !(isText(from) && isText(to))
			if older && from == oidInterval {
				c.output = finite(c.output)
			}
		}
		x.columns = append(x.columns, c)
	}
	if len(foreign) == 0 {
		return x, nil
	}
	return x, x.checkCasts(ctx, source, foreign, types)
}

// major is the major version of a server.
func major(conn *pgconn.PgConn) (version int) {
	_, _ = fmt.Sscanf(conn.ParameterStatus("server_version"), "%d", &version) // without a number it counts as old
	return version
}

// finite is an interval, and an error where it is infinite.
func finite(value string) string {
	return fmt.Sprintf("CASE WHEN pg_catalog.isfinite(%[1]s) THEN %[1]s ELSE %[1]s OPERATOR(pg_catalog.-) %[1]s END", value)
}

// checkCasts refuses columns of types that are not built in where an INSERT would: where neither an assignment cast leads to the declared type, nor is that a text, which anything can be assigned to.
func (x *extract) checkCasts(ctx context.Context, source pgx.Tx, columns []int, from []uint32) error {
	pairs := make([]string, len(columns))
	for i, column := range columns {
		pairs[i] = fmt.Sprintf("(%d, %d, %d)", i, from[i], x.columns[column].wire)
	}
	rows, err := source.Query(ctx, `SELECT pg_catalog.format_type(p.s, NULL), c.castcontext::pg_catalog.text, pg_catalog.format_type(p.t, NULL)
FROM (VALUES `+strings.Join(pairs, ", ")+`) AS p (n, s, t)
LEFT JOIN pg_catalog.pg_cast AS c ON c.castsource = p.s::pg_catalog.oid AND c.casttarget = p.t::pg_catalog.oid
ORDER BY p.n`)
	if err != nil {
		return pg.Fault(err, pg.ReadSource)
	}
	type pair struct {
		From, To string
		Context  *string
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p pair, err error) {
		return p, row.Scan(&p.From, &p.Context, &p.To)
	})
	if err != nil {
		return pg.Fault(err, pg.ReadSource)
	}
	for i, p := range found {
		c := x.columns[columns[i]]
		if p.Context == nil && isText(c.wire) || p.Context != nil && *p.Context != "e" {
			continue
		}
		e := fault.New(fault.InvalidQuery, "ERROR: column %q is of type %s but expression is of type %s. Nothing was written.", c.source, p.To, p.From).
			WithHint("Cast it in the query, for example %s::%s.", ident.Quote(c.source), strings.ToLower(c.kind.SQL()))
		e.SQLState, e.Phase = "42804", pg.ReadSource
		return e
	}
	return nil
}

// twoSteps reports whether some values are converted by the target: then the rows go into a table of their own types first.
func (x *extract) twoSteps() bool {
	return x.arrives || slices.ContainsFunc(x.columns, func(c travelling) bool { return c.late })
}

// copyOut is the COPY of the source. where is a condition on the columns of the query, as q.name, or empty.
func (x *extract) copyOut(query, where string) string {
	outputs := make([]string, len(x.columns))
	for i, c := range x.columns {
		outputs[i] = c.output
	}
	return copyOut(outputs, query, where)
}

// A comment at the end of the query must not swallow the bracket.
func copyOut(outputs []string, query, where string) string {
	if where != "" {
		where = "WHERE " + where + "\n"
	}
	return "COPY (\nSELECT " + strings.Join(outputs, ", ") + "\nFROM (\n" + query + "\n) AS q\n" + where + ") TO STDOUT (FORMAT binary)"
}

// copyIn is the COPY of the target.
func (x *extract) copyIn() string {
	table := x.stage
	if x.twoSteps() {
		table = x.arrival
	}
	return "COPY " + table + " (" + ident.List(x.names()) + ") FROM STDIN (FORMAT binary)"
}

func (x *extract) names() []string {
	names := make([]string, len(x.columns))
	for i, c := range x.columns {
		names[i] = c.name
	}
	return names
}

// createArrival makes the table of the first step. It has the types as they are sent, without their modifiers: these are for the staging table to apply.
func (x *extract) createArrival() string {
	columns := make([]string, len(x.columns))
	for i, c := range x.columns {
		columns[i] = ident.Quote(c.name) + " " + wireNames[c.wire]
	}
	return "CREATE TEMPORARY TABLE " + strings.TrimPrefix(x.arrival, "pg_temp.") + " (\n    " + strings.Join(columns, ",\n    ") + "\n) ON COMMIT DROP"
}

// insert is the second step: the target's own assignment casts, under the connection's own settings. It can be prepared before the rows are there, which finds types that cannot be assigned.
func (x *extract) insert() string {
	values := make([]string, len(x.columns))
	for i, c := range x.columns {
		values[i] = "a." + ident.Quote(c.name)
	}
	return "INSERT INTO " + x.stage + " (" + ident.List(x.names()) + ")\nSELECT " + strings.Join(values, ", ") + "\nFROM " + x.arrival + " AS a"
}

// relaySession is set on both sides before a relay, which passes text on as it is: else it would be in the encoding of either database.
const relaySession = "SET LOCAL client_encoding = 'UTF8'"

// place is what the server says of where it was in a binary COPY.
var place = regexp.MustCompile(`^COPY .+, line (\d+), column (.+)$`)

// placed names the column and the row that the target refused in its COPY, where it says so.
func (x *extract) placed(err error) error {
	e := pg.Fault(err, pg.Stage)
	var server *pgconn.PgError
	if e.Phase != pg.Stage || !errors.As(err, &server) {
		return e
	}
	at := place.FindStringSubmatch(server.Where)
	if at == nil {
		return e
	}
	column := at[2]
	if i := slices.Index(x.names(), column); i >= 0 {
		column = x.columns[i].source
	}
	e.Message += fmt.Sprintf(" (column %q of row %s)", column, at[1])
	return e
}
