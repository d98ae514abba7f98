package strategy

import "github.com/ematix/ematix-flow/core/internal/spec"

// truncateReplace replaces the whole content. The rows are staged first, since the query may read the target; TRUNCATE comes as late as it can,
// because it keeps readers out until the commit.
type truncateReplace struct{}

func init() { register(truncateReplace{}, spec.Truncate) }

func (truncateReplace) Steps(r Request) []Step {
	empty := Step{
		Name: "truncate", Boundary: Writes, Why: "readers wait from here to the commit, and see the old or the new content; readers of an older snapshot see an empty table",
		SQL: "TRUNCATE TABLE " + r.Target(),
	}
	switch r.Load.Replace {
	case spec.ReplaceDiff: // by the primary key, as a merge that deletes
		return mergeUpsert{}.Steps(r)
	case spec.ReplaceDelete:
		count := Step{Name: "count rows", Why: "what follows must delete exactly as many", SQL: "SELECT count(*)\nFROM " + r.Target(), Expects: []Count{Deleted}}
		empty = Step{Name: "delete", Boundary: Writes, Counts: Deleted, Why: "every row; readers go on, and see the old or the new content", SQL: "DELETE FROM " + r.Target()}
		return append(r.stage(), r.lockTarget(), count, empty, r.insertStaged())
	}
	return append(r.stage(), empty, r.insertStaged())
}
