package ddl

import (
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Existing declares a table that is there as far as a load of the mode writes it. Columns that the server computes are left out, and so are those that have
// a default and are not delivered by the query; delivered is nil where its columns are not known.
func Existing(schema, name string, found *Found, load *spec.Load, delivered []string) (*spec.Table, error) {
	t := &spec.Table{Schema: schema, Name: name, UniqueConstraints: [][]string{}}
	whole := true // the primary key, or what there is of it
	for _, f := range found.Columns {
		needed := load.Fills(f.Name) || slices.Contains(load.Keys, f.Name)
		switch {
		case f.Generated && needed:
			return nil, notLoadable(t, "its column %q, which the load writes, is computed by the server", f.Name).WithHint("Choose other keys, or make it a plain column.")
		case f.Generated, f.Default && delivered != nil && !needed && !slices.Contains(delivered, f.Name):
			whole = whole && !f.PrimaryKey
			continue
		}
		kind, known := types.Reflect(f.Formatted)
		if !known {
			return nil, notLoadable(t, "its column %q is of the type %s, which has no class here", f.Name, f.Formatted).
				WithHint("The types are those of ematix_flow.types. Load a table without the column, and fill it in from there.")
		}
		t.Columns = append(t.Columns, spec.Column{Name: f.Name, Type: kind, Nullable: f.Nullable, PrimaryKey: f.PrimaryKey})
	}
	for _, unique := range found.Unique {
		if !slices.ContainsFunc(unique, func(name string) bool { return t.Column(name) == nil }) {
			t.UniqueConstraints = append(t.UniqueConstraints, unique)
		}
	}
	if err := fitMetadata(t); err != nil {
		return nil, err
	}
	if whole && len(t.PrimaryKey()) > 0 {
		return t, nil
	}
	return t, chooseKey(t, load.Mode)
}

// fitMetadata lets the columns that every load fills be nullable in the table, and refuses other types.
func fitMetadata(t *spec.Table) error {
	for _, standard := range (&spec.Load{Mode: spec.Append}).Metadata() {
		c := t.Column(standard.Name)
		if c == nil {
			continue
		}
		if !c.Type.Equal(standard.Type) {
			return notLoadable(t, "its column %q, which the load fills, is %s instead of %s", c.Name, c.Type.SQL(), standard.Type.SQL()).
				WithHint("Rename the column, and the load leaves it to the query.")
		}
		c.Nullable = false
	}
	return nil
}

// chooseKey marks in place of a primary key a unique constraint that serves as one. A load without keys uses the mark for nothing: there any column that
// cannot be NULL takes it.
func chooseKey(t *spec.Table, mode spec.Mode) error {
	optional := func(name string) bool { return t.Column(name).Nullable }
	candidates := t.UniqueConstraints
	if !mode.Keyed() {
		for _, c := range t.Columns {
			if c.Name != spec.LoadedAt && c.Name != spec.BatchID {
				candidates = append(slices.Clone(candidates), []string{c.Name})
			}
		}
	}
	i := slices.IndexFunc(candidates, func(names []string) bool { return !slices.ContainsFunc(names, optional) })
	if i < 0 {
		if mode.Keyed() {
			return notLoadable(t, "it has no primary key that the load writes, and no unique constraint on columns that cannot be NULL").WithHint("Add a primary key on the keys of the pipeline.")
		}
		return notLoadable(t, "it has no primary key that the load writes, and all its columns may be NULL").WithHint("Add a primary key, or set a column NOT NULL.")
	}
	for j := range t.Columns {
		t.Columns[j].PrimaryKey = slices.Contains(candidates[i], t.Columns[j].Name)
	}
	return nil
}

func notLoadable(t *spec.Table, format string, args ...any) *fault.Error {
	e := fault.New(fault.TargetNotLoadable, format, args...)
	e.Message = "The table " + t.String() + " cannot be loaded: " + strings.TrimSuffix(e.Message, ".") + "."
	return e
}
