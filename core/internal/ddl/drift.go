package ddl

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Found is a table as the catalogue describes it.
type Found struct {
	Kind     byte // pg_class.relkind
	Columns  []FoundColumn
	Unique   [][]string // columns of each unique constraint, in their order
	Children bool       // other tables inherit from it; partitions are none
	Rules    bool       // rules rewrite statements on it
}

// FoundColumn is one column of it.
type FoundColumn struct {
	Name       string
	Formatted  string // what format_type() says
	Nullable   bool
	PrimaryKey bool
}

// Differences lists what the declared table and the one that is there do not have in common, a line each. The order of columns, defaults,
// plain indexes, checks and foreign keys are not compared.
func Differences(declared *spec.Table, found *Found) []string {
	differences := []string{}
	for _, c := range declared.Columns {
		i := slices.IndexFunc(found.Columns, func(f FoundColumn) bool { return f.Name == c.Name })
		if i < 0 {
			differences = append(differences, fmt.Sprintf("column %q is declared as %s and missing in the table", c.Name, c.Type.SQL()))
			continue
		}
		differences = append(differences, compare(c, found.Columns[i])...)
	}
	for _, f := range found.Columns {
		if declared.Column(f.Name) == nil {
			differences = append(differences, fmt.Sprintf("column %q of the table (%s) is not declared", f.Name, spelled(f.Formatted)))
		}
	}
	for _, unique := range declared.UniqueConstraints {
		if !contains(found.Unique, unique) {
			differences = append(differences, fmt.Sprintf("unique constraint on (%s) is declared and missing in the table", strings.Join(unique, ", ")))
		}
	}
	for _, unique := range found.Unique {
		if !contains(declared.UniqueConstraints, unique) {
			differences = append(differences, fmt.Sprintf("unique constraint on (%s) of the table is not declared", strings.Join(unique, ", ")))
		}
	}
	return differences
}

// Lacks reports whether a declared column is missing in the table.
func Lacks(declared *spec.Table, found *Found) bool {
	return slices.ContainsFunc(declared.Columns, func(c spec.Column) bool {
		return !slices.ContainsFunc(found.Columns, func(f FoundColumn) bool { return f.Name == c.Name })
	})
}

func compare(c spec.Column, f FoundColumn) (differences []string) {
	if t, known := types.Reflect(f.Formatted); !known || !t.Equal(c.Type) {
		differences = append(differences, fmt.Sprintf("column %q is declared as %s and is %s in the table", c.Name, c.Type.SQL(), spelled(f.Formatted)))
	}
	if c.Nullable != f.Nullable {
		differences = append(differences, fmt.Sprintf("column %q is declared %s and is %s in the table", c.Name, null(c.Nullable), null(f.Nullable)))
	}
	if c.PrimaryKey != f.PrimaryKey {
		differences = append(differences, fmt.Sprintf("column %q is declared %s and is %s in the table", c.Name, key(c.PrimaryKey), key(f.PrimaryKey)))
	}
	return differences
}

// spelled is a type of the catalogue in the spelling of DDL.
func spelled(formatted string) string {
	if t, known := types.Reflect(formatted); known {
		return t.SQL()
	}
	return strings.ToUpper(formatted)
}

func null(nullable bool) string {
	if nullable {
		return "NULL"
	}
	return "NOT NULL"
}

func key(primary bool) string {
	if primary {
		return "part of the primary key"
	}
	return "not part of the primary key"
}

func contains(lists [][]string, list []string) bool {
	return slices.ContainsFunc(lists, func(other []string) bool { return slices.Equal(other, list) })
}
