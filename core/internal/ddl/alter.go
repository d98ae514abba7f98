package ddl

import (
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// AlterTable is one statement that does all the actions, or none.
func AlterTable(t *spec.Table, actions []string) string {
	return "ALTER TABLE " + ident.Qualified(t.Schema, t.Name) + "\n    " + strings.Join(actions, ",\n    ")
}

// AddColumn is the action that adds a column. It is instant: PostgreSQL keeps a constant default beside the rows that are there.
func AddColumn(c spec.Column) string { return "ADD COLUMN " + column(c) }

// Additions are the actions that add columns which a load brings when it first needs them, and which the table lacks.
func Additions(declared *spec.Table, found *Found) (actions []string) {
	for _, c := range declared.Columns {
		if c.Default != "" && found.Column(c.Name) == nil {
			actions = append(actions, AddColumn(c))
		}
	}
	return actions
}

// widen is the action that gives a column its declared type. Without its collation the column would lose the one that it has.
func widen(c spec.Column, f *FoundColumn) string {
	action := "ALTER COLUMN " + ident.Quote(c.Name) + " TYPE " + c.Type.SQL()
	if f.Collation != "" {
		action += " COLLATE " + f.Collation
	}
	return action
}

// Evolution is the actions that remove all the differences. ok is false where one of them cannot be removed so.
func Evolution(differences []Difference) (actions []string, ok bool) {
	for _, d := range differences {
		actions = append(actions, d.Action)
	}
	return actions, !slices.Contains(actions, "")
}
