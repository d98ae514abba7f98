package strategy

import "github.com/ematix/ematix-flow/core/internal/spec"

// truncateReplace replaces the whole content. The rows are staged first, since the query may read the target; TRUNCATE comes as late as it can,
// because it keeps readers out until the commit.
type truncateReplace struct{}

func init() { register(truncateReplace{}, spec.Truncate) }

func (truncateReplace) Steps(r Request) []Step {
	var b binder
	names := columnNames(r.sourced())
	filled, values := r.filled(b.use)
	return append(r.stage(),
		Step{Name: "truncate", Boundary: Writes, Why: "readers wait from here to the commit, and see the old or the new content", SQL: "TRUNCATE TABLE " + r.target()},
		Step{
			Name: "insert", Why: "all staged rows", Counts: Inserted, As: Staged,
			SQL: insertInto(r.target(), identifiers(append(names, filled...))) + "\n" +
				list("SELECT", append(prefixed("s", names), values...)) + "\nFROM " + stageTable + " AS s",
			Parameters: b.parameters,
		})
}
