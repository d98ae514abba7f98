package core

import (
	"context"
	"regexp"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/frame"
	"github.com/ematix/ematix-flow/core/internal/history"
	"github.com/ematix/ematix-flow/core/internal/ident"
)

type historyOfRunsArgs struct {
	Connection int64   `json:"connection"`
	Name       *string `json:"name"` // of a pipeline, or schema.table; null: all
	Limit      int     `json:"limit"`
}

// historyOfRuns answers with recorded runs, the newest first.
func (e *Engine) historyOfRuns(ctx context.Context, _ *call, args historyOfRunsArgs) (*history.Runs, error) {
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	return history.ReadRuns(ctx, session, args.Name, args.Limit)
}

type historyOfKeyArgs struct {
	Connection  int64              `json:"connection"`
	Table       string             `json:"table"`
	Values      []*string          `json:"values"`
	Named       map[string]*string `json:"named"`
	SCD2Columns map[string]string  `json:"scd2_columns"`
	Limit       int                `json:"limit"`
}

// historyOfKey answers with the versions of one key, the oldest first.
func (e *Engine) historyOfKey(ctx context.Context, _ *call, args historyOfKeyArgs) (*history.Versions, error) {
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	return history.ReadVersions(ctx, session, history.Request{Table: args.Table, Values: args.Values, Named: args.Named, Names: args.SCD2Columns, Limit: args.Limit})
}

type recordColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type readRecordsArgs struct {
	Connection int64          `json:"connection"`
	Columns    []recordColumn `json:"columns"`
	Rows       string         `json:"rows"` // JSON: a list of objects of texts
}

// travelling are the types that a stream has; what is of any other is read as text.
var travelling = regexp.MustCompile(`^(boolean|smallint|integer|bigint|real|double precision|uuid|bytea|date|numeric\(\d+,\d+\)|time(\(\d\))? without time zone|timestamp(\(\d\))? with(out)? time zone)$`)

// readRecords answers with rows that the caller has already, as a stream of typed columns: the server reads the texts.
func (e *Engine) readRecords(ctx context.Context, c *call, args readRecordsArgs) (any, error) {
	columns := make([]string, len(args.Columns))
	for i, column := range args.Columns {
		if err := ident.Check("column name", column.Name); err != nil {
			return nil, err
		}
		kind := column.Type
		if !travelling.MatchString(kind) {
			kind = "pg_catalog.text"
		}
		columns[i] = ident.Quote(column.Name) + " " + kind
	}
	if len(columns) == 0 {
		return nil, fault.New(fault.InvalidSpec, "There are no columns to read.")
	}
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	sql := "SELECT * FROM pg_catalog.json_to_recordset(" + strings.TrimSpace(ident.Literal(args.Rows)) + "::pg_catalog.json) AS r (" + strings.Join(columns, ", ") + ")"
	c.output, err = frame.Read(ctx, session, frame.Query{SQL: sql, Buffered: true}, nil)
	return nil, err
}
