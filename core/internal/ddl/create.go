// Package ddl writes the statements that make tables and compares declared tables with those that are there.
package ddl

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// CreateTable is the one statement that makes the table: a line per column, then the constraints.
func CreateTable(t *spec.Table) string {
	var lines []string
	for _, c := range t.Columns {
		line := ident.Quote(c.Name) + " " + c.Type.SQL()
		if !c.Nullable {
			line += " NOT NULL"
		}
		lines = append(lines, line)
	}
	lines = append(lines, "PRIMARY KEY ("+ident.List(t.PrimaryKey())+")")
	for _, unique := range t.UniqueConstraints {
		lines = append(lines, "UNIQUE ("+ident.List(unique)+")")
	}
	return "CREATE TABLE " + ident.Qualified(t.Schema, t.Name) + " (\n    " + strings.Join(lines, ",\n    ") + "\n)"
}

// CreateSchema makes the schema of a table.
func CreateSchema(schema string) string { return "CREATE SCHEMA IF NOT EXISTS " + ident.Quote(schema) }
