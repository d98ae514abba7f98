package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Rows that bring the time from which they hold are put on the line of time of their key. Most are later than the current version and follow it; the others, late
// ones and those of keys that have no current version, need the history around them. Four tables, each made from the one before:
//
//	events   the staged rows with the current version of their key
//	places   for those that do not simply follow it: which stored version held at that time, what comes next, when the history of the key ended
//	judged   which rows change something, and how
//	changes  the change set: what to close at what time, what to insert from when until when
const (
	eventsTable = "pg_temp._ematix_events"
	placesTable = "pg_temp._ematix_places"
	judgedTable = "pg_temp._ematix_judged"
)

func (s scd2) timeline(r Request) []Step {
	steps := []Step{s.oneEach(r), r.few(s.events(r)), analyze("events", eventsTable), s.places(r), analyze("places", placesTable), s.judge(r), s.checkEnds(r)}
	if r.Load.Late != spec.LateIgnore {
		steps = append(steps, s.checkOrder(r))
	}
	return append(steps, s.placed(r))
}

func analyze(what, table string) Step {
	return Step{Name: "analyze " + what, Why: "the planner must know how many they are", SQL: "ANALYZE " + table}
}

// oneEach leaves the row with the greatest event time of each key, or one of each time. Rows of one key at one time are equal here (check keys).
func (scd2) oneEach(r Request) Step {
	event := r.own("event_at")
	step := Step{Name: "keep latest", Why: "of several rows of one key the one with the greatest event time counts"}
	apart := slices.Clone(r.Load.Keys)
	if r.Load.Versions == spec.VersionsAll {
		step = Step{Name: "drop repeats", Why: "a row that is there twice counts once"}
		apart = append(apart, event)
	}
	on := r.sameKey("s", "r")
	if len(apart) > len(r.Load.Keys) {
		on += " AND s." + event + " = r." + event
	}
	step.SQL = "DELETE FROM " + StageTable + " AS s\nUSING (\n    SELECT s.ctid AS place, row_number() OVER (PARTITION BY " + strings.Join(prefixed("s", apart), ", ") + " ORDER BY s." + event + " DESC, s.ctid) AS n\n    FROM " +
		StageTable + " AS s\n    JOIN (\n" + r.repeated(apart) + "\n    ) AS r ON " + on + "\n) AS d\nWHERE s.ctid = d.place AND d.n > 1"
	return step
}

// events joins the staged rows with the current versions. Where only the latest row of a key counts, one that equals the current version changes nothing.
func (scd2) events(r Request) Step {
	own, event := r.own, "s."+r.own("event_at")
	differs := "t.ctid IS NULL\n   OR " + r.differs("t", "s", r.Load.CompareColumns)
	last, where := "true", "\nWHERE "+differs
	if r.Load.Late == spec.LateSplice {
		where += "\n   OR " + event + " <= t." + r.name().ValidFrom
	}
	if r.Load.Versions == spec.VersionsAll {
		last, where = event+" = max("+event+") OVER (PARTITION BY "+strings.Join(prefixed("s", r.Load.Keys), ", ")+")", ""
	}
	head := []string{"s.ctid AS " + own("row"), event, "t.ctid AS " + own("ctid"), "t." + r.name().ValidFrom + " AS " + own("since"),
		"(" + differs + ") AS " + own("differs"), last + " AS " + own("last")}
	return Step{
		Name: "find events", Why: "the staged rows with the current versions of their keys",
		SQL: "CREATE TEMPORARY TABLE " + unqualified(eventsTable) + " ON COMMIT DROP AS\n" + list("SELECT", append(head, prefixed("s", r.Load.Keys)...)) +
			"\nFROM " + StageTable + " AS s\nLEFT JOIN " + r.current() + " AS t ON " + r.sameKey("t", "s") + where,
	}
}

// places sorts the stored versions of some keys and the events among them by time: the version before an event is the one that held then, if it had not ended.
func (scd2) places(r Request) Step {
	own, h := r.own, r.name()
	named := func(alias string) string { return strings.Join(r.numbered(alias), ", ") }
	keys := func(alias string) string { return strings.Join(r.numbers(alias), ", ") }
	whole := strings.Join(prefixed("h", r.Load.Keys), ", ")
	apart := "(e." + own("ctid") + " IS NULL OR e." + own("event_at") + " <= e." + own("since") + ")"
	return Step{
		Name: "find places", Why: "what was stored at the time of events that do not simply follow the current version",
		SQL: "CREATE TEMPORARY TABLE " + unqualified(placesTable) + ` ON COMMIT DROP AS
SELECT p.place_of, p.part, p.stored, p.starts, p.ends, p.last_end, p.endless, coalesce(p.next_start, CASE WHEN p.part = 0 THEN p.first_start END) AS next_start
FROM (
    SELECT x.place_of, x.part, x.last_end, x.endless, x.first_start, first_value(x.place) OVER w AS stored, first_value(x.starts) OVER w AS starts,
        first_value(x.ends) OVER w AS ends, first_value(x.next_start) OVER w AS next_start
    FROM (
        SELECT y.*, count(y.place) OVER (PARTITION BY ` + keys("y") + ` ORDER BY y.moment, y.event) AS part,
            max(y.ends) OVER (PARTITION BY ` + keys("y") + `) AS last_end, bool_or(y.place IS NOT NULL AND y.ends IS NULL) OVER (PARTITION BY ` + keys("y") + `) AS endless, min(y.starts) OVER (PARTITION BY ` + keys("y") + `) AS first_start
        FROM (
            SELECT ` + named("h") + `, h.` + h.ValidFrom + ` AS moment, false AS event, h.ctid AS place, h.` + h.ValidFrom + ` AS starts, h.` + h.ValidTo + ` AS ends,
                lead(h.` + h.ValidFrom + `) OVER (PARTITION BY ` + whole + ` ORDER BY h.` + h.ValidFrom + `) AS next_start, NULL::tid AS place_of
            FROM ` + r.Target() + ` AS h
            JOIN (SELECT DISTINCT ` + strings.Join(prefixed("e", r.Load.Keys), ", ") + ` FROM ` + eventsTable + ` AS e WHERE ` + apart + `) AS n ON ` + r.sameKey("h", "n") + `
            UNION ALL
            SELECT ` + named("e") + `, e.` + own("event_at") + `, true, NULL, NULL, NULL, NULL, e.` + own("row") + `
            FROM ` + eventsTable + ` AS e
            WHERE ` + apart + `
        ) AS y
    ) AS x
    WINDOW w AS (PARTITION BY ` + keys("x") + `, x.part ORDER BY x.moment, x.event)
) AS p
WHERE p.place_of IS NOT NULL`,
	}
}

// judge tells what each event does. An event is late when it is not after the start of the current version, or is before the end of a history that has none.
func (s scd2) judge(r Request) Step {
	var b binder
	own, h := r.own, r.name()
	event := "e." + own("event_at")
	stored := "p.stored IS NOT NULL AND (p.ends IS NULL OR " + event + " < p.ends)"
	late := "CASE WHEN e." + own("ctid") + " IS NULL THEN " + event + " < p.last_end IS TRUE ELSE " + event + " <= e." + own("since") + " END"
	inner := list("SELECT", []string{
		"e." + own("row") + " AS row", event + " AS event_at", "e." + own("ctid") + " AS current", "e." + own("since") + " AS since", "e." + own("differs") + " AS differs", "e." + own("last") + " AS last",
		late + " AS late", "p.part", "p.stored", "p.starts", "p.ends", "p.last_end", "p.next_start", "p.endless", "(" + stored + ") AS covered",
		"(h.ctid IS NULL\n   OR " + r.differs("h", "s", r.Load.CompareColumns) + ") AS stored_differs", r.comparedRow("s") + " AS compared",
	})
	inner += ", " + strings.Join(r.numbered("s"), ", ") + "\nFROM " + eventsTable + " AS e\nJOIN " + StageTable + " AS s ON s.ctid = e." + own("row") +
		"\nLEFT JOIN " + placesTable + " AS p ON p.place_of = e." + own("row") +
		"\nLEFT JOIN " + r.Target() + " AS h ON h.ctid = p.stored AND h." + h.ValidFrom + " = p.starts AND (" + stored + ") AND (" + r.sameKey("h", "s") + ") IS TRUE"
	changed := "CASE WHEN j.late THEN j.stored_differs ELSE j.differs END"
	window := ""
	if r.Load.Versions == spec.VersionsAll {
		changed = "CASE WHEN lag(j.row) OVER w IS NULL THEN " + changed + " ELSE j.compared IS DISTINCT FROM lag(j.compared) OVER w END"
		window = "\n    WINDOW w AS (" + s.line(r, "j") + ")"
	}
	columns := []string{"k.row", "k.event_at", "k.current", "k.since", "k.late", "k.part", "k.stored", "k.starts", "k.ends", "k.last_end", "k.next_start", "k.covered"}
	verdicts := []string{s.kept(r) + " AS kept", s.returns(r, &b) + " AS returns", s.refused(r) + " AS refused", "(k.current IS NULL AND k.endless) IS TRUE AS endless"}
	return Step{
		Name: "judge events", Why: "which of them change something, and how", Parameters: b.parameters,
		SQL: "CREATE TEMPORARY TABLE " + unqualified(judgedTable) + " ON COMMIT DROP AS\n" + list("SELECT", append(append(columns, r.numbers("k")...), verdicts...)) +
			"\nFROM (\n    SELECT j.*, " + changed + " AS changed\n    FROM (\n" + inner + "\n    ) AS j" + window + "\n) AS k",
	}
}

// numbered are the keys under names of ours, which no column of the user can have beside them; numbers are these names.
func (r Request) numbered(alias string) []string {
	names := prefixed(alias, r.Load.Keys)
	for i := range names {
		names[i] += fmt.Sprintf(" AS key_%d", i+1)
	}
	return names
}

func (r Request) numbers(alias string) []string {
	names := make([]string, len(r.Load.Keys))
	for i := range names {
		names[i] = fmt.Sprintf("%s.key_%d", alias, i+1)
	}
	return names
}

// line is the window of the events that follow each other: those after the current version, or those in one stored version or gap.
func (scd2) line(r Request, alias string) string {
	keys := strings.Join(r.numbers(alias), ", ")
	return fmt.Sprintf("PARTITION BY %s, %[2]s.late, CASE WHEN %[2]s.late THEN %[2]s.part END, CASE WHEN %[2]s.late THEN %[2]s.covered END ORDER BY %[2]s.event_at", keys, alias)
}

// comparedRow is what is compared as one value. Where only the latest row of a key counts, rows of the source are not compared with each other.
func (r Request) comparedRow(alias string) string {
	if r.Load.Versions != spec.VersionsAll {
		return "NULL::text"
	}
	values := make([]string, len(r.Load.CompareColumns))
	for i, name := range r.Load.CompareColumns {
		values[i] = comparable(alias, r.Table.Column(name))
	}
	return "ROW(" + strings.Join(values, ", ") + ")"
}

func (scd2) kept(r Request) string {
	if r.Load.Late == spec.LateSplice {
		return "k.changed"
	}
	return "(k.changed AND NOT k.late)"
}

// returns is true for the row that brings a key back whose history ended after the row's time. One whose version was stored and has expired stays away.
func (scd2) returns(r Request, b *binder) string {
	text := "k.late AND k.last AND k.current IS NULL"
	if r.Load.HasTTL {
		text += " AND NOT (k.starts < " + expiry(r, b.use(LoadTime)) + " AND NOT k.stored_differs)"
	}
	return "(" + text + ")"
}

// refused is true for what the load must not do: rewrite history, or give a stored version another content.
func (scd2) refused(r Request) string {
	switch r.Load.Late {
	case spec.LateIgnore:
		return "false"
	case spec.LateSplice:
		return "(k.late AND k.changed AND k.covered AND k.starts = k.event_at)"
	}
	return "(k.late AND k.stored_differs AND NOT (k.last AND (k.current IS NULL OR NOT k.differs)))"
}

// checkEnds refuses keys that have a version without an end which is not the current one: there is no time for another.
func (scd2) checkEnds(r Request) Step {
	return Step{
		Name: "check ends", Why: "a version without an end that is not the current one leaves no time for another",
		SQL: "SELECT count(*)\nFROM " + judgedTable + " AS j\nWHERE j.endless\nHAVING count(*) > 0",
		Judge: func(rows [][]string) error {
			if len(rows) == 0 {
				return nil
			}
			return Endless(r.Load)
		},
	}
}

// Endless is the error for a history that has such a version.
func Endless(l *spec.Load) *fault.Error {
	return fault.New(fault.SchemaDrift, "The history in %s is damaged: a key of the source has a version without %s that is not the current one. Nothing was written.", l.Target, l.History.ValidTo).
		WithHint("Give these versions their end: they are those WHERE NOT %s AND %s IS NULL.", ident.Quote(l.History.IsCurrent), ident.Quote(l.History.ValidTo))
}

// checkOrder refuses the load when an event is.
func (scd2) checkOrder(r Request) Step {
	why := "history is not rewritten: a change must be later than the version that it closes"
	if r.Load.Late == spec.LateSplice {
		why = "a stored version keeps its content: a late event must not be of the very time at which one starts"
	}
	return Step{
		Name: "check order", Why: why,
		SQL: "SELECT count(*), min(j.event_at), max(coalesce(j.since, j.last_end))\nFROM " + judgedTable + " AS j\nWHERE j.refused\nHAVING count(*) > 0",
		Judge: func(rows [][]string) error {
			if len(rows) == 0 {
				return nil
			}
			if r.Load.Late == spec.LateSplice {
				return fault.New(fault.OutOfOrder, "out-of-order event_ts: the source of %s has late events (%s of them, the earliest %s, column %q) of the very time at which a stored version with other values starts. "+
					"Nothing was written.", r.Load.Target, rows[0][0], rows[0][1], r.Load.EventTimestampColumn).
					WithHint("A stored version is never replaced: leave these rows out of the query, or give them the time at which they differ.")
			}
			return fault.New(fault.OutOfOrder, "out-of-order event_ts: the source of %s has changes that are not later than the start of the version they would close "+
				"(%s of them, earliest event %s, latest such start %s, column %q). Nothing was written.", r.Load.Target, rows[0][0], rows[0][1], rows[0][2], r.Load.EventTimestampColumn).
				WithHint("Load events in the order of their time, or choose what happens to late ones: SCD2(late=\"splice\") puts them into their place, SCD2(late=\"ignore\") passes over them.")
		},
	}
}

// placed makes the change set. The first of the events that follow each other ends the version that they follow.
func (s scd2) placed(r Request) Step {
	var b binder
	own, names := r.own, columnNames(r.sourced())
	head := func(action, place, since, at, until, hash string) []string {
		return []string{action + " AS " + own("action"), place + " AS " + own("ctid"), since + " AS " + own("since"), at + " AS " + own("at"), until + " AS " + own("until"), hash + " AS " + own("hash")}
	}
	parts := []string{
		list("SELECT", append(head("CASE WHEN k.place IS NULL THEN '"+opens+"' ELSE '"+changes+"' END", "k.place", "k.since", "k.event_at", "k.until", rowHash(r, "s")), prefixed("s", names)...)) +
			"\nFROM (\n    SELECT j.row, j.event_at, CASE WHEN j.late THEN j.starts ELSE j.since END AS since, CASE WHEN lag(j.row) OVER w IS NULL THEN CASE WHEN NOT j.late THEN j.current WHEN j.covered THEN j.stored END END AS place,\n" +
			"        coalesce(lead(j.event_at) OVER w, CASE WHEN j.late THEN CASE WHEN j.covered THEN j.ends ELSE j.next_start END END) AS until\n    FROM " + judgedTable +
			" AS j\n    WHERE j.kept\n    WINDOW w AS (" + s.line(r, "j") + ")\n) AS k\nJOIN " + StageTable + " AS s ON s.ctid = k.row",
		list("SELECT", append(head("'"+opens+"'", "NULL::tid", "NULL::timestamptz", "greatest("+b.use(LoadTime)+", j.last_end)", "NULL::timestamptz", rowHash(r, "s")), prefixed("s", names)...)) +
			"\nFROM " + judgedTable + " AS j\nJOIN " + StageTable + " AS s ON s.ctid = j.row\nWHERE j.returns",
	}
	if r.Load.HandleDeletes == spec.DeletesSoft {
		columns := make([]string, 0, len(names))
		for _, c := range r.sourced() {
			if slices.Contains(r.Load.Keys, c.Name) {
				columns = append(columns, "t."+ident.Quote(c.Name))
			} else {
				columns = append(columns, "NULL::"+c.Type.SQL())
			}
		}
		at := "greatest(" + b.use(LoadTime) + ", t." + r.name().ValidFrom + " + interval '1 microsecond')"
		parts = append(parts, list("SELECT", append(head("'"+closes+"'", "t.ctid", "t."+r.name().ValidFrom, at, "NULL::timestamptz", "NULL::bytea"), columns...))+
			"\nFROM "+r.current()+" AS t\nWHERE NOT EXISTS (SELECT FROM "+StageTable+" AS s WHERE "+r.sameKey("s", "t")+")")
	}
	return Step{
		Name: "find changes", Why: "what ends when, and what holds from when until when", Parameters: b.parameters,
		SQL: "CREATE TEMPORARY TABLE " + unqualified(changesTable) + " ON COMMIT DROP AS\n" + strings.Join(parts, "\nUNION ALL\n") + "\nORDER BY " + own("ctid"),
	}
}

// recordEnds writes down the ends of versions that were inserted already closed.
func (scd2) recordEnds(r Request) Step {
	var b binder
	h := r.name()
	columns := append(identifiers(r.Load.Keys), h.ValidFrom, h.ValidTo, "run_id")
	values := append(prefixed("c", r.Load.Keys), "c."+r.own("at"), "c."+r.own("until"), b.use(RunID))
	return Step{
		Name: "record ends", Why: "versions that were over when they became known", Boundary: Writes, Parameters: b.parameters,
		SQL: insertInto(r.closures(), columns) + "\n" + list("SELECT", values) + "\nFROM " + changesTable + " AS c\nWHERE c." + r.own("until") + " IS NOT NULL",
	}
}
