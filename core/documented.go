package core

import (
	"context"

	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
)

type documentedArgs struct {
	Spec  string `json:"spec"`
	Query string `json:"query"`
}

func (e *Engine) planAppendSQL(_ context.Context, _ *call, args documentedArgs) (string, error) {
	t, err := spec.DecodeTable([]byte(args.Spec))
	if err != nil {
		return "", err
	}
	return strategy.DocumentedAppend(t, args.Query)
}

func (e *Engine) planTruncateSQL(_ context.Context, _ *call, args documentedArgs) ([]string, error) {
	t, err := spec.DecodeTable([]byte(args.Spec))
	if err != nil {
		return nil, err
	}
	return strategy.DocumentedTruncate(t, args.Query)
}

type documentedMergeArgs struct {
	Spec          string   `json:"spec"`
	Query         string   `json:"query"`
	Keys          []string `json:"keys"`
	UpdateColumns []string `json:"update_columns"`
}

func (e *Engine) planMergeSQL(_ context.Context, _ *call, args documentedMergeArgs) (string, error) {
	t, err := spec.DecodeTable([]byte(args.Spec))
	if err != nil {
		return "", err
	}
	return strategy.DocumentedMerge(t, args.Query, args.Keys, args.UpdateColumns)
}

type documentedSCD2Args struct {
	Spec           string   `json:"spec"`
	Query          string   `json:"query"`
	Keys           []string `json:"keys"`
	CompareColumns []string `json:"compare_columns"`
	RunToken       string   `json:"run_token"`
	EventTSColumn  *string  `json:"event_ts_column"`
}

func (e *Engine) planSCD2SQL(_ context.Context, _ *call, args documentedSCD2Args) ([]string, error) {
	t, err := spec.DecodeTable([]byte(args.Spec))
	if err != nil {
		return nil, err
	}
	return strategy.DocumentedSCD2(t, args.Query, args.Keys, args.CompareColumns, args.RunToken, value(args.EventTSColumn, ""))
}
