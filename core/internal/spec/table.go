package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Column is one declared column.
type Column struct {
	Name       string     `json:"name"`
	Type       types.Type `json:"type"`
	Nullable   bool       `json:"nullable"`
	PrimaryKey bool       `json:"primary_key"`

	Default string `json:"-"` // SQL, of columns that loads add; declared columns have none
}

// Table is a declared table, normalised: names trimmed and checked, primary-key columns NOT NULL, fingerprint computed.
type Table struct {
	Schema            string     `json:"schema"`
	Name              string     `json:"name"`
	Columns           []Column   `json:"columns"`
	UniqueConstraints [][]string `json:"unique_constraints"`
	Fingerprint       string     `json:"fingerprint"`
}

// String is schema.name for messages.
func (t *Table) String() string { return t.Schema + "." + t.Name }

// Column is the column of that name, or nil.
func (t *Table) Column(name string) *Column {
	for i := range t.Columns {
		if t.Columns[i].Name == name {
			return &t.Columns[i]
		}
	}
	return nil
}

// PrimaryKey is the names of the primary-key columns, in the order of declaration.
func (t *Table) PrimaryKey() []string {
	var names []string
	for _, c := range t.Columns {
		if c.PrimaryKey {
			names = append(names, c.Name)
		}
	}
	return names
}

// DecodeTable reads a table spec, cleans and checks it.
func DecodeTable(text []byte) (*Table, error) {
	f, err := object(text, "the table spec", "schema", "name", "columns", "unique_constraints", "fingerprint")
	if err != nil {
		return nil, err
	}
	t := &Table{UniqueConstraints: [][]string{}}
	var columns []json.RawMessage
	for _, err := range []error{f.trimmed("schema", &t.Schema), f.trimmed("name", &t.Name), f.read("columns", &columns)} {
		if err != nil {
			return nil, err
		}
	}
	for i, text := range columns {
		c, err := decodeColumn(text, fmt.Sprintf("columns[%d]", i))
		if err != nil {
			return nil, err
		}
		t.Columns = append(t.Columns, c)
	}
	if _, found := f.members["unique_constraints"]; found {
		if err := f.read("unique_constraints", &t.UniqueConstraints); err != nil {
			return nil, err
		}
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	t.Fingerprint = t.fingerprint()
	return t, nil
}

func decodeColumn(text []byte, path string) (Column, error) {
	f, err := object(text, path, "name", "type", "nullable", "primary_key")
	if err != nil {
		return Column{}, err
	}
	var c Column
	var declared json.RawMessage
	for _, err := range []error{f.trimmed("name", &c.Name), f.read("type", &declared), f.read("nullable", &c.Nullable), f.read("primary_key", &c.PrimaryKey)} {
		if err != nil {
			return Column{}, err
		}
	}
	if c.PrimaryKey {
		c.Nullable = false
	}
	c.Type, err = types.Decode(declared, path+".type")
	return c, err
}

func (t *Table) check() error {
	for what, name := range map[string]string{"schema name": t.Schema, "table name": t.Name} {
		if err := ident.Check(what, name); err != nil {
			return err
		}
	}
	if len(t.Columns) == 0 {
		return fault.New(fault.InvalidSpec, "The table %s declares no columns.", t)
	}
	for i, c := range t.Columns {
		if err := ident.Check("column name", c.Name); err != nil {
			return err
		}
		if t.Column(c.Name) != &t.Columns[i] {
			return fault.New(fault.InvalidSpec, "The table %s declares the column %q twice.", t, c.Name)
		}
	}
	if len(t.PrimaryKey()) == 0 {
		return fault.New(fault.InvalidSpec, "The table %s has no primary-key column.", t).WithHint("Mark one or more columns with pk().")
	}
	for _, unique := range t.UniqueConstraints {
		if err := t.checkUnique(unique); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) checkUnique(unique []string) error {
	if len(unique) == 0 {
		return fault.New(fault.InvalidSpec, "A unique constraint of %s names no column.", t)
	}
	for i, name := range unique {
		unique[i] = strings.TrimSpace(name)
		if unique[i] == "" {
			return fault.New(fault.InvalidSpec, "A unique constraint of %s holds an empty column name.", t)
		}
		if t.Column(unique[i]) == nil {
			return fault.New(fault.InvalidSpec, "A unique constraint of %s names the column %q, which is not declared.", t, unique[i])
		}
		if slices.Contains(unique[:i], unique[i]) {
			return fault.New(fault.InvalidSpec, "A unique constraint of %s names the column %q twice.", t, unique[i])
		}
	}
	return nil
}

// JSON is the normalised spec.
func (t *Table) JSON() string { return encode(t) }

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // structs of texts, numbers and lists can always be written
	}
	return string(text)
}
