package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// scd2 keeps history: a row that differs from the current version of its key closes that version and opens a new one. One join of the staged
// rows with the current versions finds what is new, what differs and, with soft deletes, what is gone.
type scd2 struct{}

func init() { register(scd2{}, spec.SCD2) }

// The actions of the change set. A change closes a version and opens another.
const (
	opens   = "open"
	changes = "change"
	closes  = "close"
)

func (s scd2) Steps(r Request) []Step {
	steps := append(r.stage(), r.checkKeys())
	if r.Load.EventTimestampColumn != "" {
		steps = append(steps, s.latest(r))
	}
	steps = append(steps, r.lockTarget(), s.changes(r), analyzeChanges(),
		countChanges([]string{r.own("action") + " <> '" + opens + "'", r.own("action") + " <> '" + closes + "'"}, Closed, Inserted))
	if r.Load.EventTimestampColumn != "" {
		steps = append(steps, s.checkOrder(r))
	}
	return append(steps, r.chooseWay("c."+r.own("action")+" <> '"+opens+"'"), s.close(r), planFreely(), s.insert(r))
}

// latest leaves the row with the greatest event time of each key.
func (scd2) latest(r Request) Step {
	event := r.own("event_at")
	keys := strings.Join(prefixed("s", r.Load.Keys), ", ")
	// Rows of one key at one time are equal here (check keys); their ctid decides which stays.
	return Step{
		Name: "keep latest", Why: "of several rows of one key the one with the greatest event time counts",
		SQL: "DELETE FROM " + stageTable + " AS s\nUSING (\n    SELECT s.ctid AS place, row_number() OVER (PARTITION BY " + keys + " ORDER BY s." + event + " DESC, s.ctid) AS n\n    FROM " +
			stageTable + " AS s\n    JOIN (\n" + r.repeated(r.Load.Keys) + "\n    ) AS r ON " + r.sameKey("s", "r") + "\n) AS d\nWHERE s.ctid = d.place AND d.n > 1",
	}
}

// changes makes the change set. Its column "at" is where the new version starts, and where the old one ends.
func (s scd2) changes(r Request) Step {
	var b binder
	own := r.own
	action := "CASE WHEN t.ctid IS NULL THEN '" + opens + "' ELSE '" + changes + "' END"
	join, where := "LEFT JOIN", "t.ctid IS NULL"
	start := "s." + own("event_at")
	if r.Load.EventTimestampColumn == "" {
		start = b.use(LoadTime)
	}
	columns := make([]string, 0, len(r.Table.Columns))
	for _, c := range r.sourced() {
		columns = append(columns, "s."+ident.Quote(c.Name))
	}
	if r.Load.HandleDeletes == spec.DeletesSoft {
		action = "CASE WHEN t.ctid IS NULL THEN '" + opens + "' WHEN s.ctid IS NULL THEN '" + closes + "' ELSE '" + changes + "' END"
		join, where = "FULL JOIN", "t.ctid IS NULL OR s.ctid IS NULL"
		if r.Load.EventTimestampColumn != "" {
			start = "coalesce(" + start + ", " + b.use(LoadTime) + ")" // a key that is gone has no event: it is closed at load time
		}
		for i, c := range r.sourced() {
			if slices.Contains(r.Load.Keys, c.Name) {
				name := ident.Quote(c.Name)
				columns[i] = "coalesce(s." + name + ", t." + name + ") AS " + name
			}
		}
	}
	head := []string{
		action + " AS " + own("action"), "t.ctid AS " + own("ctid"),
		"greatest(" + start + ", t." + spec.ValidFrom + " + interval '1 microsecond') AS " + own("at"),
	}
	if r.Load.EventTimestampColumn != "" {
		head = append(head, "s."+own("event_at"), "t."+spec.ValidFrom+" AS "+own("old_start")) // for the check of the order
	}
	head = append(head, rowHash(r, "s")+" AS "+own("hash"))
	current := append(identifiers(r.Load.Keys), identifiers(r.Load.CompareColumns)...)
	current = append([]string{"ctid", spec.ValidFrom}, current...)
	return Step{
		Name: "find changes", Why: "one join with the current versions finds what is new, what differs" + s.gone(r), Parameters: b.parameters,
		SQL: "CREATE TEMPORARY TABLE " + unqualified(changesTable) + " ON COMMIT DROP AS\n" + list("SELECT", append(head, columns...)) +
			"\nFROM " + stageTable + " AS s\n" + join + " (\n    " + list("SELECT", current) + "\n    FROM " + r.target() + " WHERE " + spec.IsCurrent + "\n) AS t ON " +
			r.sameKey("t", "s") + "\nWHERE " + where + "\n   OR " + r.differs("t", "s", r.Load.CompareColumns) + "\nORDER BY t.ctid",
	}
}

func (scd2) gone(r Request) string {
	if r.Load.HandleDeletes == spec.DeletesSoft {
		return " and what is gone"
	}
	return ""
}

// checkOrder refuses a change that is not later than the version that it would close.
func (scd2) checkOrder(r Request) Step {
	return Step{
		Name: "check order", Why: "history is not rewritten: a change must be later than the version that it closes",
		SQL: fmt.Sprintf("SELECT count(*), min(c.%[1]s), max(c.%[2]s)\nFROM %[3]s AS c\nWHERE c.%[4]s = '%[5]s' AND c.%[1]s <= c.%[2]s\nHAVING count(*) > 0",
			r.own("event_at"), r.own("old_start"), changesTable, r.own("action"), changes),
		Judge: func(rows [][]string) error {
			if len(rows) == 0 {
				return nil
			}
			return fault.New(fault.OutOfOrder, "out-of-order event_ts: the source of %s has changes that are not later than the start of the version they would close "+
				"(%s of them, earliest event %s, latest such start %s, column %q). Nothing was written.", r.Load.Target, rows[0][0], rows[0][1], rows[0][2], r.Load.EventTimestampColumn).
				WithHint("Load events in the order of their time, and let the query leave out what is older than the stored history.")
		},
	}
}

func (scd2) close(r Request) Step {
	return Step{
		Name: "close", Why: "versions that are replaced or gone; their end is the start of what follows", Counts: Closed, Boundary: Writes,
		SQL: "UPDATE " + r.target() + " AS t\nSET " + spec.ValidTo + " = c." + r.own("at") + ", " + spec.IsCurrent + " = false\nFROM " + changesTable + " AS c\nWHERE c." +
			r.own("action") + " <> '" + opens + "' AND " + r.samePlace() + " AND t." + spec.IsCurrent,
	}
}

// insert opens the new versions. The version of a key that comes back must not begin before its last one ended; keys that are opened have closed versions only.
func (s scd2) insert(r Request) Step {
	var b binder
	names := columnNames(r.sourced())
	filled, filling := r.filled(b.use)
	columns := append(append(identifiers(names), spec.ValidFrom, spec.ValidTo, spec.IsCurrent, spec.RowHash), filled...)
	start := "c." + r.own("at")
	if r.Load.EventTimestampColumn != "" {
		// An event from before the end of the last version cannot be put before it any more: load time.
		start = "CASE WHEN " + start + " < p.last_end THEN " + b.use(LoadTime) + " ELSE " + start + " END"
	}
	values := append(prefixed("c", names), "greatest("+start+", p.last_end)", "NULL", "true", "c."+r.own("hash"))
	keys := strings.Join(prefixed("h", r.Load.Keys), ", ")
	return Step{
		Name: "insert", Why: "the new versions; that of a key that comes back starts no earlier than its last one ended", Counts: Inserted, Boundary: Writes,
		SQL: insertInto(r.target(), columns) + "\n" + list("SELECT", append(values, filling...)) + "\nFROM " + changesTable + " AS c\nLEFT JOIN (\n    SELECT " +
			keys + ", max(h." + spec.ValidTo + ") AS last_end\n    FROM " + r.target() + " AS h\n    JOIN " + changesTable + " AS n ON n." + r.own("action") + " = '" + opens + "' AND " +
			r.sameKey("h", "n") + "\n    GROUP BY " + keys + "\n) AS p ON c." + r.own("action") + " = '" + opens + "' AND " + r.sameKey("p", "c") +
			"\nWHERE c." + r.own("action") + " <> '" + closes + "'",
		Parameters: b.parameters,
	}
}
