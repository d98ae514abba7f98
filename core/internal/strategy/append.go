package strategy

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/spec"
)

// appendOnly inserts every source row, straight from the query; from staged rows only where their greatest value is to be known.
type appendOnly struct{}

func init() { register(appendOnly{}, spec.Append) }

func (appendOnly) Steps(r Request) []Step {
	if r.Load.IncrementalColumn != "" {
		insert := r.insertStaged()
		insert.As = "" // a trigger may keep rows back, as it may without a watermark
		return append(r.stage(), insert)
	}
	if r.Load.Path() == spec.CrossDB {
		return []Step{r.insertRelayed()}
	}
	var b binder
	names := columnNames(r.sourced())
	filled, values := r.filled(b.use)
	return []Step{{
		Name: "insert", Why: "every row of the query, in one statement", Boundary: Source, Counts: Inserted,
		SQL: insertInto(r.Target(), identifiers(append(names, filled...))) + "\n" +
			list("SELECT", append(prefixed("q", names), values...)) + "\nFROM " + r.query(),
		Parameters: b.parameters,
	}}
}

// insertRelayed lets the rows of another server go into the target as they come, with what the load fills beside them.
func (r Request) insertRelayed() Step {
	names := columnNames(r.sourced())
	filled, constants := r.filled(func(p Parameter) string { return ":" + string(p) + casts[p] })
	return Step{
		Name: "insert", Why: "every row of the query, as it comes from its own server", Boundary: Source, Counts: Inserted,
		Extract: "COPY (\n" + r.selecting(append(prefixed("q", names), constants...), "") + "\n) TO STDOUT (FORMAT binary)",
		SQL:     "COPY " + r.Target() + " (" + strings.Join(append(identifiers(names), filled...), ", ") + ") FROM STDIN (FORMAT binary)",
	}
}

// insertStaged inserts every staged row.
func (r Request) insertStaged() Step {
	var b binder
	names := columnNames(r.sourced())
	filled, values := r.filled(b.use)
	return Step{
		Name: "insert", Why: "all staged rows", Counts: Inserted, As: Staged, Boundary: Writes,
		SQL: insertInto(r.Target(), identifiers(append(names, filled...))) + "\n" +
			list("SELECT", append(prefixed("s", names), values...)) + "\nFROM " + StageTable + " AS s",
		Parameters: b.parameters,
	}
}
