package spec

import (
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/types"
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

	HandleDeletes     string
	MaxDeleteFraction *float64
	DeletedColumn     string // the mark of soft deletes in a merge

	IncrementalColumn string
	Lag               Lag
	WatermarkCap      *bool
	LastValueLiteral  string // a finished literal in place of the stored watermark

	EventTimestampColumn string
	Versions             string
	Late                 string
	TTLSeconds           float64
	HasTTL               bool
	Guards               string
	History              HistoryColumns
	Closures             bool

	Replace string // how truncate replaces the content

	ForcePath   string
	CrossServer bool // the source is a connection of its own
	OnDrift     string
	OnBusy      string
	DryRun      bool

	LockTimeoutMS int64
}

// Lag is how far a load reads back behind its watermark: a time or a number. The zero value is none.
type Lag struct {
	Microseconds int64
	Number       string // a decimal
}

// Given reports whether there is a lag.
func (l Lag) Given() bool { return l != Lag{} }

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

	ReplaceTruncate = "truncate"
	ReplaceDelete   = "delete"
	ReplaceDiff     = "diff"
	VersionsLatest  = "latest"
	VersionsAll     = "all"
	LateError       = "error"
	LateSplice      = "splice"
	LateIgnore      = "ignore"
	GuardsCurrent   = "current"
	GuardsFull      = "full"
	GuardsOff       = "off"
)

// Merges reports whether the load inserts, updates and deletes by key: merge, and truncate that writes only the differences.
func (l *Load) Merges() bool {
	return l.Mode == Merge || l.Mode == SCD1 || (l.Mode == Truncate && l.Replace == ReplaceDiff)
}

// Compares reports whether the load looks its rows up in the target by key.
func (l *Load) Compares() bool { return l.Merges() || l.Mode == SCD2 }

// Deletes is what happens to rows whose key the source lacks: hard, soft, or "" for nothing.
func (l *Load) Deletes() string {
	if l.Mode == Truncate && l.Replace == ReplaceDiff {
		return DeletesHard
	}
	return l.HandleDeletes
}

// Path is the way that the rows take.
func (l *Load) Path() string {
	if l.ForcePath != "" {
		return l.ForcePath
	}
	if l.CrossServer {
		return CrossDB
	}
	return SameDB
}

// MarksDeleted is the column that marks rows as deleted, or "" where the load has none.
func (l *Load) MarksDeleted() string {
	if l.HandleDeletes == DeletesSoft && l.Merges() {
		return l.DeletedColumn
	}
	return ""
}

// ClosuresSuffix follows the name of the target.
const ClosuresSuffix = "__closures"

// ClosuresTable is the name of the table that records when versions of the target were closed.
func (l *Load) ClosuresTable() string { return ident.Derived(l.Target.Name, ClosuresSuffix) }

// Fills reports whether the load itself fills the column of that name, and does not take it from the source.
func (l *Load) Fills(name string) bool {
	return name == LoadedAt || name == BatchID || name == l.MarksDeleted() && name != "" || l.Mode == SCD2 && l.History.has(name)
}

// CheckColumns refuses loads whose keys or columns do not fit the table. It fills in the default columns.
func (l *Load) CheckColumns() error {
	if err := l.checkIncremental(); err != nil {
		return err
	}
	if l.Mode == Truncate && l.Replace == ReplaceDiff {
		l.Keys, l.UpdateColumns = l.Target.PrimaryKey(), nil
	} else if !l.Mode.Keyed() {
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

// checkIncremental refuses a watermark that has no order, and a lag or cap that it cannot have.
func (l *Load) checkIncremental() error {
	if l.IncrementalColumn == "" {
		return nil
	}
	if err := l.checkNames("incremental_column", []string{l.IncrementalColumn}); err != nil {
		return err
	}
	t := l.Target.Column(l.IncrementalColumn).Type
	switch {
	case t.Order == types.Unordered:
		return invalid("incremental_column=%q is %s, whose values do not grow.", l.IncrementalColumn, t.SQL()).WithHint("Use a column of times, numbers or text that later rows have greater values of.")
	case l.Lag.Given() && t.Order == types.ByText:
		return invalid("lag needs an incremental_column of times or numbers; %q is %s.", l.IncrementalColumn, t.SQL())
	case l.Lag.Microseconds != 0 && t.Order != types.ByTime:
		return invalid("lag is a number for incremental_column=%q, which is %s.", l.IncrementalColumn, t.SQL())
	case l.Lag.Number != "" && t.Order != types.ByNumber:
		return invalid("lag is a timedelta for incremental_column=%q, which is %s.", l.IncrementalColumn, t.SQL())
	case l.WatermarkCap != nil && *l.WatermarkCap && l.Mode == Append && t.Kind != "timestamp_tz":
		return invalid("watermark_cap=True of an append needs an incremental_column of type TIMESTAMPTZ; %q is %s, and without its zone nobody knows which of its values are still to be committed.", l.IncrementalColumn, t.SQL())
	case l.WatermarkCap != nil && *l.WatermarkCap && t.Order != types.ByTime:
		return invalid("watermark_cap needs an incremental_column of times; %q is %s, and nobody knows which of its values are still to be committed.", l.IncrementalColumn, t.SQL())
	}
	return nil
}

func (l *Load) checkNames(option string, names []string) error {
	for i, name := range names {
		if l.Target.Column(name) == nil {
			e := invalid("%s names the column %q, which %s does not declare.", option, name, l.Target)
			if option == "incremental_column" {
				_ = e.WithHint("Declare it: the watermark is the greatest value that was stored.")
			}
			return e
		}
		if slices.Contains(names[:i], name) {
			return invalid("%s names the column %q twice.", option, name)
		}
		if l.Fills(name) {
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
	if names := append(slices.Clone(l.Keys), l.History.ValidFrom, l.History.ValidTo); l.Closures && slices.Contains(names, ClosureRun) {
		return invalid("closures of %s need another name than %q for its key or validity column: it is that of their run.", l.Target, ClosureRun)
	}
	for _, name := range l.CompareColumns {
		if slices.Contains(l.Keys, name) {
			return invalid("compare_columns names the key column %q: another key is another row.", name)
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
		if !slices.Contains(l.Keys, c.Name) && !l.Fills(c.Name) {
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
