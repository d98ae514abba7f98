package spec

import (
	"slices"

	"github.com/ematix/ematix-flow/core/internal/types"
)

// Names of the columns that loads fill.
const (
	LoadedAt  = "_loaded_at"
	BatchID   = "_batch_id"
	ValidFrom = "valid_from"
	ValidTo   = "valid_to"
	IsCurrent = "is_current"
	RowHash   = "row_hash"
)

var (
	loadColumns = []Column{{Name: LoadedAt, Type: types.Must("timestamp_tz")}, {Name: BatchID, Type: types.Must("uuid")}}
	scd2Columns = []Column{
		{Name: ValidFrom, Type: types.Must("timestamp_tz"), PrimaryKey: true},
		{Name: ValidTo, Type: types.Must("timestamp_tz"), Nullable: true},
		{Name: IsCurrent, Type: types.Must("boolean")},
		{Name: RowHash, Type: types.Must("bytes")},
	}
)

// IsMetadata reports whether a column of that name is filled by loads of the mode, and not from the source.
func IsMetadata(mode Mode, name string) bool {
	if name == LoadedAt || name == BatchID {
		return true
	}
	return mode == SCD2 && slices.ContainsFunc(scd2Columns, func(c Column) bool { return c.Name == name })
}

// Augment adds the metadata columns of the mode that are not declared. The order is that of the documented functions; it is idempotent.
func (t *Table) Augment(mode Mode) *Table {
	with := &Table{Schema: t.Schema, Name: t.Name, Columns: slices.Clone(t.Columns)}
	add := loadColumns
	if mode == SCD2 {
		add = slices.Concat(scd2Columns, loadColumns)
	}
	for _, c := range add {
		if with.Column(c.Name) == nil {
			with.Columns = append(with.Columns, c)
		}
	}
	for _, unique := range t.UniqueConstraints {
		unique = slices.Clone(unique)
		// Without the start of the version a second version of a key could never be inserted.
		if mode == SCD2 && !slices.Contains(unique, ValidFrom) {
			unique = append(unique, ValidFrom)
		}
		with.UniqueConstraints = append(with.UniqueConstraints, unique)
	}
	if with.UniqueConstraints == nil {
		with.UniqueConstraints = [][]string{}
	}
	with.Fingerprint = with.fingerprint()
	return with
}
