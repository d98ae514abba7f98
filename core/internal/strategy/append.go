package strategy

import "github.com/ematix/ematix-flow/core/internal/spec"

// appendOnly inserts every source row.
type appendOnly struct{}

func init() { register(appendOnly{}, spec.Append) }

func (appendOnly) Steps(r Request) []Step {
	var b binder
	names := columnNames(r.sourced())
	filled, values := r.filled(b.use)
	return []Step{{
		Name: "insert", Why: "every row of the query, in one statement", Boundary: Source, Counts: Inserted,
		SQL: insertInto(r.target(), identifiers(append(names, filled...))) + "\n" +
			list("SELECT", append(prefixed("q", names), values...)) + "\nFROM " + r.query(),
		Parameters: b.parameters,
	}}
}
