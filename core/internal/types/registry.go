// Package types knows the column types: how they are written, read back from a catalogue, and what the strategies must know of them. One
// file per family registers its types.
package types

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Definition is what is known of one kind of type.
type Definition struct {
	Kind       string
	Parameters []string // names of its parameters in JSON, in the order of DDL

	// DDL is the spelling in CREATE TABLE; %d stand for the parameters.
	DDL string
	// Formatted is what the server's format_type() calls it, with %d likewise.
	Formatted string

	// NoEquality: PostgreSQL has no = for it; it is compared by its text, and cannot be a key.
	NoEquality bool
	// Backslash: its text form may hold a backslash, which the row hash doubles.
	Backslash bool
	// Check refuses parameters that PostgreSQL would refuse.
	Check func(Type) error
	// Order says whether later rows can be told by greater values; Finite is a condition that holds for values that do not mean "for ever" or
	// "no number", with %s for the value. Empty where all are finite.
	Order  Order
	Finite string
	// Integer is the smallest value of an integer type.
	Integer string
	// NoGiST: neither PostgreSQL nor btree_gist has an operator class for it, and an exclusion constraint cannot hold it.
	NoGiST bool
	// Misfit is a condition that is true when a value of another type cannot be stored, for telling which column it was. %[1]s is the value,
	// %[2]d and %[3]d the parameters. Empty where every value of a type that can be assigned fits.
	Misfit string
}

// Order is how the values of a type grow.
type Order int

// The orders.
const (
	Unordered Order = iota
	ByText
	ByNumber
	ByTime
)

// Type is a column type with its parameters.
type Type struct {
	*Definition
	Values []int // of the parameters
}

var registry = map[string]*Definition{}

func register(definitions ...Definition) {
	for _, d := range definitions {
		registry[d.Kind] = &d
	}
}

// New is the type of a kind, with its parameters.
func New(kind string, values ...int) (Type, error) {
	d := registry[kind]
	if d == nil {
		return Type{}, fault.New(fault.InvalidSpec, "There is no column type %q.", kind).WithHint("The types are %s.", strings.Join(Kinds(), ", "))
	}
	if len(values) != len(d.Parameters) {
		return Type{}, fault.New(fault.InvalidSpec, "The column type %q takes %d parameters (%s), not %d.", kind, len(d.Parameters), strings.Join(d.Parameters, ", "), len(values))
	}
	t := Type{d, values}
	if d.Check != nil {
		if err := d.Check(t); err != nil {
			return Type{}, err
		}
	}
	return t, nil
}

// Must is New for the types that the engine itself declares.
func Must(kind string, values ...int) Type {
	t, err := New(kind, values...)
	if err != nil {
		panic(err)
	}
	return t
}

// Kinds lists all kinds, sorted.
func Kinds() []string {
	kinds := make([]string, 0, len(registry))
	for kind := range registry {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}

// Reflect is the type of what the server's format_type() says. ok is false for types that have no class here.
func Reflect(formatted string) (t Type, ok bool) {
	if formatted == "character varying" {
		return Must("text"), true // VARCHAR without a length counts as TEXT
	}
	for _, d := range registry {
		values := make([]int, len(d.Parameters))
		scan := make([]any, len(values))
		for i := range values {
			scan[i] = &values[i]
		}
		if len(values) > 0 {
			if n, err := fmt.Sscanf(formatted, d.Formatted, scan...); err != nil || n != len(values) {
				continue
			}
		}
		if spell(d.Formatted, values) == formatted {
			return Type{d, values}, true
		}
	}
	return Type{}, false
}

// SQL is the type as DDL spells it: NUMERIC(12,2).
func (t Type) SQL() string { return spell(t.DDL, t.Values) }

// Base is the type without its modifier: what incoming values are cast to, so that the column applies the modifier as an assignment does.
func (t Type) Base() string {
	name, _, _ := strings.Cut(t.DDL, "(")
	return name
}

// Equal reports whether both are the same type with the same parameters.
func (t Type) Equal(other Type) bool {
	return t.Definition == other.Definition && slices.Equal(t.Values, other.Values)
}

// MisfitOf is the condition that value cannot be stored in the type, or "" if there is none.
func (t Type) MisfitOf(value string) string {
	if t.Misfit == "" {
		return ""
	}
	return fmt.Sprintf(t.Misfit, append([]any{value}, anys(t.Values)...)...)
}

func spell(format string, values []int) string { return fmt.Sprintf(format, anys(values)...) }

func anys(values []int) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}

// MarshalJSON writes {"kind": "numeric", "precision": 12, "scale": 2}.
func (t Type) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"kind":%q`, t.Kind)
	for i, name := range t.Parameters {
		fmt.Fprintf(&out, `,%q:%d`, name, t.Values[i])
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// Decode reads what MarshalJSON writes; path says where it stands, for the message.
func Decode(text []byte, path string) (Type, error) {
	var fields map[string]json.RawMessage
	var kind string
	if json.Unmarshal(text, &fields) != nil || json.Unmarshal(fields["kind"], &kind) != nil {
		return Type{}, fault.New(fault.InvalidSpec, "%s is not an object with a text \"kind\".", path)
	}
	d := registry[kind]
	if d == nil {
		_, err := New(kind)
		return Type{}, err
	}
	values := make([]int, len(d.Parameters))
	for i, name := range d.Parameters {
		if err := json.Unmarshal(fields[name], &values[i]); err != nil {
			return Type{}, fault.New(fault.InvalidSpec, "%s.%s is missing or not a whole number.", path, name)
		}
	}
	for name := range fields {
		if name != "kind" && !slices.Contains(d.Parameters, name) {
			return Type{}, fault.New(fault.InvalidSpec, "unknown field %q at %s.", name, path)
		}
	}
	return New(kind, values...)
}
