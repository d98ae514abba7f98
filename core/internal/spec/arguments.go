package spec

import (
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
)

// DefaultDeletedColumn is the name of the mark of soft deletes in a merge.
const DefaultDeletedColumn = "is_deleted"

// maxTTL keeps the time before which versions expire within the times that PostgreSQL has: 6,000 years.
const maxTTL = 6_000 * 365 * 24 * 3600

// CheckArguments fills in defaults and refuses arguments that contradict each other, in the documented order. No database is needed.
func (l *Load) CheckArguments() error {
	l.fillIn()
	for _, check := range []func() error{l.checkMode, l.checkScope, l.checkDeletes, l.checkChoices, l.checkWatermark, l.checkHistory} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (l *Load) fillIn() {
	for _, option := range []struct {
		value     *string
		otherwise string
	}{
		{&l.DeletedColumn, DefaultDeletedColumn}, {&l.Replace, ReplaceTruncate}, {&l.Versions, VersionsLatest}, {&l.Late, LateError}, {&l.Guards, GuardsCurrent},
		{&l.OnDrift, DriftError}, {&l.OnBusy, BusyWait},
	} {
		if *option.value == "" {
			*option.value = option.otherwise
		}
	}
	l.History = l.History.orStandard()
}

func (l *Load) checkMode() error {
	if !slices.Contains(Modes, l.Mode) {
		return fault.New(fault.NotImplemented, "The mode %q is not implemented: it is append, truncate, merge, scd1 or scd2.", l.Mode)
	}
	if !slices.Contains([]string{"", SameDB, CrossDB}, l.ForcePath) {
		return invalid("force_path=%q: it is \"same_db\", \"cross_db\" or None.", l.ForcePath)
	}
	return nil
}

// checkScope refuses options of another mode.
func (l *Load) checkScope() error {
	if l.IncrementalColumn != "" && l.Mode == Truncate {
		return invalid("incremental_column cannot be used with mode=%q: it would drop the rows that are not read again.", l.Mode)
	}
	for _, option := range []struct {
		name  string
		given bool
	}{
		{"event_timestamp_column", l.EventTimestampColumn != ""}, {"ttl", l.HasTTL}, {"versions", l.Versions != VersionsLatest}, {"late", l.Late != LateError},
		{"guards", l.Guards != GuardsCurrent}, {"scd2_columns", l.History != StandardHistory}, {"closures", l.Closures},
	} {
		if option.given && l.Mode != SCD2 {
			return invalid("%s needs mode=\"scd2\", not %q.", option.name, l.Mode)
		}
	}
	if l.UpdateColumns != nil && !l.Merges() {
		return invalid("update_columns needs mode=\"merge\", not %q.", l.Mode)
	}
	if l.CompareColumns != nil && l.Mode != SCD2 {
		return invalid("compare_columns needs mode=\"scd2\", not %q.", l.Mode)
	}
	if l.Replace != ReplaceTruncate && l.Mode != Truncate {
		return invalid("replace needs mode=\"truncate\", not %q.", l.Mode)
	}
	return nil
}

func (l *Load) checkDeletes() error {
	if err := l.checkHandleDeletes(); err != nil {
		return err
	}
	if l.DeletedColumn != DefaultDeletedColumn && l.MarksDeleted() == "" {
		return invalid("deleted_column needs handle_deletes=\"soft\" in a merge.")
	}
	if err := ident.Check("deleted_column", l.DeletedColumn); err != nil {
		return err
	}
	if l.DeletedColumn == LoadedAt || l.DeletedColumn == BatchID {
		return invalid("deleted_column=%q is the name of another column that the load fills.", l.DeletedColumn)
	}
	if l.MaxDeleteFraction == nil {
		return nil
	}
	if l.HandleDeletes == "" {
		return invalid("max_delete_fraction needs handle_deletes: without it a load deletes nothing.")
	}
	if f := *l.MaxDeleteFraction; !(f >= 0 && f <= 1) { // this way round NaN is refused too
		return invalid("max_delete_fraction is a share from 0 to 1.")
	}
	return nil
}

func (l *Load) checkHandleDeletes() error {
	switch {
	case l.HandleDeletes == "":
		return nil
	case l.HandleDeletes != DeletesHard && l.HandleDeletes != DeletesSoft:
		return invalid("handle_deletes=%q: it is \"hard\" (merge), \"soft\" (merge, scd2) or None.", l.HandleDeletes)
	case !l.Mode.Keyed():
		return invalid("handle_deletes cannot be used with mode=%q: it needs keys to compare.", l.Mode)
	case l.IncrementalColumn != "":
		return invalid("handle_deletes cannot be used with incremental_column: an incremental source cannot show which keys are gone.")
	case l.HandleDeletes == DeletesHard && l.Mode == SCD2:
		return invalid("handle_deletes=\"hard\" cannot be used with mode=\"scd2\": history is closed, not deleted. Use handle_deletes=\"soft\".")
	}
	return nil
}

func (l *Load) checkChoices() error {
	for _, choice := range []struct {
		option, given string
		words         []string
	}{
		{"on_drift", l.OnDrift, []string{DriftError, DriftWarn, DriftEvolve}}, {"on_busy", l.OnBusy, []string{BusyWait, BusySkip, BusyFail}},
		{"replace", l.Replace, []string{ReplaceTruncate, ReplaceDelete, ReplaceDiff}}, {"versions", l.Versions, []string{VersionsLatest, VersionsAll}},
		{"late", l.Late, []string{LateError, LateSplice, LateIgnore}}, {"guards", l.Guards, []string{GuardsCurrent, GuardsFull, GuardsOff}},
	} {
		if !slices.Contains(choice.words, choice.given) {
			return invalid("%s=%q: it is %s.", choice.option, choice.given, orList(choice.words))
		}
	}
	if l.LockTimeoutMS < 1 {
		return invalid("lock_timeout must be at least one millisecond.")
	}
	return nil
}

// orList is "a", "b" or "c".
func orList(words []string) string {
	last := len(words) - 1
	return `"` + strings.Join(words[:last], `", "`) + `" or "` + words[last] + `"`
}

func (l *Load) checkWatermark() error {
	switch {
	case l.Lag.Given() && !l.Mode.Keyed():
		return invalid("lag cannot be used with mode=%q: the rows that it reads again would be loaded twice.", l.Mode)
	case l.Lag.Given() && l.IncrementalColumn == "":
		return invalid("lag needs incremental_column.")
	case l.Lag.Microseconds < 0 || strings.HasPrefix(l.Lag.Number, "-"):
		return invalid("lag is not negative: it reads back.")
	case l.WatermarkCap != nil && l.IncrementalColumn == "":
		return invalid("watermark_cap needs incremental_column.")
	case l.LastValueLiteral != "" && (l.IncrementalColumn == "" || l.Mode != Append):
		return invalid("last_value_literal needs incremental_column, in an append.")
	}
	return nil
}

func (l *Load) checkHistory() error {
	for _, option := range []struct {
		name  string
		given bool
	}{{"versions=\"all\"", l.Versions == VersionsAll}, {"late", l.Late != LateError}} {
		if option.given && l.EventTimestampColumn == "" {
			return invalid("%s needs event_timestamp_column: without event times every change is of the time of its load.", option.name)
		}
	}
	if l.HasTTL && !(l.TTLSeconds > 0 && l.TTLSeconds <= maxTTL) {
		return invalid("ttl is more than no time and at most 6,000 years.")
	}
	return l.History.check()
}
