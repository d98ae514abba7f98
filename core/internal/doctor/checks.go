package doctor

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
)

// versionChecks are what is looked for in a table of versions. Gaps are no fault: whatever made the table, a key may have been gone for a while.
func (e *examination) versionChecks() []check {
	from, to := "l."+ident.Quote(e.Validity.ValidFrom), "l."+ident.Quote(e.Validity.ValidTo)
	current, empty, next, later := "l."+e.own("current"), "l."+e.own("empty"), "l."+e.own("next_start"), "l."+e.own("later_currents")
	atOnce := next + " = " + from
	ended := e.ends("l." + e.own("next_start"))

	var checks []check
	if nulls := e.nullKeys(); nulls != "" {
		checks = append(checks, e.nullKeyCheck(nulls))
	}
	if !e.Column(e.Validity.ValidFrom).NotNull {
		when := from + " IS NULL"
		checks = append(checks, check{When: when, Aside: when, Finding: Finding{Name: "no_start", Level: Fault, Says: "versions without a start",
			Remedy: "moves them to " + e.aside() + ": nobody can say when they held"}})
	}
	checks = append(checks, check{When: empty, Aside: empty, Finding: Finding{Name: "ends_before_start", Level: Fault, Says: "versions that end before or when they start",
		Remedy: "moves them to " + e.aside() + ": at no time did they hold"}})

	duplicate := current + " AND " + later + " > 0"
	checks = append(checks, check{When: current + " AND " + later + " = 1", Aside: duplicate + " AND " + atOnce, Repair: []string{e.update(ended, duplicate+" AND "+next+" > "+from)},
		Finding: Finding{Name: "duplicate_current", Level: Fault, Says: "keys with more than one current version",
			Remedy: "ends all but the one that starts last, where the next version of the key starts; of those that start at once all but one go to " + e.aside()}})

	overlap := "NOT " + empty + " AND " + next + " IS NOT NULL AND (" + to + " > " + next + " OR " + to + " IS NULL AND " + current + " AND " + later + " = 0)"
	checks = append(checks, check{When: overlap, Aside: overlap + " AND " + atOnce, Repair: []string{e.update(ended, overlap+" AND "+next+" > "+from)},
		Finding: Finding{Name: "overlap", Level: Fault, Says: "versions that still hold when the next one of their key starts",
			Remedy: "ends them where the next version starts, also a current one: look at the keys first; of those that start at once all but one go to " + e.aside()}})

	if flag := e.Validity.IsCurrent; flag != "" {
		open := current + " IS NOT TRUE AND " + to + " IS NULL"
		ends := " AND (" + current + " AND " + to + " >= DATE '9999-01-01') IS NOT TRUE" // where no end is written as one that never comes
		checks = append(checks, check{When: current + " IS DISTINCT FROM (" + to + " IS NULL)" + ends, Aside: open + " AND " + atOnce,
			Repair: []string{
				e.update(ident.Quote(flag)+" = false", current+" IS DISTINCT FROM false AND "+to+" IS NOT NULL"+ends),
				e.update(ended, open+" AND "+next+" > "+from),
				e.update(ident.Quote(flag)+" = true", open+" AND "+next+" IS NULL AND NOT EXISTS (\n    SELECT FROM "+e.SQL()+" AS o WHERE "+e.sameKey("o", "l")+" AND o."+ident.Quote(flag)+"\n)"),
			},
			Finding: Finding{Name: "flag_mismatch", Level: Fault, Says: "versions that are current and have an end, or are neither",
				Remedy: "takes the flag from those that have an end; ends the others where the next version of the key starts, and makes current the last one of a key that has no current version"}})
	}
	checks = append(checks, check{When: "NOT " + empty + " AND " + to + " < " + next, Finding: Finding{Name: "gap", Level: Note,
		Says: "versions that end before the next one of their key starts, as after a delete"}})
	return checks
}

// rowChecks are what is looked for in a table without versions.
func (e *examination) rowChecks() []check {
	var checks []check
	if nulls := e.nullKeys(); nulls != "" {
		checks = append(checks, check{When: nulls, Finding: Finding{Name: "null_key", Level: Note, Says: "rows with NULL in the key"}})
	}
	repeated := "l." + e.own("repeated")
	order := "the one that was loaded last"
	if !strings.Contains(e.order(), "_loaded_at") {
		order = "one (nothing tells which is the latest)"
	}
	return append(checks, check{When: repeated + " AND l." + e.own("number") + " = 1", Aside: repeated, Finding: Finding{Name: "duplicate_key", Level: Fault, Says: "keys with more than one row",
		Remedy: "moves all rows of such a key but " + order + " to " + e.aside()}})
}

// nullKeys is true for rows with NULL in the key, empty where no column may be NULL.
func (e *examination) nullKeys() string {
	var nulls []string
	for _, name := range e.keys {
		if !e.Column(name).NotNull {
			nulls = append(nulls, "l."+ident.Quote(name)+" IS NULL")
		}
	}
	return strings.Join(nulls, " OR ")
}

// nullKeyCheck takes NULL as a key like others in tables of ours, whose index counts it as one; other tools compare with =, and open a version at each run.
func (e *examination) nullKeyCheck(nulls string) check {
	c := check{When: "(" + nulls + ")", Finding: Finding{Name: "null_key", Level: Note, Says: "versions with NULL in the key"}}
	if e.foreign {
		c.Level, c.Aside, c.Remedy = Fault, c.When, "moves them to "+e.aside()+": no load ever finds them again"
	}
	return c
}
