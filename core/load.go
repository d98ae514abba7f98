package core

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// defaultLockTimeout is how long a load waits for locks, in milliseconds.
const defaultLockTimeout = 30_000

// loadArgs describe a load; which databases it is between is said beside them.
type loadArgs struct {
	Spec                 string    `json:"spec"`
	Augment              bool      `json:"augment"`
	Mode                 spec.Mode `json:"mode"`
	Query                string    `json:"query"`
	PipelineName         *string   `json:"pipeline_name"`
	Keys                 []string  `json:"keys"`
	UpdateColumns        []string  `json:"update_columns"`
	CompareColumns       []string  `json:"compare_columns"`
	HandleDeletes        *string   `json:"handle_deletes"`
	EventTimestampColumn *string   `json:"event_timestamp_column"`
	IncrementalColumn    *string   `json:"incremental_column"`
	TTLSeconds           *float64  `json:"ttl_seconds"`
	ForcePath            *string   `json:"force_path"`
	OnDrift              *string   `json:"on_drift"`
	OnBusy               *string   `json:"on_busy"`
	DryRun               bool      `json:"dry_run"`
	LockTimeoutMS        *int64    `json:"lock_timeout_ms"`

	LagMicroseconds   *int64               `json:"lag_microseconds"`
	LagNumber         *string              `json:"lag_number"`
	WatermarkCap      *bool                `json:"watermark_cap"`
	LastValueLiteral  *string              `json:"last_value_literal"`
	MaxDeleteFraction *float64             `json:"max_delete_fraction"`
	DeletedColumn     *string              `json:"deleted_column"`
	Replace           *string              `json:"replace"`
	Versions          *string              `json:"versions"`
	Late              *string              `json:"late"`
	Guards            *string              `json:"guards"`
	SCD2Columns       *spec.HistoryColumns `json:"scd2_columns"`
	Closures          bool                 `json:"closures"`
}

// plan checks everything about the arguments before a database is asked. crossServer says that the query runs in another database than the target is in.
func (a *loadArgs) plan(crossServer bool) (*plan.Plan, error) {
	load := a.load()
	load.CrossServer = crossServer
	if err := load.CheckArguments(); err != nil { // before the spec: documented order
		return nil, err
	}
	var err error
	if load.Target, err = spec.DecodeTable([]byte(a.Spec)); err != nil {
		return nil, err
	}
	if load.PipelineName == "" {
		load.PipelineName = load.Target.String()
	}
	if strings.ContainsRune(load.PipelineName, 0) {
		return nil, fault.New(fault.InvalidSpec, "The pipeline name holds a NUL character.")
	}
	if load.Query == "" {
		return nil, fault.New(fault.InvalidQuery, "The source query is empty.").WithHint("Return a SELECT from the pipeline function.")
	}
	if strings.ContainsRune(load.Query, 0) {
		return nil, fault.New(fault.InvalidQuery, "The source query holds a NUL character, which PostgreSQL cannot read.")
	}
	return plan.Make(load)
}

func (a *loadArgs) load() *spec.Load {
	l := &spec.Load{
		Augment: a.Augment, Mode: a.Mode, Query: spec.TrimStatement(a.Query), PipelineName: value(a.PipelineName, ""),
		Keys: a.Keys, UpdateColumns: a.UpdateColumns, CompareColumns: a.CompareColumns,
		HandleDeletes: value(a.HandleDeletes, ""), EventTimestampColumn: value(a.EventTimestampColumn, ""), IncrementalColumn: value(a.IncrementalColumn, ""),
		ForcePath: value(a.ForcePath, ""), OnDrift: value(a.OnDrift, spec.DriftError), OnBusy: value(a.OnBusy, spec.BusyWait), DryRun: a.DryRun,
		LockTimeoutMS: value(a.LockTimeoutMS, defaultLockTimeout),
		Lag:           spec.Lag{Microseconds: value(a.LagMicroseconds, 0), Number: value(a.LagNumber, "")}, WatermarkCap: a.WatermarkCap, LastValueLiteral: value(a.LastValueLiteral, ""),
		MaxDeleteFraction: a.MaxDeleteFraction, DeletedColumn: value(a.DeletedColumn, ""), Replace: value(a.Replace, ""),
		Versions: value(a.Versions, ""), Late: value(a.Late, ""), Guards: value(a.Guards, ""), History: value(a.SCD2Columns, spec.HistoryColumns{}), Closures: a.Closures,
	}
	if a.TTLSeconds != nil {
		l.HasTTL, l.TTLSeconds = true, *a.TTLSeconds
	}
	return l
}

func value[T any](given *T, otherwise T) T {
	if given == nil {
		return otherwise
	}
	return *given
}
