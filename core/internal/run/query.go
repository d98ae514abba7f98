package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

// describe asks the server what columns a query has. It takes exactly one statement, and so do we.
func (l *load) describe(ctx context.Context) ([]pgconn.FieldDescription, error) {
	d, err := l.reader().Conn().PgConn().Prepare(ctx, "", l.plan.Load.Query, nil)
	if err != nil {
		e := pg.Fault(err, "source query")
		if e.Kind == fault.InvalidQuery {
			e.Message = "The source query cannot be run. " + e.Message + lineOf(err, l.plan.Load.Query)
			if e.SQLState == "42P01" || e.SQLState == "3F000" {
				e.Hint = "It ran" + l.where() + ": source_connection= (or the connection of the Source) decides that."
			}
			if strings.Contains(e.Message, "multiple commands") {
				e.Hint = "Return one statement; run others by themselves, with the execute() of a connection."
			}
		}
		if e.Kind == fault.PermissionDenied {
			e.Message = "The source query cannot be run" + l.where() + ". " + e.Message
			e.Hint = "Let the owner there run: GRANT USAGE on the schema and SELECT on what the query reads, TO the user of this connection."
		}
		return nil, e
	}
	if len(d.ParamOIDs) > 0 {
		return nil, fault.New(fault.InvalidQuery, "The source query has parameters ($1, ...), and there is nothing to bind to them.").
			WithHint("Write the values into the query.")
	}
	return d.Fields, nil
}

// lineOf tells where in a query of several lines the server found the error, as " (line 3 of the query, column 8)". The server counts characters.
func lineOf(err error, query string) string {
	var server *pgconn.PgError
	if !errors.As(err, &server) || !strings.Contains(query, "\n") {
		return ""
	}
	before := []rune(query)
	if server.Position < 1 || int(server.Position) > len(before)+1 {
		return ""
	}
	lines := strings.Split(string(before[:server.Position-1]), "\n")
	return fmt.Sprintf(" (line %d of the query, column %d)", len(lines), utf8.RuneCountInString(lines[len(lines)-1])+1)
}

// where says in which database the query runs.
func (l *load) where() string {
	of := l.server
	if l.reads != nil {
		of = l.source
	}
	return fmt.Sprintf(" in the database %q on %s", of.DSN.Database, of.DSN.Host)
}

// checkQuery refuses a query that does not deliver the columns that the table declares.
func (l *load) checkQuery(ctx context.Context) error {
	l.progress("check query")
	fields, err := l.describe(ctx)
	if err != nil {
		return err
	}
	l.fields = fields
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	var missing, twice []string
	for _, name := range l.plan.Needs {
		switch first := slices.Index(names, name); {
		case first < 0:
			missing = append(missing, name)
		case slices.Contains(names[first+1:], name):
			twice = append(twice, name)
		}
	}
	if len(missing) > 0 {
		if event := l.plan.Load.EventTimestampColumn; slices.Contains(missing, event) && l.plan.Table.Column(event) == nil {
			return fault.New(fault.InvalidQuery, "event_timestamp_column=%q is no column of the source query. It delivers: %s.", event, quoteAll(names)).
				WithHint("Name the column that holds the time from which a row holds, or add it to the SELECT.")
		}
		e := fault.New(fault.InvalidQuery, "The source query lacks %s of %s. It delivers: %s.", columns(missing), l.plan.Table, quoteAll(names))
		e.Hint = "Add what is missing to the SELECT, or rename another one with AS. Names are compared exactly: unquoted names in SQL are lower case."
		if len(names) == 0 {
			e.Message = "The source query returns no rows: it is not a SELECT."
			e.Hint = "Return a query from the pipeline function: SELECT, WITH, VALUES or TABLE."
		}
		return e
	}
	if len(twice) > 0 {
		return fault.New(fault.InvalidQuery, "The source query delivers the column %s more than once.", quoteAll(twice)).
			WithHint("Rename or drop one of them: which is meant could only be guessed.")
	}
	if err := l.checkEventTime(fields); err != nil {
		return err
	}
	return l.checkGrowth(fields)
}

// checkEventTime refuses an event time that is no time.
func (l *load) checkEventTime(fields []pgconn.FieldDescription) error {
	name := l.plan.Load.EventTimestampColumn
	if name == "" {
		return nil
	}
	f := fields[slices.IndexFunc(fields, func(f pgconn.FieldDescription) bool { return f.Name == name })]
	if slices.Contains([]uint32{pgtype.DateOID, pgtype.TimestampOID, pgtype.TimestamptzOID}, f.DataTypeOID) {
		return nil
	}
	return fault.New(fault.InvalidQuery, "event_timestamp_column=%q is neither a timestamp nor a date in the source query. Nothing was written.", name).
		WithHint("Cast it in the query, for example %s::timestamptz AS %[1]s.", ident.Quote(name))
}

func columns(names []string) string {
	if len(names) == 1 {
		return "the column " + quoteAll(names)
	}
	return "the columns " + quoteAll(names)
}

func quoteAll(names []string) string {
	if len(names) == 0 {
		return "no columns"
	}
	return `"` + strings.Join(names, `", "`) + `"`
}
