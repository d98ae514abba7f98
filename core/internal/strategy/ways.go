package strategy

import (
	"fmt"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
)

// The planner does not know that changes are sorted by place, nor that the pages of a few keys are soon in memory: for few rows it would read the whole
// table for a hash join. These steps take the choice from it for one statement.

// lookUp lets the planner find the staged rows in the target by its index on the keys, when they are few. predicate is that of the index, or "" for one on all
// rows. Keys that may be NULL are compared in a form that no index answers.
func (r Request) lookUp(predicate string) []Step {
	keys := make([]string, len(r.Load.Keys))
	for i, key := range r.Load.Keys {
		if r.Table.Column(key).Nullable {
			return nil
		}
		keys[i] = ident.Literal(key)
	}
	where := "i.indpred IS NULL"
	if predicate != "" {
		where = "pg_get_expr(i.indpred, i.indrelid) = " + ident.Literal(predicate)
	}
	return []Step{{
		Name: "choose way", Why: "few rows against the table are looked up by the index on the keys; more, or in partitions: the table is read once",
		SQL: fmt.Sprintf(`SELECT set_config(name, CASE WHEN few THEN 'off' ELSE reset_val END, true)
FROM pg_settings, (
    SELECT %d * s.reltuples < t.reltuples AND EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = t.oid AND i.indisunique AND i.indisvalid AND %s AND i.indnkeyatts = %d
          AND (SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = t.oid AND a.attnum = ANY (i.indkey) AND a.attname IN (%s)) = %d
    ) AS few
    FROM pg_class AS t, pg_class AS s
    WHERE t.oid = %s::regclass AND s.oid = %s::regclass AND t.relkind = 'r'
) AS d
WHERE name IN (%s)`, fewAgainst, where, len(keys), strings.Join(keys, ", "), len(keys), ident.Literal(r.target()), ident.Literal(StageTable), ways),
	}}
}

// fewAgainst: so many times more rows has a table against which the staged ones are few.
const fewAgainst = 10

// ways are the settings that are turned off to leave nested loops over an index or over places.
const ways = "'enable_hashjoin', 'enable_mergejoin', 'enable_memoize'"

// chooseWay lets it go straight to the places of changed rows, when they are few. condition selects the changes that the statement after it is about.
func (r Request) chooseWay(condition string) Step {
	return Step{
		Name: "choose way", Boundary: Ours, Why: "fewer than a third of the rows change: go to their places; more, or in partitions: read the table once",
		SQL: "SELECT set_config(name, CASE WHEN few THEN 'off' ELSE reset_val END, true)\nFROM pg_settings, (\n    SELECT 3 * count(*) < greatest(max(t.reltuples), max(s.reltuples)) AS few\n" +
			"    FROM " + changesTable + " AS c, pg_class AS t, pg_class AS s\n    WHERE t.oid = " + ident.Literal(r.target()) + "::regclass AND s.oid = " +
			ident.Literal(StageTable) + "::regclass AND t.relkind = 'r' AND " + condition + "\n) AS d\nWHERE name IN (" + ways + ")",
	}
}

// planFreely takes that back.
func planFreely() Step {
	return Step{
		Name: "plan freely", Why: "the planner's own choice again",
		SQL: "SELECT pg_catalog.set_config(name, reset_val, true) FROM pg_catalog.pg_settings WHERE name IN (" + ways + ")",
	}
}
