package strategy

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// mergeUpsert inserts rows with new keys and updates those that differ. One join finds both; everything after it is driven by what it found.
type mergeUpsert struct{}

func init() { register(mergeUpsert{}, spec.Merge, spec.SCD1) }

func (m mergeUpsert) Steps(r Request) []Step {
	steps := append(r.stage(), r.checkKeys(), r.lockTarget(), m.changes(r), analyzeChanges(),
		r.countMatches())
	if len(r.Load.UpdateColumns) > 0 {
		steps = append(steps, r.chooseWay("NOT c."+r.own("new")), m.update(r), planFreely())
	}
	return append(steps, m.insert(r))
}

func (mergeUpsert) changes(r Request) Step {
	found, where := "t.ctid IS NULL", "t.ctid IS NULL"
	if len(r.Load.UpdateColumns) > 0 {
		where += "\n   OR " + r.differs("t", "s", r.Load.UpdateColumns)
	}
	return Step{
		Name: "find changes", Why: "one join finds what is new and what differs",
		SQL: "CREATE TEMPORARY TABLE " + unqualified(changesTable) + " ON COMMIT DROP AS\n" +
			list("SELECT", append([]string{found + " AS " + r.own("new"), "t.ctid AS " + r.own("ctid")}, append([]string{"s.ctid AS " + r.own("row")}, prefixed("s", columnNames(r.sourced()))...)...)) +
			"\nFROM " + stageTable + " AS s\nLEFT JOIN " + r.target() + " AS t ON " + r.sameKey("t", "s") + "\nWHERE " + where + "\nORDER BY t.ctid",
	}
}

func (mergeUpsert) update(r Request) Step {
	var b binder
	var set []string
	for _, name := range r.Load.UpdateColumns {
		set = append(set, ident.Quote(name)+" = c."+ident.Quote(name))
	}
	filled, values := r.filled(b.use)
	for i, name := range filled {
		set = append(set, name+" = "+values[i])
	}
	return Step{
		Name: "update", Why: "rows that differ, by their place and their key", Counts: Updated, Boundary: Writes, Parameters: b.parameters,
		SQL: "UPDATE " + r.target() + " AS t\n" + list("SET", set) + "\nFROM " + changesTable + " AS c\nWHERE NOT c." + r.own("new") +
			" AND " + r.samePlace(),
	}
}

func (mergeUpsert) insert(r Request) Step {
	var b binder
	names := columnNames(r.sourced())
	filled, values := r.filled(b.use)
	return Step{
		Name: "insert", Why: "rows whose key is new", Counts: Inserted, Boundary: Writes, Parameters: b.parameters,
		SQL: insertInto(r.target(), identifiers(append(names, filled...))) + "\n" +
			list("SELECT", append(prefixed("c", names), values...)) + "\nFROM " + changesTable + " AS c\nWHERE c." + r.own("new"),
	}
}

// countMatches announces the counts, and refuses a target in which one source row meets several rows: its key does not keep them apart, as a unique constraint
// does not for keys with NULL.
func (r Request) countMatches() Step {
	step := countChanges([]string{"NOT " + r.own("new"), r.own("new")}, Updated, Inserted)
	step.SQL = strings.Replace(step.SQL, "\nFROM", ",\n    count(DISTINCT "+r.own("row")+") FILTER (WHERE NOT "+r.own("new")+")\nFROM", 1)
	step.Judge = func(rows [][]string) error {
		if rows[0][0] == rows[0][2] {
			return nil
		}
		return fault.New(fault.SchemaDrift, "The table %s has several rows of one key (%s). Nothing was written.", r.Load.Target, strings.Join(r.Load.Keys, ", ")).
			WithHint("Remove the rows that are too many: which of them a source row stands for could only be guessed.")
	}
	return step
}
