package spec

import (
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Load is what one run is asked to do: the arguments of pipeline.sync. Pointers and slices are nil where the argument was not given;
// an empty list of names is given and empty.
type Load struct {
	Target       *Table // as declared
	Augment      bool   // add the metadata columns of the mode
	Mode         Mode
	Query        string
	PipelineName string

	Keys           []string // resolved by the caller for the modes that have keys
	UpdateColumns  []string
	CompareColumns []string

	HandleDeletes        string
	EventTimestampColumn string
	IncrementalColumn    string
	TTLSeconds           float64
	HasTTL               bool

	ForcePath   string
	CrossServer bool // the source is a connection of its own
	OnDrift     string
	OnBusy      string
	DryRun      bool

	LockTimeoutMS int64
}

// The values that on_drift, on_busy and handle_deletes take, and the two paths.
const (
	DriftError  = "error"
	DriftWarn   = "warn"
	DriftEvolve = "evolve"
	BusyWait    = "wait"
	BusySkip    = "skip"
	BusyFail    = "fail"
	DeletesHard = "hard"
	DeletesSoft = "soft"
	SameDB      = "same_db"
	CrossDB     = "cross_db"
)

// CheckArguments refuses arguments that contradict each other, in the documented order, and then what is not built. No database is needed.
func (l *Load) CheckArguments() error {
	for _, check := range []func() error{l.checkMode, l.checkScope, l.checkDeletes, l.checkChoices, l.checkBuilt} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
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
	if l.EventTimestampColumn != "" && l.Mode != SCD2 {
		return invalid("event_timestamp_column needs mode=\"scd2\", not %q.", l.Mode)
	}
	if l.HasTTL && l.Mode != SCD2 {
		return invalid("ttl needs mode=\"scd2\", not %q.", l.Mode)
	}
	return nil
}

func (l *Load) checkDeletes() error {
	switch {
	case l.HandleDeletes == "":
		return nil
	case l.HandleDeletes != DeletesHard && l.HandleDeletes != DeletesSoft:
		return invalid("handle_deletes=%q: it is \"hard\" (merge), \"soft\" (scd2) or None.", l.HandleDeletes)
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
	if !slices.Contains([]string{DriftError, DriftWarn, DriftEvolve}, l.OnDrift) {
		return invalid("on_drift=%q: it is \"error\" or \"warn\".", l.OnDrift)
	}
	if !slices.Contains([]string{BusyWait, BusySkip, BusyFail}, l.OnBusy) {
		return invalid("on_busy=%q: it is \"wait\", \"skip\" or \"fail\".", l.OnBusy)
	}
	if l.LockTimeoutMS < 1 {
		return invalid("lock_timeout must be at least one millisecond.")
	}
	return nil
}

// checkBuilt names what is documented and not there yet.
func (l *Load) checkBuilt() error {
	for _, option := range []struct {
		asked bool
		what  string
	}{
		{l.IncrementalColumn != "", "incremental_column (loads by watermark)"},
		{l.HasTTL, "ttl (expiry of versions)"},
		{l.HandleDeletes != "" && l.Mode != SCD2, `handle_deletes with mode="merge"`},
		{l.OnDrift == DriftEvolve, `on_drift="evolve"`},
		{l.ForcePath == CrossDB, `force_path="cross_db" (staging by COPY)`},
		{l.CrossServer && l.ForcePath != SameDB, `loading from another database (the path "cross_db")`},
	} {
		if option.asked {
			return fault.NotBuilt(option.what)
		}
	}
	return nil
}

// CheckColumns refuses loads whose keys or columns do not fit the table. It fills in the default columns.
func (l *Load) CheckColumns() error {
	if !l.Mode.Keyed() {
		return nil
	}
	if len(l.Keys) == 0 {
		return invalid("The mode %q needs keys and %s gives none.", l.Mode, l.Target).WithHint(
			"Give them in one of four ways: keys=[...], __merge_keys__ on the table class, a natural_key() column or unique constraint, or a pk() column.")
	}
	for _, named := range []struct {
		option string
		names  []string
	}{{"keys", l.Keys}, {"update_columns", l.UpdateColumns}, {"compare_columns", l.CompareColumns}} {
		if err := l.checkNames(named.option, named.names); err != nil {
			return err
		}
	}
	for _, key := range l.Keys {
		if l.Target.Column(key).Type.NoEquality {
			return invalid("The key column %q of %s is JSON, which PostgreSQL cannot compare. Use JSONB or another key.", key, l.Target)
		}
	}
	if l.Mode == SCD2 {
		return l.checkCompare()
	}
	return l.checkMerge()
}

func (l *Load) checkNames(option string, names []string) error {
	for i, name := range names {
		if l.Target.Column(name) == nil {
			return invalid("%s names the column %q, which %s does not declare.", option, name, l.Target)
		}
		if slices.Contains(names[:i], name) {
			return invalid("%s names the column %q twice.", option, name)
		}
		if IsMetadata(l.Mode, name) {
			return invalid("%s names the column %q, which the load itself fills.", option, name)
		}
	}
	return nil
}

func (l *Load) checkCompare() error {
	if l.CompareColumns == nil {
		for _, name := range l.others() {
			// An event time that is stored too would open a version at each event of equal values.
			if name != l.EventTimestampColumn {
				l.CompareColumns = append(l.CompareColumns, name)
			}
		}
	}
	if len(l.CompareColumns) == 0 {
		return invalid("mode=\"scd2\" needs at least one column to compare, and %s has none beside its keys.", l.Target).WithHint(
			"Declare a column that may change, or name columns in compare_columns.")
	}
	return nil
}

func (l *Load) checkMerge() error {
	unique := slices.Clone(l.Target.UniqueConstraints)
	if !slices.ContainsFunc(append(unique, l.Target.PrimaryKey()), func(columns []string) bool { return sameSet(columns, l.Keys) }) {
		return invalid("mode=%q needs a primary key or unique constraint of %s on exactly its keys (%s).", l.Mode, l.Target, strings.Join(l.Keys, ", ")).WithHint(
			"Mark the key columns with pk() or natural_key(), or choose keys that are.")
	}
	for _, name := range l.UpdateColumns {
		if slices.Contains(l.Keys, name) {
			return invalid("update_columns names the key column %q: a key is never updated.", name)
		}
	}
	if l.UpdateColumns == nil {
		l.UpdateColumns = l.others()
	}
	return nil
}

// others are the declared columns that are neither key nor metadata.
func (l *Load) others() []string {
	names := []string{}
	for _, c := range l.Target.Columns {
		if !slices.Contains(l.Keys, c.Name) && !IsMetadata(l.Mode, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

func sameSet(a, b []string) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(name string) bool { return !slices.Contains(b, name) })
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidSpec, format, args...)
}
