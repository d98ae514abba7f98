package strategy

import (
	"fmt"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// scd2 keeps history: a row that differs from the current version of its key closes that version and opens a new one. One join of the staged
// rows with the current versions finds what is new, what differs and, with soft deletes, what is gone. Where rows bring the time from which they hold,
// timeline.go finds the changes.
type scd2 struct{}

func init() { register(scd2{}, spec.SCD2) }

// The actions of the change set. A change closes a version and opens another.
const (
	opens   = "open"
	changes = "change"
	closes  = "close"
)

func (s scd2) Steps(r Request) []Step {
	steps := append(r.stage(), r.checkKeys(), r.lockTarget())
	if r.Load.Guards == spec.GuardsOff {
		steps = append(steps, s.checkCurrents(r))
	}
	if r.Load.EventTimestampColumn != "" {
		steps = append(steps, s.timeline(r)...)
	} else {
		steps = append(steps, r.few(s.changes(r)))
	}
	conditions, counts := []string{"c." + r.own("action") + " <> '" + opens + "'", "c." + r.own("action") + " <> '" + closes + "'"}, []Count{Closed, Inserted}
	if r.Load.HandleDeletes != "" {
		conditions, counts = append(conditions, r.does(closes)), append(counts, Deleted)
	}
	steps = append(steps, analyzeChanges(), countChanges(conditions, counts...))
	if r.Load.HandleDeletes != "" {
		steps = append(steps, r.guardDeletes(closes))
	}
	steps = append(steps, r.byPlace(), s.close(r), planFreely(), s.insert(r))
	if r.Load.Closures && r.Load.EventTimestampColumn != "" {
		steps = append(steps, s.recordEnds(r))
	}
	if r.Load.HasTTL {
		steps = append(steps, s.expire(r))
	}
	return steps
}

// checkCurrents refuses keys that have several current versions, which only an index of the database keeps from being.
func (scd2) checkCurrents(r Request) Step {
	keys := strings.Join(prefixed("t", r.Load.Keys), ", ")
	return Step{
		Name: "check currents", Why: "no guard of the table keeps a key from having several current versions",
		SQL: "SELECT count(*)\nFROM (\n    SELECT\n    FROM " + r.current() + " AS t\n    JOIN " + StageTable + " AS s ON " + r.sameKey("t", "s") + "\n    GROUP BY " + keys +
			"\n    HAVING count(DISTINCT t.ctid) > 1\n) AS d\nHAVING count(*) > 0",
		Judge: func(rows [][]string) error {
			if len(rows) == 0 {
				return nil
			}
			return fault.New(fault.SchemaDrift, "The history in %s is damaged: %s keys of the source have more than one current version. Nothing was written.", r.Load.Target, rows[0][0]).
				WithHint("End all but one of them; guards=\"current\" keeps it so.")
		},
	}
}

// name are the history columns, quoted where needed.
func (r Request) name() spec.HistoryColumns {
	h := r.Load.History
	return spec.HistoryColumns{ValidFrom: ident.Quote(h.ValidFrom), ValidTo: ident.Quote(h.ValidTo), IsCurrent: ident.Quote(h.IsCurrent), RowHash: ident.Quote(h.RowHash)}
}

// current are the current versions, with the columns that are compared.
func (r Request) current() string {
	columns := append([]string{"ctid", r.name().ValidFrom}, append(identifiers(r.Load.Keys), identifiers(r.Load.CompareColumns)...)...)
	return "(\n    " + list("SELECT", columns) + "\n    FROM " + r.Target() + " WHERE " + r.name().IsCurrent + "\n)"
}

// changes makes the change set of a load without event times. Its column "at" is where the new version starts, and where the old one ends.
func (s scd2) changes(r Request) Step {
	var b binder
	own := r.own
	action := "CASE WHEN t.ctid IS NULL THEN '" + opens + "' ELSE '" + changes + "' END"
	join, where, why := "LEFT JOIN", "t.ctid IS NULL", "one join with the current versions finds what is new, what differs"
	columns := prefixed("s", columnNames(r.sourced()))
	if r.Load.HandleDeletes == spec.DeletesSoft {
		action = "CASE WHEN t.ctid IS NULL THEN '" + opens + "' WHEN s.ctid IS NULL THEN '" + closes + "' ELSE '" + changes + "' END"
		join, where, why = "FULL JOIN", "t.ctid IS NULL OR s.ctid IS NULL", why+" and what is gone"
		columns = r.keysOfBoth(columns)
	}
	head := []string{
		action + " AS " + own("action"), "t.ctid AS " + own("ctid"),
		"greatest(" + b.use(LoadTime) + ", t." + r.name().ValidFrom + " + interval '1 microsecond') AS " + own("at"),
		rowHash(r, "s") + " AS " + own("hash"),
	}
	return Step{
		Name: "find changes", Why: why, Parameters: b.parameters,
		SQL: "CREATE TEMPORARY TABLE " + unqualified(changesTable) + " ON COMMIT DROP AS\n" + list("SELECT", append(head, columns...)) +
			"\nFROM " + StageTable + " AS s\n" + join + " " + r.current() + " AS t ON " + r.sameKey("t", "s") +
			"\nWHERE " + where + "\n   OR " + r.differs("t", "s", r.Load.CompareColumns) + "\nORDER BY t.ctid",
	}
}

// close ends versions. Those that late events shorten are closed already.
func (scd2) close(r Request) Step {
	var b binder
	h := r.name()
	current := " AND t." + h.IsCurrent
	if r.Load.Late == spec.LateSplice { // in partitions two versions of a key may have the same place
		current = " AND t." + h.ValidFrom + " = c." + r.own("since")
	}
	text := "UPDATE " + r.Target() + " AS t\nSET " + h.ValidTo + " = c." + r.own("at") + ", " + h.IsCurrent + " = false\nFROM " + changesTable + " AS c\nWHERE c." +
		r.own("action") + " <> '" + opens + "' AND " + r.samePlace() + current
	step := Step{
		Name: "close", Why: "versions that are replaced or gone; their end is the start of what follows", Counts: Closed, Boundary: Writes,
		SQL: r.recording(text, "t", &b),
	}
	step.Parameters = b.parameters
	return step
}

// insert opens the new versions. Without event times the version of a key that comes back must not begin before its last one ended; keys that are opened have
// closed versions only.
func (s scd2) insert(r Request) Step {
	var b binder
	h, names := r.name(), columnNames(r.sourced())
	filled, filling := r.filled(b.use)
	columns := append(append(identifiers(names), h.ValidFrom, h.ValidTo, h.IsCurrent, h.RowHash), filled...)
	// A version without an end that is not the current one leaves no time for another: no start, which the table refuses.
	start, end, current, past := "CASE WHEN p.endless THEN NULL ELSE greatest(c."+r.own("at")+", p.last_end) END", "NULL", "true", s.past(r)
	if r.Load.EventTimestampColumn != "" {
		end = "c." + r.own("until")
		start, current, past = "c."+r.own("at"), end+" IS NULL", ""
	}
	values := append(prefixed("c", names), start, end, current, "c."+r.own("hash"))
	step := Step{
		Name: "insert", Why: "the new versions; that of a key that comes back starts no earlier than its last one ended", Counts: Inserted, Boundary: Writes,
		SQL: insertInto(r.Target(), columns) + "\n" + list("SELECT", append(values, filling...)) + "\nFROM " + changesTable + " AS c" + past +
			"\nWHERE c." + r.own("action") + " <> '" + closes + "'",
		Parameters: b.parameters,
	}
	return step
}

// past joins the ends of the last versions of keys that are opened. Few such keys go by the index on the keys, whose first columns they are.
func (scd2) past(r Request) string {
	keys := strings.Join(prefixed("h", r.Load.Keys), ", ")
	opened := r.own("action") + " = '" + opens + "'"
	return "\nLEFT JOIN (\n    SELECT " + keys + ", max(h." + r.name().ValidTo + ") AS last_end, count(*) > count(h." + r.name().ValidTo + ") AS endless\n    FROM " + r.Target() + " AS h\n    JOIN " + changesTable + " AS n ON n." + opened + " AND " +
		r.sameKey("h", "n") + "\n    GROUP BY " + keys + "\n) AS p ON c." + opened + " AND " + r.sameKey("p", "c")
}

// expire closes current versions that are older than the load's ttl, whatever their key. One that lies in the future ends right after its start.
func (scd2) expire(r Request) Step {
	var b binder
	h, at := r.name(), b.use(LoadTime)
	text := "UPDATE " + r.Target() + " AS t\nSET " + h.ValidTo + " = greatest(" + at + ", t." + h.ValidFrom + " + interval '1 microsecond'), " + h.IsCurrent + " = false\nWHERE t." +
		h.IsCurrent + " AND t." + h.ValidFrom + " < " + expiry(r, at)
	step := Step{Name: "expire", Why: "current versions that started longer ago than the ttl", Counts: Closed, Boundary: Writes, SQL: r.recording(text, "t", &b)}
	step.Parameters = b.parameters
	return step
}

// expiry is the time from before which current versions expire.
func expiry(r Request, at string) string {
	return fmt.Sprintf("%s - make_interval(secs => %v)", at, r.Load.TTLSeconds)
}

// recording makes an UPDATE that closes versions also write them down in the table of closures, where the load keeps one.
func (r Request) recording(update, alias string, b *binder) string {
	if !r.Load.Closures {
		return update
	}
	h := r.name()
	returned := append(prefixed(alias, r.Load.Keys), alias+"."+h.ValidFrom, alias+"."+h.ValidTo)
	columns := append(identifiers(r.Load.Keys), h.ValidFrom, h.ValidTo)
	return "WITH closed AS (\n" + update + "\nRETURNING " + strings.Join(returned, ", ") + "\n)\n" +
		insertInto(r.closures(), append(columns, "run_id")) + "\n" + list("SELECT", append(columns, b.use(RunID))) + "\nFROM closed"
}

// closures is the table that records when versions were closed.
func (r Request) closures() string { return ident.Qualified(r.Table.Schema, r.Load.ClosuresTable()) }
