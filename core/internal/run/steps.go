package run

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// pins are the settings that our own statements run under: they make them mean the same in every session, the text of a value, which the row hash is made of,
// and the objects that names stand for. The others are for speed: statistics of temporary tables are taken small, which gives the same plans; groups of keys are formed
// by sorting, since nearly every key is a group of its own and hashing them spills (measured at the default work_mem: half the time); and the key check and the one join
// that finds the changes get leastMemory, so that a million rows are joined in one batch (2.1 s became 1.6 s). Random pages count as cheap: rows that are few against the table
// (up to 4 or 5 %) are looked up by an index then, as long as there is one that answers, in a quarter of the time of reading the table.
var pins = []struct{ name, value string }{ // the value is a SQL expression
	{"search_path", "'pg_catalog, pg_temp'"}, {"TimeZone", "'UTC'"}, {"DateStyle", "'ISO, MDY'"}, {"IntervalStyle", "'postgres'"}, {"bytea_output", "'hex'"},
	{"random_page_cost", "least(pg_catalog.current_setting('random_page_cost')::float8, 0.5)::text"},
	{"extra_float_digits", "'1'"}, {"standard_conforming_strings", "'on'"}, {"default_statistics_target", "'10'"}, {"enable_hashagg", "'off'"},
	{"work_mem", "CASE WHEN pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < pg_catalog.pg_size_bytes('" + leastMemory +
		"') THEN '" + leastMemory + "' ELSE pg_catalog.current_setting('work_mem') END"},
}

// leastMemory is the least work_mem of looking for changes; a server that gives more is left alone.
const leastMemory = "64MB"

// set gives a setting to the value of an expression, until the end of the transaction.
func set(name, expression string) string {
	return "pg_catalog.set_config('" + name + "', " + expression + ", true)"
}

// pin sets them until the end of the transaction, and keeps the values of before.
func (l *load) pin(ctx context.Context) error {
	if l.before != nil {
		return nil
	}
	l.before = make([]string, len(pins))
	asked, pinned, values := make([]string, len(pins)), make([]string, len(pins)), make([]any, len(pins))
	for i, p := range pins {
		asked[i], pinned[i], values[i] = "pg_catalog.current_setting('"+p.name+"')", set(p.name, p.value), &l.before[i]
	}
	if err := l.tx.QueryRow(ctx, "SELECT "+strings.Join(asked, ", ")).Scan(values...); err != nil {
		return pg.Fault(err, "settings")
	}
	_, err := l.tx.Exec(ctx, "SELECT "+strings.Join(pinned, ", "))
	return orNil(err, "settings")
}

// unpin gives the connection's own values back.
func (l *load) unpin(ctx context.Context) error {
	if l.before == nil {
		return nil
	}
	own, values := make([]string, len(pins)), make([]any, len(pins))
	for i, p := range pins {
		own[i], values[i] = set(p.name, fmt.Sprintf("$%d", i+1)), l.before[i]
	}
	l.before = nil
	_, err := l.tx.Exec(ctx, "SELECT "+strings.Join(own, ", "), values...)
	return orNil(err, "settings")
}

// do runs one step of the plan.
func (l *load) do(ctx context.Context, step strategy.Step) error {
	if step.Few != "" || step.Many {
		few, err := l.few(ctx)
		if err != nil || step.Many && few {
			return err
		}
		if few && step.Few != "" {
			step.SQL = step.Few
		}
	}
	switch step.Boundary {
	case strategy.Ours:
		if err := l.pin(ctx); err != nil {
			return err
		}
	case strategy.Writes:
		if err := l.unpin(ctx); err != nil {
			return err
		}
	case strategy.Source:
		if _, err := l.tx.Exec(ctx, "SAVEPOINT before_source"); err != nil {
			return pg.Fault(err, step.Name)
		}
	}
	args, err := l.arguments(ctx, step.Parameters)
	if err != nil {
		return err
	}
	switch {
	case step.Marks:
		return l.mark(ctx, step, args)
	case step.Judge != nil || step.Expects != nil:
		return l.query(ctx, step)
	case step.Name == truncateStep:
		return l.truncate(ctx, step)
	}
	changed, err := l.change(ctx, step, args)
	if err != nil {
		return l.explain(ctx, step, err)
	}
	if step.Counts == "" {
		return nil
	}
	l.counts[step.Counts] += changed
	want, announced := l.expected[step.Counts]
	delete(l.expected, step.Counts) // of the one statement that it was announced for
	if step.As != "" {
		want, announced = l.counts[step.As], true
	}
	if announced && want != changed {
		return fault.New(fault.Conflict, "The step %q changed %d rows of %s where %d were planned. Everything was rolled back.", step.Name, changed, l.plan.Table, want).
			WithHint("A trigger, rule or row-level security policy of the table keeps rows from being changed.")
	}
	return nil
}

// fewRows are few whatever the table; where it is larger, those that the planner looks up by an index are.
const fewRows = 100_000

// few reports whether few rows are staged.
func (l *load) few(ctx context.Context) (few bool, err error) {
	staged := l.counts[strategy.Staged]
	if staged < fewRows {
		return true, nil
	}
	err = l.tx.QueryRow(ctx, "SELECT reltuples > 20 * $2::float8 FROM pg_catalog.pg_class WHERE oid = $1::regclass", ident.Qualified(l.plan.Table.Schema, l.plan.Table.Name), staged).Scan(&few)
	return few, orNil(err, "reflect")
}

// change runs a statement, here or with rows from another server, and returns how many rows it changed.
func (l *load) change(ctx context.Context, step strategy.Step, args []any) (int64, error) {
	if step.Extract != "" {
		return l.relay(ctx, step)
	}
	tag, err := l.tx.Exec(ctx, step.SQL, args...)
	return tag.RowsAffected(), err
}

// checkConstraints has the server look now at what it would look at in the commit: its error is explained like that of a step, and a dry run meets it too.
func (l *load) checkConstraints(ctx context.Context) error {
	l.progress("check constraints")
	if _, err := l.tx.Exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
		return l.explain(ctx, strategy.Step{Name: "check constraints"}, err)
	}
	return nil
}

func (l *load) arguments(ctx context.Context, parameters []strategy.Parameter) ([]any, error) {
	var args []any
	for _, p := range parameters {
		switch p {
		case strategy.RunID:
			args = append(args, l.run.ID)
		case strategy.LoadTime:
			at, err := l.time(ctx)
			if err != nil {
				return nil, err
			}
			args = append(args, at)
		case strategy.Since:
			args = append(args, l.watermark.Since)
		case strategy.Watermark:
			args = append(args, l.watermark.before)
		case strategy.Cap:
			args = append(args, l.watermark.Cap)
		case strategy.Age:
			args = append(args, l.watermark.ageWhenRead())
		}
	}
	return args, nil
}

// query runs a step that looks: at what must not be, or at how much is to come.
func (l *load) query(ctx context.Context, step strategy.Step) error {
	if step.Quick != "" {
		var found int64
		if err := l.tx.QueryRow(ctx, step.Quick).Scan(&found); err != nil {
			return pg.Fault(err, step.Name)
		}
		if found == 0 {
			return nil
		}
	}
	rows, err := l.tx.Query(ctx, step.SQL, pgx.QueryResultFormats{pgx.TextFormatCode})
	if err != nil {
		return pg.Fault(err, step.Name)
	}
	texts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]string, error) {
		var list []string
		for _, raw := range row.RawValues() {
			text := "NULL"
			if raw != nil {
				text = string(raw)
			}
			list = append(list, text)
		}
		return list, nil
	})
	if err != nil {
		return pg.Fault(err, step.Name)
	}
	for i, count := range step.Expects {
		var n int64
		if _, err := fmt.Sscan(texts[0][i], &n); err != nil {
			return fault.New(fault.InternalError, "The step %q gave no number.", step.Name)
		}
		l.expected[count] = n
	}
	if step.Judge == nil {
		return nil
	}
	return step.Judge(texts)
}

// explain turns the error of a step into one that names what the user knows: columns of his, not tables of ours.
func (l *load) explain(ctx context.Context, step strategy.Step, err error) error {
	e := pg.Fault(err, step.Name)
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return e
	}
	switch {
	case server.Code == "23502" && l.plan.Load.Mode == spec.SCD2 && server.ColumnName == l.plan.Load.History.ValidFrom:
		return strategy.Endless(l.plan.Load).Because(err)
	case server.Code == "23502":
		return l.nullValue(server, e)
	case server.Code == "23505":
		e.Kind = fault.DuplicateKeys
		e.Message += ". Nothing was written."
		e.Hint = "Rows of the source repeat a unique value: one of another source row, or of a row that the table has."
		if l.plan.Load.Merges() {
			e.Hint += " Where values only change places between rows, declare the constraint DEFERRABLE in the database."
		}
		if !l.plan.Load.Mode.Keyed() {
			e.Hint += " Mode \"merge\" updates the rows of keys that are there."
		}
	case server.Code == "23503":
		e.Message += ". Nothing was written."
		e.Hint = "Rows of the table, or of others that refer to it, would refer to rows that are not there. A constraint that is DEFERRABLE is checked when all rows are written; replace=\"diff\" and mode=\"merge\" leave rows alone that stay."
	case server.Code == "0A000" && step.Name == "truncate":
		e.Kind = fault.TargetNotLoadable
		e.Hint = fmt.Sprintf("Other tables refer to %s: load it with TruncateReplace(replace=\"diff\") or mode=\"merge\", or drop these foreign keys.", l.plan.Table)
	case server.Code == "42601" && step.Boundary == strategy.Source:
		e.Hint = "The source query is one SELECT, WITH, VALUES or TABLE: it has to make sense in brackets, as in SELECT * FROM (query)."
	case server.Code == "42501" && e.Phase == pg.ReadSource:
		e.Hint = "Let the owner in the source database run: GRANT SELECT on what the query reads, and USAGE on its schema, TO the user of the source connection."
	case server.Code == "42501":
		e.Hint = fmt.Sprintf("Let the owner run: GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %s TO the user of this connection, and SELECT on what the query reads. Temporary tables need TEMPORARY on the database.", l.plan.Table)
	case server.Code == "23514" && l.plan.Load.EventTimestampColumn != "" && step.Boundary == strategy.Source:
		e.Message = fmt.Sprintf("The source of %s has infinity in its event_timestamp_column %q. Nothing was written.", l.plan.Table, l.plan.Load.EventTimestampColumn)
		e.Hint, e.Detail = "A version starts at a time: filter these rows out, or give them one.", ""
	case server.Code == "42804":
		e.Message += ". Nothing was written."
		e.Hint = "Cast it to the declared type in the query (column::type). A bare NULL or text constant counts as text there."
	case step.Boundary == strategy.Source && (server.Code == "22001" || server.Code == "22003") && l.plan.Path == spec.CrossDB && l.arrived == nil:
		e.Message = fmt.Sprintf("The source of %s has a value that cannot be stored: %s. Nothing was written.", l.plan.Table, strings.TrimPrefix(e.Message, "ERROR: "))
		e.Hint = "Widen the declared type, or change the values in the query."
	case step.Boundary == strategy.Source && (server.Code == "22001" || server.Code == "22003"):
		return l.misfit(ctx, e)
	case server.Code[:2] == "22":
		e.Message += ". Nothing was written."
	}
	return e
}

func (l *load) nullValue(server *pgconn.PgError, e *fault.Error) error {
	column := l.plan.Table.Column(server.ColumnName)
	switch {
	case column == nil && l.plan.Load.EventTimestampColumn != "":
		e.Message = fmt.Sprintf("The source of %s has NULL in its event_timestamp_column %q. Nothing was written.", l.plan.Table, l.plan.Load.EventTimestampColumn)
		e.Hint = "Every row needs the time from which it holds: filter these rows out or give them one."
	case column == nil:
		return e
	case column.PrimaryKey:
		e.Kind = fault.NullKey
		e.Message = fmt.Sprintf("The source of %s has NULL in the primary-key column %q. Nothing was written.", l.plan.Table, column.Name)
		e.Hint = "Filter these rows out in the query, or choose another key."
	default:
		e.Message = fmt.Sprintf("The source of %s has NULL in the column %q, which is NOT NULL. Nothing was written.", l.plan.Table, column.Name)
		e.Hint = "Declare the column as nullable (T | None), or replace NULL in the query, for example with coalesce()."
	}
	e.Detail = "" // it holds the whole row
	return e
}
