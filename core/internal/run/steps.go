package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

// pinSQL makes our own statements mean the same in every session: the text of a value, which the row hash is made of, and the objects
// that names stand for. Two settings are for speed: statistics of temporary tables are taken small, which gives the same plans, and groups of keys are formed by sorting,
// since nearly every key is a group of its own and hashing them spills (measured at the default work_mem: half the time).
const pinSQL = `SELECT set_config('search_path', 'pg_catalog, pg_temp', true), set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, MDY', true),
    set_config('IntervalStyle', 'postgres', true), set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true),
    set_config('standard_conforming_strings', 'on', true), set_config('default_statistics_target', '10', true), set_config('enable_hashagg', 'off', true)`

// do runs one step of the plan.
func (l *load) do(ctx context.Context, step strategy.Step) error {
	switch step.Boundary {
	case strategy.Ours:
		if _, err := l.tx.Exec(ctx, pinSQL); err != nil {
			return pg.Fault(err, "settings")
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
	if step.Judge != nil || step.Expects != nil {
		return l.query(ctx, step)
	}
	tag, err := l.tx.Exec(ctx, step.SQL, args...)
	if err != nil {
		return l.explain(ctx, step, err)
	}
	if step.Counts == "" {
		return nil
	}
	l.counts[step.Counts] += tag.RowsAffected()
	if want, announced := l.expected[step.Counts]; announced && want != tag.RowsAffected() {
		return fault.New(fault.Conflict, "The step %q changed %d rows of %s where %d were planned. Everything was rolled back.", step.Name, tag.RowsAffected(), l.plan.Table, want).
			WithHint("A trigger, rule or row-level security policy of the table keeps rows from being changed.")
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
	case server.Code == "23502":
		return l.nullValue(server, e)
	case server.Code == "23505":
		e.Kind = fault.DuplicateKeys
		e.Message += ". Nothing was written."
		e.Hint = "Rows of the source have a key that other rows have: the source's own or the table's. Mode \"merge\" updates such rows."
	case server.Code == "0A000" && step.Name == "truncate":
		e.Kind = fault.TargetNotLoadable
		e.Hint = "Other tables reference it: load it with mode=\"merge\", or drop these foreign keys."
	case server.Code == "42501":
		e.Hint = fmt.Sprintf("Let the owner run: GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON %s TO the user of this connection, and SELECT on what the query reads. Temporary tables need TEMPORARY on the database.", l.plan.Table)
	case server.Code == "55P03":
		e.Message = fmt.Sprintf("%s is locked by another session for longer than lock_timeout. Nothing was written.", l.plan.Table)
		e.Hint = "pg_stat_activity and pg_locks show who it is. Try again, or give a longer lock_timeout."
	case server.Code == "42804":
		e.Message += ". Nothing was written."
		e.Hint = "Cast it in the query, for example NULL::json or '2024-01-01'::date: a bare NULL or text constant counts as text."
	case step.Boundary == strategy.Source && server.Code[:2] == "22":
		return l.misfit(ctx, e)
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
