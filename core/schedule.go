package core

import (
	"context"
	"math"
	"os"
	"strings"
	"time"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/schedule"
)

type dueArgs struct {
	Schedule        string  `json:"schedule"`
	Now             int64   `json:"now"` // microseconds since 1970 in UTC, as all times here
	IntervalSeconds float64 `json:"interval_seconds"`
}

type dueAnswer struct {
	Due     bool   `json:"due"`
	Tick    *int64 `json:"tick"`    // the last one of the window
	Earlier *int64 `json:"earlier"` // the one before it, if the window has several
}

// longestInterval is what a Duration can hold, and more than the years between any two ticks.
const longestInterval = 200 * 365 * 24 * time.Hour

// isDue asks for the last tick in (now-interval, now].
func (e *Engine) isDue(_ context.Context, _ *call, args dueArgs) (*dueAnswer, error) {
	s, err := schedule.Parse(args.Schedule)
	if err != nil {
		return nil, err
	}
	if args.IntervalSeconds < 0 {
		return nil, fault.New(fault.InvalidSpec, "interval_seconds is negative.")
	}
	interval := longestInterval
	if args.IntervalSeconds < longestInterval.Seconds() {
		interval = time.Duration(math.Round(args.IntervalSeconds*1e6)) * time.Microsecond
	}
	now := time.UnixMicro(args.Now)
	tick, due := s.Due(now, interval)
	if !due {
		return &dueAnswer{}, nil
	}
	answer := &dueAnswer{Due: true, Tick: micros(tick)}
	before := tick.Add(-time.Microsecond)
	if earlier, several := s.Due(before, before.Sub(now.Add(-interval))); several {
		answer.Earlier = micros(earlier)
	}
	return answer, nil
}

type schedulesArgs struct {
	Schedules []string `json:"schedules"`
}

// checkSchedules says of each schedule why it can never fire, or "" where it can.
func (e *Engine) checkSchedules(_ context.Context, _ *call, args schedulesArgs) ([]string, error) {
	problems := make([]string, len(args.Schedules))
	for i, text := range args.Schedules {
		if _, err := schedule.Parse(text); err != nil {
			problems[i] = err.Error()
		}
	}
	return problems, nil
}

func micros(at time.Time) *int64 {
	n := at.UnixMicro()
	return &n
}

type claimArgs struct {
	Connection   int64  `json:"connection"`
	PipelineName string `json:"pipeline_name"`
	Tick         int64  `json:"tick"`
}

type claimAnswer struct {
	Claimed  bool   `json:"claimed"`
	Previous *int64 `json:"previous"` // the tick that was claimed before this one
}

// claimTick takes a tick of a pipeline in the state tables of a database: of all who ask, one gets it.
func (e *Engine) claimTick(ctx context.Context, _ *call, args claimArgs) (*claimAnswer, error) {
	if args.PipelineName == "" || strings.ContainsRune(args.PipelineName, 0) {
		return nil, fault.New(fault.InvalidSpec, "The pipeline name is empty, or holds a NUL character.")
	}
	session, err := e.session(ctx, args.Connection)
	if err != nil {
		return nil, err
	}
	defer session.Release()
	if err := meta.Ensure(ctx, session); err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // a machine without a name has an empty one in the table
	taken, before, err := meta.Tick{Pipeline: args.PipelineName, At: time.UnixMicro(args.Tick)}.Claim(ctx, session, host, os.Getpid())
	answer := &claimAnswer{Claimed: taken}
	if !before.IsZero() {
		answer.Previous = micros(before)
	}
	return answer, err
}
