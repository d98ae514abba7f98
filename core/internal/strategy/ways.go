package strategy

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
)

// The planner does not know that changes are sorted by place, nor that look-ups in the order of the keys find their pages in memory: it would read the whole table for a
// hash join, even for few rows. That random pages are cheap is said by a setting while the change set is looked for (package run); here is the rest.

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

// ways are the settings that are turned off to leave nested loops over places; compiling a plan whose look-ups count as dear takes longer than it saves.
var ways = []string{"enable_hashjoin", "enable_mergejoin", "jit"}

// byPlace lets the planner go straight to the places of changed rows, of which each page is then read once, whether few change or all. In partitions a place does not say which
// one; triggers would run under these settings, also those of tables that a foreign key changes along. What the settings were is kept in settings of ours: asking pg_settings for it takes longer than everything else here.
func (r Request) byPlace() Step {
	var settings []string
	for _, name := range ways {
		settings = append(settings, "set_config('ematix_flow."+name+"', current_setting('"+name+"'), true)",
			"set_config('"+name+"', CASE WHEN places THEN 'off' ELSE current_setting('"+name+"') END, true)")
	}
	return Step{
		Name: "by place", Boundary: Ours, Why: "changes are sorted by place: go there, row by row; in partitions, or where triggers would run under these settings, as the planner likes",
		SQL: list("SELECT", settings) + "\nFROM (\n    SELECT relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND (NOT tgisinternal OR tgfoid::regproc::text ~ 'cascade|set')) AS places\n" +
			"    FROM pg_class AS c\n    WHERE oid = " + ident.Literal(r.Target()) + "::regclass\n) AS d",
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
