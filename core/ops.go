package core

import (
	"context"
	"errors"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// operation decodes the arguments, does the work and returns what is encoded as the answer.
type operation func(e *Engine, ctx context.Context, c *call, args []byte) (any, error)

// operations maps the name of each operation to the method of Engine that does it.
var operations = map[string]operation{
	"augment_table_spec":       op((*Engine).augmentTableSpec),
	"augment_table_spec_scd2":  op((*Engine).augmentTableSpecSCD2),
	"check_load":               op((*Engine).checkLoad),
	"check_schedules":          op((*Engine).checkSchedules),
	"claim_tick":               op((*Engine).claimTick),
	"connect":                  op((*Engine).connect),
	"create_table_sql":         op((*Engine).createTableSQL),
	"describe_dsn":             op((*Engine).describeDSN),
	"disconnect":               op((*Engine).disconnect),
	"doctor":                   op((*Engine).doctor),
	"dsn":                      op((*Engine).dsn),
	"ensure_table":             op((*Engine).ensureTable),
	"execute":                  op((*Engine).execute),
	"execute_in_transaction":   op((*Engine).executeInTransaction),
	"fetch_scalar_int":         op((*Engine).fetchScalarInt),
	"history_of_key":           op((*Engine).historyOfKey),
	"history_of_runs":          op((*Engine).historyOfRuns),
	"is_due":                   op((*Engine).isDue),
	"observe":                  op((*Engine).observe),
	"parse_spec":               op((*Engine).parseSpec),
	"parse_table_spec":         op((*Engine).parseTableSpec),
	"ping":                     op((*Engine).ping),
	"plan":                     op((*Engine).planLoad),
	"plan_append_sql":          op((*Engine).planAppendSQL),
	"plan_merge_sql":           op((*Engine).planMergeSQL),
	"plan_scd2_sql":            op((*Engine).planSCD2SQL),
	"plan_truncate_sql":        op((*Engine).planTruncateSQL),
	"read_arrow":               op((*Engine).readArrow),
	"read_records":             op((*Engine).readRecords),
	"read_watermark":           op((*Engine).readWatermark),
	"record_transform_history": op((*Engine).recordTransformHistory),
	"same_database":            op((*Engine).sameDatabase),
	"sync":                     op((*Engine).sync),
	"list_connections":         op((*Engine).listConnections),
	"redact":                   op((*Engine).redact),
	"reflect_table":            op((*Engine).reflectTable),
	"resolve_connection":       op((*Engine).resolveConnection),
	"set_connection":           op((*Engine).setConnection),
	"version":                  op((*Engine).version),
	"write_arrow":              op((*Engine).writeArrow),
	"_panic":                   op((*Engine).panic),
	"_panic_stream":            op((*Engine).panicStream),
}

func op[Args, Result any](do func(*Engine, context.Context, *call, Args) (Result, error)) operation {
	return func(e *Engine, ctx context.Context, c *call, text []byte) (any, error) {
		var args Args
		if err := decodeStrict(text, &args); err != nil {
			return nil, err
		}
		result, err := do(e, ctx, c, args)
		if err != nil && ctx.Err() != nil {
			return nil, cancelled(err)
		}
		return result, err
	}
}

// cancelled says what happened when the caller gave up: the server's own word is "canceling statement due to user request", or the end of a connection.
func cancelled(err error) error {
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind == fault.CommitUnknown {
		return err
	}
	e.Kind, e.Message, e.Hint = fault.QueryError, "The call was cancelled.", ""
	return e
}

// Do runs one operation and returns its answer, and the Arrow stream that belongs to it or nil. It never panics. input is the Arrow stream that
// came with the message, or nil; progress may be called from any goroutine until Do returns.
func (e *Engine) Do(ctx context.Context, name string, text []byte, input RecordReader, progress func(Progress)) (reply []byte, stream RecordStream) {
	defer func() {
		if p := recover(); p != nil {
			reply, stream = encodeReply(nil, fault.Recovered("operation "+name, p)), nil
		}
	}()
	do, found := operations[name]
	if !found {
		return encodeReply(nil, fault.New(fault.InvalidSpec, "There is no operation %q.", name)), nil
	}
	m, err := decodeMessage(text)
	if err != nil {
		return encodeReply(nil, err), nil
	}
	c := &call{env: m.Env, input: input, progress: progress}
	value, err := do(e, ctx, c, m.Args)
	if err != nil {
		return encodeReply(nil, err), nil
	}
	return encodeReply(value, nil), c.output
}

type noArgs struct{}

func (e *Engine) version(context.Context, *call, noArgs) (string, error) { return Version, nil }

// panic proves that a defect of the engine ends a call and not the process.
func (e *Engine) panic(context.Context, *call, noArgs) (any, error) { panic("on purpose") }
