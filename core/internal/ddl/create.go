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
		lines = append(lines, column(c))
	}
	if key := t.PrimaryKey(); len(key) > 0 {
		lines = append(lines, "PRIMARY KEY ("+ident.List(key)+")")
	}
	for _, unique := range t.UniqueConstraints {
		lines = append(lines, "UNIQUE ("+ident.List(unique)+")")
	}
	return "CREATE TABLE " + ident.Qualified(t.Schema, t.Name) + " (\n    " + strings.Join(lines, ",\n    ") + "\n)"
}

func column(c spec.Column) string {
	line := ident.Quote(c.Name) + " " + c.Type.SQL()
	if !c.Nullable {
		line += " NOT NULL"
	}
	if c.Default != "" {
		line += " DEFAULT " + c.Default
	}
	return line
}

// CreateSchema makes the schema of a table.
func CreateSchema(schema string) string { return "CREATE SCHEMA IF NOT EXISTS " + ident.Quote(schema) }
