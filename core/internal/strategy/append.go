package strategy

import "github.com/ematix/ematix-flow/core/internal/spec"

// appendOnly inserts every source row: straight from the query, or from the staged rows where they come from another server or their greatest value is
// to be known.
type appendOnly struct{}

func init() { register(appendOnly{}, spec.Append) }

func (appendOnly) Steps(r Request) []Step {
	if r.Load.Path() == spec.CrossDB || r.Load.IncrementalColumn != "" {
		return append(r.stage(), r.insertStaged())
	}
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

// insertStaged inserts every staged row.
func (r Request) insertStaged() Step {
	var b binder
	names := columnNames(r.sourced())
	filled, values := r.filled(b.use)
	return Step{
		Name: "insert", Why: "all staged rows", Counts: Inserted, As: Staged, Boundary: Writes,
		SQL: insertInto(r.target(), identifiers(append(names, filled...))) + "\n" +
			list("SELECT", append(prefixed("s", names), values...)) + "\nFROM " + StageTable + " AS s",
		Parameters: b.parameters,
	}
}
