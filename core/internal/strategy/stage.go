package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// The temporary tables of a load. They are named with their schema, so that nothing of the same name elsewhere can stand in for them.
const (
	// StageTable holds the source rows in the declared types.
	StageTable   = "pg_temp._ematix_stage"
	changesTable = "pg_temp._ematix_changes"
)

// stage puts the source rows into a temporary table of the declared types: the query is evaluated once, and values are converted and refused
// as an INSERT into the target would do.
func (r Request) stage() []Step {
	var definitions []string
	for _, c := range r.sourced() {
		definitions = append(definitions, ident.Quote(c.Name)+" "+c.Type.SQL()+notNull(c.Nullable))
	}
	if r.Load.EventTimestampColumn != "" {
		definitions = append(definitions, r.own("event_at")+" TIMESTAMPTZ NOT NULL CHECK (isfinite("+r.own("event_at")+"))")
	}
	steps := []Step{
		{
			Name: "create staging", Why: "the declared types, so that values are converted and refused as the target would",
			SQL: "CREATE TEMPORARY TABLE " + unqualified(StageTable) + " (\n    " + strings.Join(definitions, ",\n    ") + "\n) ON COMMIT DROP",
		},
		r.fill(),
		{Name: "analyze staging", Why: "the planner must know how many rows there are", SQL: "ANALYZE " + StageTable, Boundary: Ours},
	}
	if r.Load.IncrementalColumn != "" {
		steps = append(steps, r.mark())
	}
	return steps
}

// fill evaluates the query into the staging table: here, or on another server.
func (r Request) fill() Step {
	var b binder
	staged := r.Staged()
	names, values := make([]string, len(staged)), make([]string, len(staged))
	for i, c := range staged {
		names[i], values[i] = c.Name, "q."+ident.Quote(c.From)
	}
	step := Step{Name: "stage", Why: "the query runs once; everything that follows reads its result", Boundary: Source, Counts: Staged}
	if r.Load.Path() == spec.CrossDB {
		step.Why = "the query runs once, on its own server; its rows come over as they are"
		step.Extract = "COPY (\n" + r.selecting(values, r.Fresh(func(p Parameter) string { return ":" + string(p) })) + "\n) TO STDOUT (FORMAT binary)"
		step.SQL = "COPY " + StageTable + " (" + ident.List(names) + ") FROM STDIN (FORMAT binary)"
		return step
	}
	where := ""
	if r.Load.IncrementalColumn != "" {
		where = r.Fresh(func(p Parameter) string {
			if p == Since && r.Load.LastValueLiteral != "" {
				return r.Load.LastValueLiteral
			}
			return r.bound(&b)(p)
		})
	}
	step.SQL, step.Parameters = insertInto(StageTable, identifiers(names))+"\n"+r.selecting(values, where), b.parameters
	return step
}

// selecting is the SELECT of values of the user's query.
func (r Request) selecting(values []string, where string) string {
	text := list("SELECT", values) + "\nFROM " + r.query()
	if where != "" {
		text += "\nWHERE " + where
	}
	return text
}

// StagedColumn is a column of the staging table: its name and type, and the column of the query that it comes from.
type StagedColumn struct {
	Name, From string
	Type       types.Type
}

// Staged are the columns of the staging table.
func (r Request) Staged() []StagedColumn {
	var staged []StagedColumn
	for _, c := range r.sourced() {
		staged = append(staged, StagedColumn{c.Name, c.Name, c.Type})
	}
	if event := r.Load.EventTimestampColumn; event != "" {
		staged = append(staged, StagedColumn{r.own("event_at"), event, types.Must("timestamp_tz")})
	}
	return staged
}

// Filled are the metadata columns that go along with rows which are inserted without staging, and what fills them.
func (r Request) Filled() (columns []StagedColumn, values []Parameter) {
	names, _ := r.filled(func(p Parameter) string {
		values = append(values, p)
		return ""
	})
	for _, name := range names {
		columns = append(columns, StagedColumn{Name: name, Type: r.Table.Column(name).Type})
	}
	return columns, values
}

// mark finds what the watermark will be. It never goes back, and stays behind the cap.
func (r Request) mark() Step {
	var b binder
	c := r.Table.Column(r.Load.IncrementalColumn)
	bound, column := r.bound(&b), "s."+ident.Quote(c.Name)
	greatest := "max(" + column + r.collated() + ")"
	if r.Capped() && !r.HoldsBack() { // rows that were held back are not among these
		capped := []string{greatest, bound(Cap)}
		if c.Type.Kind != "timestamp_tz" {
			// A time without zone may be of a zone behind: the youngest value is no younger than now there, so that much behind it the oldest transaction had begun.
			capped = append(capped, "("+greatest+" - "+b.use(Age)+"::bigint * interval '1 microsecond')::"+c.Type.Base())
		}
		greatest = "least(" + strings.Join(capped, ", ") + ")"
	}
	where := column + " IS NOT NULL"
	if c.Type.Finite != "" {
		where = fmt.Sprintf(c.Type.Finite, column)
	}
	return Step{
		Name: "watermark", Why: "how far this load has read; the next one starts there", Marks: true,
		SQL: "SELECT CASE WHEN count(*) > 0 THEN greatest(" + greatest + ", " + bound(Watermark) + ")::text END\nFROM " + StageTable + " AS s\nWHERE " + where, Parameters: b.parameters,
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
	from, group, having := StageTable+" AS s", prefixed("s", r.Load.Keys), "count(*) > 1"
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
		quick = fmt.Sprintf("SELECT count(%[1]s) - count(DISTINCT %[1]s) + greatest(count(*) - count(%[1]s) - 1, 0)\nFROM %[2]s AS s", group[0], StageTable)
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
	return "        SELECT " + group + "\n        FROM " + StageTable + "\n        GROUP BY " + group + "\n        HAVING count(*) > 1"
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
	at, and, apart := "", "", slices.Clone(r.Load.Keys)
	if r.Load.EventTimestampColumn != "" {
		at, and, apart = " at one event time with different values", " and event time", append(apart, r.Load.EventTimestampColumn)
	}
	what := rows[0][0] + " keys"
	if rows[0][0] == "1" {
		what = "a key"
	}
	return fault.New(fault.DuplicateKeys, "The source of %s has %s (%s) more than once%s: %s%s. Nothing was written.",
		r.Load.Target, what, strings.Join(r.Load.Keys, ", "), at, strings.Join(examples, "; "), more).
		WithHint("Let the query return one row for each key%s, for example with SELECT DISTINCT ON (%s) ... ORDER BY %[2]s.", and, ident.List(apart))
}

// lockTarget keeps other writers out between finding a row's ctid and using it: the place could otherwise be taken by another row.
func (r Request) lockTarget() Step {
	return Step{
		Name: "lock target", Why: "other writers wait until the commit, readers go on: between finding a row and changing it nobody may move it",
		SQL: "LOCK TABLE " + r.Target() + " IN SHARE ROW EXCLUSIVE MODE",
	}
}

func analyzeChanges() Step {
	return Step{Name: "analyze changes", Why: "the planner must know how many they are; few it takes for few anyway", SQL: "ANALYZE " + changesTable, Many: true}
}

// countChanges announces how many rows the statements that follow change, so that a trigger, rule or policy that keeps rows back is noticed.
func countChanges(conditions []string, counts ...Count) Step {
	for i, condition := range conditions {
		conditions[i] = "count(*) FILTER (WHERE " + condition + ")"
	}
	return Step{
		Name: "count changes", Why: "what follows must change exactly as many rows",
		SQL: "SELECT " + strings.Join(conditions, ", ") + "\nFROM " + changesTable + " AS c", Expects: counts,
	}
}
