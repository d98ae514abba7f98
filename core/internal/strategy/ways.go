package strategy

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
)

// The planner does not know that changes are sorted by place, nor that look-ups in the order of the keys find their pages in memory: for few rows it would read
// the whole table for a hash join. That random pages are cheap is said by a setting while the change set is looked for (package run); here is the rest.

// sorted are the staged rows in the order of their keys, so that neighbours are looked up one after the other: a third of the time with keys in random order, and
// what decides when the table is not in memory.
func (r Request) sorted() string {
	return "(SELECT ctid, * FROM " + StageTable + " ORDER BY " + strings.Join(identifiers(r.Load.Keys), ", ") + ")"
}

// few gives a step that looks the staged rows up a second form, for few of them.
func (r Request) few(step Step) Step {
	step.Few = strings.Replace(step.SQL, "\nFROM "+StageTable+" AS s\nLEFT JOIN ", "\nFROM "+r.sorted()+" AS s\nLEFT JOIN ", 1)
	if step.Few == step.SQL { // a full join reads everything anyway
		step.Few = ""
	}
	return step
}

// ways are the settings that are turned off to leave nested loops over places.
var ways = []string{"enable_hashjoin", "enable_mergejoin"}

// chooseWay lets the planner go straight to the places of changed rows, when they are few. condition selects the changes that the statement after it is about. What
// the settings were is kept in settings of ours: asking pg_settings for it takes longer than everything else here.
func (r Request) chooseWay(condition string) Step {
	var settings []string
	for _, name := range ways {
		settings = append(settings, "set_config('ematix_flow."+name+"', current_setting('"+name+"'), true)",
			"set_config('"+name+"', CASE WHEN few THEN 'off' ELSE current_setting('"+name+"') END, true)")
	}
	return Step{
		Name: "choose way", Boundary: Ours, Why: "fewer than a third of the rows change: go to their places; more, in partitions, or where triggers would run under these settings: as the planner likes",
		SQL: list("SELECT", settings) + "\nFROM (\n    SELECT bool_or(3 * (SELECT count(*) FROM " + changesTable + " AS c WHERE " + condition + ") < greatest(t.reltuples, s.reltuples)) AS few\n" +
			"    FROM pg_class AS t, pg_class AS s\n    WHERE t.oid = " + ident.Literal(r.Target()) + "::regclass AND s.oid = " +
			ident.Literal(StageTable) + "::regclass AND t.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = t.oid AND NOT tgisinternal)\n) AS d",
	}
}

// planFreely takes that back.
func planFreely() Step {
	settings := make([]string, len(ways))
	for i, name := range ways {
		settings[i] = "pg_catalog.set_config('" + name + "', pg_catalog.current_setting('ematix_flow." + name + "'), true)"
	}
	return Step{Name: "plan freely", Why: "the planner's own choice again", SQL: list("SELECT", settings)}
}
