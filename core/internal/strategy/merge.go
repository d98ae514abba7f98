package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// mergeUpsert inserts rows with new keys and updates those that differ; where the load deletes, also what the source lacks. One join finds all of it;
// everything after it is driven by what it found.
type mergeUpsert struct{}

func init() { register(mergeUpsert{}, spec.Merge, spec.SCD1) }

// The actions of a merge's change set.
const (
	inserts = "insert"
	updates = "update"
	deletes = "delete"
)

func (m mergeUpsert) Steps(r Request) []Step {
	steps := append(r.stage(), r.checkKeys(), r.lockTarget(), r.few(m.changes(r)), analyzeChanges(), r.countMatches())
	if r.Load.HandleDeletes != "" {
		steps = append(steps, r.guardDeletes(deletes))
	}
	if r.Load.Deletes() != "" {
		steps = append(steps, r.byPlace(), m.delete(r), planFreely())
	}
	if m.set(r, func(Parameter) string { return "" }) != nil {
		steps = append(steps, r.byPlace(), m.update(r), planFreely())
	}
	return append(steps, m.insert(r))
}

// does selects the changes of an action.
func (r Request) does(action string) string { return "c." + r.own("action") + " = '" + action + "'" }

func (mergeUpsert) changes(r Request) Step {
	marked := r.marked("t")
	action := []string{"WHEN t.ctid IS NULL THEN '" + inserts + "'"}
	conditions := []string{"t.ctid IS NULL"}
	join, why := "LEFT JOIN", "one join finds what is new and what differs"
	columns := prefixed("s", columnNames(r.sourced()))
	if r.Load.Deletes() != "" {
		join, why = "FULL JOIN", "one join finds what is new, what differs and what is gone"
		action = append(action, "WHEN s.ctid IS NULL THEN '"+deletes+"'")
		columns = r.keysOfBoth(columns)
		gone := "s.ctid IS NULL"
		if marked != "" {
			gone += " AND NOT " + marked
		}
		conditions = append(conditions, gone)
	}
	differs := ""
	if len(r.Load.UpdateColumns) > 0 {
		differs = r.differs("t", "s", r.Load.UpdateColumns)
	}
	if marked != "" { // a key that comes back changes, whatever its values
		differs = strings.TrimSuffix(marked+"\n   OR "+differs, "\n   OR ")
	}
	if differs != "" && r.Load.Deletes() != "" {
		differs = "s.ctid IS NOT NULL AND (" + differs + ")"
	}
	if differs != "" {
		conditions = append(conditions, differs)
	}
	head := []string{"CASE " + strings.Join(action, " ") + " ELSE '" + updates + "' END AS " + r.own("action"), "t.ctid AS " + r.own("ctid"), "s.ctid AS " + r.own("row")}
	return Step{
		Name: "find changes", Why: why,
		SQL: "CREATE TEMPORARY TABLE " + unqualified(changesTable) + " ON COMMIT DROP AS\n" + list("SELECT", append(head, columns...)) +
			"\nFROM " + StageTable + " AS s\n" + join + " " + r.Target() + " AS t ON " + r.sameKey("t", "s") + "\nWHERE " + strings.Join(conditions, "\n   OR ") + "\nORDER BY t.ctid",
	}
}

// marked is the mark of a deleted row, or "" where there are none.
func (r Request) marked(alias string) string {
	if r.Load.MarksDeleted() == "" {
		return ""
	}
	return alias + "." + ident.Quote(r.Load.MarksDeleted())
}

// keysOfBoth replaces the key columns in a list of the sourced columns: a row that one side lacks has the key of the other.
func (r Request) keysOfBoth(columns []string) []string {
	for i, c := range r.sourced() {
		if slices.Contains(r.Load.Keys, c.Name) {
			name := ident.Quote(c.Name)
			columns[i] = "coalesce(s." + name + ", t." + name + ") AS " + name
		}
	}
	return columns
}

// set is what an update sets, or nil for a merge that only inserts.
func (mergeUpsert) set(r Request, use func(Parameter) string) []string {
	var set []string
	for _, name := range r.Load.UpdateColumns {
		set = append(set, ident.Quote(name)+" = c."+ident.Quote(name))
	}
	if mark := r.Load.MarksDeleted(); mark != "" {
		set = append(set, ident.Quote(mark)+" = false")
	}
	if set == nil {
		return nil
	}
	filled, values := r.filled(use)
	for i, name := range filled {
		set = append(set, name+" = "+values[i])
	}
	return set
}

func (m mergeUpsert) update(r Request) Step {
	var b binder
	set := m.set(r, b.use)
	return Step{
		Name: "update", Why: "rows that differ, by their place and their key", Counts: Updated, Boundary: Writes, Parameters: b.parameters,
		SQL: "UPDATE " + r.Target() + " AS t\n" + list("SET", set) + "\nFROM " + changesTable + " AS c\nWHERE " + r.does(updates) + " AND " + r.samePlace(),
	}
}

// delete comes before update and insert, so that what it frees of other unique constraints can be taken.
func (mergeUpsert) delete(r Request) Step {
	where := "\nWHERE " + r.does(deletes) + " AND " + r.samePlace()
	if r.Load.MarksDeleted() == "" {
		return Step{
			Name: "delete", Why: "rows whose key the source lacks", Counts: Deleted, Boundary: Writes,
			SQL: "DELETE FROM " + r.Target() + " AS t\nUSING " + changesTable + " AS c" + where,
		}
	}
	var b binder
	set := []string{ident.Quote(r.Load.MarksDeleted()) + " = true"}
	filled, values := r.filled(b.use)
	for i, name := range filled {
		set = append(set, name+" = "+values[i])
	}
	return Step{
		Name: "mark deleted", Why: "rows whose key the source lacks", Counts: Deleted, Boundary: Writes, Parameters: b.parameters,
		SQL: "UPDATE " + r.Target() + " AS t\n" + list("SET", set) + "\nFROM " + changesTable + " AS c" + where,
	}
}

func (mergeUpsert) insert(r Request) Step {
	var b binder
	names := columnNames(r.sourced())
	filled, values := r.filled(b.use)
	if mark := r.Load.MarksDeleted(); mark != "" {
		filled, values = append(filled, ident.Quote(mark)), append(values, "false")
	}
	return Step{
		Name: "insert", Why: "rows whose key is new", Counts: Inserted, Boundary: Writes, Parameters: b.parameters,
		SQL: insertInto(r.Target(), append(identifiers(names), filled...)) + "\n" +
			list("SELECT", append(prefixed("c", names), values...)) + "\nFROM " + changesTable + " AS c\nWHERE " + r.does(inserts),
	}
}

// countMatches announces the counts, and refuses a target in which one source row meets several rows: its key does not keep them apart, as a unique constraint
// does not for keys with NULL.
func (r Request) countMatches() Step {
	conditions, counts := []string{r.does(updates), r.does(inserts)}, []Count{Updated, Inserted}
	if r.Load.Deletes() != "" {
		conditions, counts = append(conditions, r.does(deletes)), append(counts, Deleted)
	}
	step := countChanges(conditions, counts...)
	if !slices.ContainsFunc(r.Load.Keys, func(key string) bool { return r.Table.Column(key).Nullable }) && r.Load.OnDrift != spec.DriftWarn {
		return step // a unique constraint keeps these apart
	}
	last := len(conditions)
	step.SQL = strings.Replace(step.SQL, "\nFROM", ",\n    count(DISTINCT c."+r.own("row")+") FILTER (WHERE "+r.does(updates)+")\nFROM", 1)
	step.Judge = func(rows [][]string) error {
		if rows[0][0] == rows[0][last] {
			return nil
		}
		return fault.New(fault.SchemaDrift, "The table %s has several rows of one key (%s). Nothing was written.", r.Load.Target, strings.Join(r.Load.Keys, ", ")).
			WithHint("Remove the rows that are too many: which of them a source row stands for could only be guessed.")
	}
	return step
}

// Guarded is the number of rows from which a source without any row is not believed to mean that all are gone.
const Guarded = 100

// guardDeletes refuses a load that would delete more than it may; action selects those changes.
func (r Request) guardDeletes(action string) Step {
	current := "SELECT count(*) FROM " + r.Target() + " AS t"
	switch marked := r.marked("t"); {
	case r.Load.Mode == spec.SCD2:
		current += " WHERE t." + ident.Quote(r.Load.History.IsCurrent)
	case marked != "":
		current += " WHERE NOT " + marked
	}
	condition, limit, remedy := fmt.Sprintf("d.gone > %d AND NOT EXISTS (SELECT FROM %s)", Guarded, StageTable), "its source is empty", "max_delete_fraction=1.0"
	if share := r.Load.MaxDeleteFraction; share != nil {
		condition, limit = fmt.Sprintf("d.gone > %v * d.present", *share), fmt.Sprintf("max_delete_fraction allows a share of %v", *share)
		remedy = "a larger max_delete_fraction"
	}
	return Step{
		Name: "guard deletes", Why: "a source that lost its rows must not empty the table",
		Quick: "SELECT count(*)\nFROM " + changesTable + " AS c\nWHERE " + r.does(action),
		SQL:   "SELECT d.gone, d.present\nFROM (\n    SELECT (SELECT count(*) FROM " + changesTable + " AS c WHERE " + r.does(action) + ") AS gone, (" + current + ") AS present\n) AS d\nWHERE " + condition,
		Judge: func(rows [][]string) error {
			if len(rows) == 0 {
				return nil
			}
			verb := "delete"
			if r.Load.Mode == spec.SCD2 {
				verb = "close"
			}
			return fault.New(fault.DeleteGuard, "The load of %s would %s %s of %s current rows, and %s. Nothing was written.", r.Load.Target, verb, rows[0][0], rows[0][1], limit).
				WithHint("Look whether the source has lost rows. If they are really gone, give %s.", remedy)
		},
	}
}
