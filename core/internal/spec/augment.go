package spec

import (
	"slices"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Names of the columns that loads fill.
const (
	LoadedAt = "_loaded_at"
	BatchID  = "_batch_id"

	ClosureRun = "run_id" // in the table of closures: the run that set the end
)

// HistoryColumns are the names of the columns that scd2 keeps beside those of the user.
type HistoryColumns struct {
	ValidFrom string `json:"valid_from"`
	ValidTo   string `json:"valid_to"`
	IsCurrent string `json:"is_current"`
	RowHash   string `json:"row_hash"`
}

// StandardHistory are their names where no others were chosen.
var StandardHistory = HistoryColumns{"valid_from", "valid_to", "is_current", "row_hash"}

func (h HistoryColumns) names() []string {
	return []string{h.ValidFrom, h.ValidTo, h.IsCurrent, h.RowHash}
}

func (h HistoryColumns) has(name string) bool { return slices.Contains(h.names(), name) }

// orStandard fills in the names that were not chosen.
func (h HistoryColumns) orStandard() HistoryColumns {
	for i, name := range []*string{&h.ValidFrom, &h.ValidTo, &h.IsCurrent, &h.RowHash} {
		if *name == "" {
			*name = StandardHistory.names()[i]
		}
	}
	return h
}

func (h HistoryColumns) check() error {
	names := h.names()
	for i, name := range names {
		if err := ident.Check("name in scd2_columns", name); err != nil {
			return err
		}
		if slices.Contains(names[:i], name) || name == LoadedAt || name == BatchID {
			return invalid("scd2_columns uses the name %q for two columns.", name)
		}
	}
	return nil
}

func (h HistoryColumns) columns() []Column {
	return []Column{
		{Name: h.ValidFrom, Type: types.Must("timestamp_tz"), PrimaryKey: true},
		{Name: h.ValidTo, Type: types.Must("timestamp_tz"), Nullable: true},
		{Name: h.IsCurrent, Type: types.Must("boolean")},
		{Name: h.RowHash, Type: types.Must("bytes")},
	}
}

func loadColumns() []Column {
	return []Column{{Name: LoadedAt, Type: types.Must("timestamp_tz")}, {Name: BatchID, Type: types.Must("uuid")}}
}

// Metadata are the columns that the load fills itself, in the order in which they are added.
func (l *Load) Metadata() []Column {
	switch {
	case l.Mode == SCD2:
		return append(l.History.columns(), loadColumns()...)
	case l.MarksDeleted() != "":
		return append([]Column{l.mark()}, loadColumns()...)
	}
	return loadColumns()
}

// mark is the column of soft deletes. Its default lets it be added to a table of any size at once, and serves writers that do not know it.
func (l *Load) mark() Column {
	return Column{Name: l.MarksDeleted(), Type: types.Must("boolean"), Default: "false"}
}

// ClosuresOf is the table that records when versions of the history were closed: append-only, one row for each time that an end was set.
func (l *Load) ClosuresOf(history *Table) *Table {
	t := &Table{Schema: history.Schema, Name: l.ClosuresTable(), UniqueConstraints: [][]string{}}
	for _, name := range l.Keys {
		c := *history.Column(name)
		c.PrimaryKey = false
		t.Columns = append(t.Columns, c)
	}
	t.Columns = append(t.Columns, Column{Name: l.History.ValidFrom, Type: types.Must("timestamp_tz")}, Column{Name: l.History.ValidTo, Type: types.Must("timestamp_tz")},
		Column{Name: ClosureRun, Type: types.Must("uuid")})
	t.Fingerprint = t.fingerprint()
	return t
}

// Augment adds the metadata columns of the mode that are not declared, under their standard names.
func (t *Table) Augment(mode Mode) *Table {
	return t.With(&Load{Mode: mode, History: StandardHistory})
}

// With adds the metadata columns of a load that are not declared. The order is that of the documented functions; it is idempotent.
func (t *Table) With(l *Load) *Table {
	with := &Table{Schema: t.Schema, Name: t.Name, Columns: slices.Clone(t.Columns)}
	for _, c := range l.Metadata() {
		if declared := with.Column(c.Name); declared == nil {
			with.Columns = append(with.Columns, c)
		} else {
			declared.Default = c.Default
		}
	}
	for _, unique := range t.UniqueConstraints {
		unique = slices.Clone(unique)
		// Without the start of the version a second version of a key could never be inserted.
		if l.Mode == SCD2 && !slices.Contains(unique, l.History.ValidFrom) {
			unique = append(unique, l.History.ValidFrom)
		}
		with.UniqueConstraints = append(with.UniqueConstraints, unique)
	}
	if with.UniqueConstraints == nil {
		with.UniqueConstraints = [][]string{}
	}
	with.Fingerprint = with.fingerprint()
	return with
}
