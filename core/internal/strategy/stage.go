package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
)

// The temporary tables of a load. They are named with their schema, so that nothing of the same name elsewhere can stand in for them.
const (
	stageTable   = "pg_temp._ematix_stage"
	changesTable = "pg_temp._ematix_changes"
)

// stage puts the source rows into a temporary table of the declared types: the query is evaluated once, and values are converted and refused
// as an INSERT into the target would do.
func (r Request) stage() []Step {
	columns := r.sourced()
	names := columnNames(columns)
	values := prefixed("q", names)
	var definitions []string
	for _, c := range columns {
		definitions = append(definitions, ident.Quote(c.Name)+" "+c.Type.SQL()+notNull(c.Nullable))
	}
	if event := r.Load.EventTimestampColumn; event != "" {
		definitions = append(definitions, r.own("event_at")+" TIMESTAMPTZ NOT NULL CHECK ("+r.own("event_at")+" < 'infinity')")
		names, values = append(names, r.own("event_at")), append(values, "q."+ident.Quote(event))
	}
	return []Step{
		{
			Name: "create staging", Why: "the declared types, so that values are converted and refused as the target would",
			SQL: "CREATE TEMPORARY TABLE " + unqualified(stageTable) + " (\n    " + strings.Join(definitions, ",\n    ") + "\n) ON COMMIT DROP",
		},
		{
			Name: "stage", Why: "the query runs once; everything that follows reads its result", Boundary: Source, Counts: Staged,
			SQL: insertInto(stageTable, identifiers(names)) + "\n" + list("SELECT", values) + "\nFROM " + r.query(),
		},
		{Name: "analyze staging", Why: "the planner must know how many rows there are", SQL: "ANALYZE " + stageTable, Boundary: Ours},
	}
}

func notNull(nullable bool) string {
	if nullable {
		return ""
	}
	return " NOT NULL"
}

func unqualified(table string) string { return strings.TrimPrefix(table, "pg_temp.") }

func identifiers(names []string) []string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = ident.Quote(name)
	}
	return quoted
}

// An error names so many repeated keys, and so many characters of each.
const (
	shownKeys       = 5
	shownCharacters = "80"
)

// checkKeys refuses a source in which a key occurs twice: which of its rows counts could only be guessed. With an event time a key may
// occur at different times, and at one time with equal values.
func (r Request) checkKeys() Step {
	texts := make([]string, len(r.Load.Keys))
	for i, key := range prefixed("s", r.Load.Keys) {
		texts[i] = "left(" + key + "::text, " + shownCharacters + ")"
	}
	from, group, having := stageTable+" AS s", prefixed("s", r.Load.Keys), "count(*) > 1"
	if r.Load.EventTimestampColumn != "" {
		event := r.own("event_at")
		group = append(group, "s."+event)
		// Values are compared only where a key occurs twice at one time, which is seldom.
		from += "\n    JOIN (\n" + r.repeated(append(slices.Clone(r.Load.Keys), event)) + "\n    ) AS r ON " + r.sameKey("s", "r") + " AND s." + event + " = r." + event
		having = strings.Join(r.varying(), "\n        OR ")
	}
	quick := ""
	if len(group) == 1 {
		// Sorting one column is three times as quick as forming groups at the default work_mem. Two NULLs are one key twice.
		quick = fmt.Sprintf("SELECT count(%[1]s) - count(DISTINCT %[1]s) + greatest(count(*) - count(%[1]s) - 1, 0)\nFROM %[2]s AS s", group[0], stageTable)
	}
	inner := list("SELECT count(*) AS n,", texts) + "\n    FROM " + from + "\n    " + list("GROUP BY", group) + "\n    HAVING " + having
	return Step{
		Name: "check keys", Why: "a key that occurs twice is refused before anything is written",
		SQL:   fmt.Sprintf("SELECT count(*) OVER () AS keys, d.*\nFROM (\n    %s\n) AS d\nLIMIT %d", inner, shownKeys),
		Judge: r.judgeKeys, Quick: quick,
	}
}

// repeated are the combinations of values that occur more than once among the staged rows.
func (r Request) repeated(names []string) string {
	group := strings.Join(identifiers(names), ", ")
	return "        SELECT " + group + "\n        FROM " + stageTable + "\n        GROUP BY " + group + "\n        HAVING count(*) > 1"
}

// varying are conditions of which one is true when the rows of a group do not all have the same values.
func (r Request) varying() []string {
	var conditions []string
	for _, c := range r.sourced() {
		if slices.Contains(r.Load.Keys, c.Name) {
			continue
		}
		// array_agg keeps NULLs, so that a NULL beside a value counts as a difference too.
		conditions = append(conditions, fmt.Sprintf("cardinality(array_agg(DISTINCT s.%s::text)) > 1", ident.Quote(c.Name)))
	}
	if len(conditions) == 0 {
		return []string{"false"} // nothing but keys: rows of one key are equal
	}
	return conditions
}

func (r Request) judgeKeys(rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	var examples []string
	for _, row := range rows {
		examples = append(examples, fmt.Sprintf("%s (%s rows)", strings.Join(row[2:], ", "), row[1]))
	}
	more := ""
	if rows[0][0] != fmt.Sprint(len(rows)) {
		more = ", ..."
	}
	at := ""
	if r.Load.EventTimestampColumn != "" {
		at = " at one event time with different values"
	}
	what := rows[0][0] + " keys"
	if rows[0][0] == "1" {
		what = "a key"
	}
	return fault.New(fault.DuplicateKeys, "The source of %s has %s (%s) more than once%s: %s%s. Nothing was written.",
		r.Load.Target, what, strings.Join(r.Load.Keys, ", "), at, strings.Join(examples, "; "), more).
		WithHint("Let the query return one row for each key, for example with SELECT DISTINCT ON (%s) ... ORDER BY %s.", ident.List(r.Load.Keys), ident.List(r.Load.Keys))
}

// lockTarget keeps other writers out between finding a row's ctid and using it: the place could otherwise be taken by another row.
func (r Request) lockTarget() Step {
	return Step{
		Name: "lock target", Why: "other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it",
		SQL: "LOCK TABLE " + r.target() + " IN SHARE ROW EXCLUSIVE MODE",
	}
}

func analyzeChanges() Step {
	return Step{Name: "analyze changes", Why: "the planner must know how few they are", SQL: "ANALYZE " + changesTable}
}

// countChanges announces how many rows the statements that follow change, so that a trigger, rule or policy that keeps rows back is noticed.
func countChanges(conditions []string, counts ...Count) Step {
	for i, condition := range conditions {
		conditions[i] = "count(*) FILTER (WHERE " + condition + ")"
	}
	return Step{
		Name: "count changes", Why: "what follows must change exactly as many rows",
		SQL: "SELECT " + strings.Join(conditions, ", ") + "\nFROM " + changesTable, Expects: counts,
	}
}

// chooseWay lets the planner go straight to the places of changed rows when they are few: it cannot know that they are sorted by place, and would
// read the whole table for a hash join. condition selects the changes that the statement after it is about.
func (r Request) chooseWay(condition string) Step {
	return Step{
		Name: "choose way", Why: "fewer than a third of the rows change: go to their places; more, or in partitions: read the table once",
		SQL: "SELECT set_config(name, CASE WHEN few THEN 'off' ELSE reset_val END, true)\nFROM pg_settings, (\n    SELECT 3 * count(*) < greatest(max(t.reltuples), max(s.reltuples)) AS few\n" +
			"    FROM " + changesTable + " AS c, pg_class AS t, pg_class AS s\n    WHERE t.oid = " + ident.Literal(r.target()) + "::regclass AND s.oid = " +
			ident.Literal(stageTable) + "::regclass AND t.relkind = 'r' AND " + condition + "\n) AS d\nWHERE name IN ('enable_hashjoin', 'enable_mergejoin')",
	}
}

// planFreely takes that back.
func planFreely() Step {
	return Step{
		Name: "plan freely", Why: "the planner's own choice again",
		SQL: "SELECT pg_catalog.set_config(name, reset_val, true) FROM pg_catalog.pg_settings WHERE name IN ('enable_hashjoin', 'enable_mergejoin')",
	}
}
