package doctor

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/ident"
)

// checkGuards looks for what keeps a table right, or finds its current versions. What another tool made has no guards to miss.
func (e *examination) checkGuards() {
	keys, name := ident.List(e.keys), ident.Quote(ident.Derived(e.Name, "__current"))
	unique := "BEGIN;\nCREATE UNIQUE INDEX IF NOT EXISTS " + name + "\n    ON " + e.SQL() + " (" + keys + ")"
	v := e.Validity
	switch {
	case v.ValidFrom == "":
		if !e.indexed("", true) && e.guardable() {
			e.found(Note, "no_unique_key", "no unique index on the key", "keeps the key unique, once it is", unique+";\nCOMMIT;\n")
		}
		return
	case v.IsCurrent == "":
		condition := ident.Quote(v.ValidTo) + " IS NULL"
		if !e.indexed("("+condition+")", false) {
			e.found(Note, "no_index", "no index on the current versions", "makes one, by which loads and readers find them",
				"BEGIN;\nCREATE INDEX IF NOT EXISTS "+name+"\n    ON "+e.SQL()+" ("+keys+") WHERE "+condition+";\nCOMMIT;\n")
		}
		return
	}
	flag := ident.Quote(v.IsCurrent)
	level := Fault
	if e.indexed(flag, false) && !e.indexed(flag, true) { // as a load with guards="off" leaves it
		level = Note
	}
	switch {
	case e.indexed(flag, true):
	case !e.guardable():
		e.found(Note, "no_guard", "no unique index allows one current version for each key, nor can one on a table partitioned by other columns", "", "")
	default:
		e.found(level, "no_guard", "no unique index allows one current version for each key", "makes it, once the other faults are mended",
			unique+" NULLS NOT DISTINCT WHERE "+flag+";\nCOMMIT;\n")
	}
	from, to := ident.Quote(v.ValidFrom), ident.Quote(v.ValidTo)
	if !slices.Contains(e.Checks, "CHECK (("+from+" < "+to+"))") {
		check := ident.Quote(ident.Derived(e.Name, "__validity"))
		e.found(level, "no_check", "no check that a version ends after it starts", "adds it, once the other faults are mended",
			"BEGIN;\nALTER TABLE "+e.SQL()+"\n    DROP CONSTRAINT IF EXISTS "+check+",\n    ADD CONSTRAINT "+check+" CHECK ("+from+" < "+to+");\nCOMMIT;\n")
	}
}

// guardable reports whether an index on the key can be unique: it has to hold the columns by which the table is partitioned.
func (e *examination) guardable() bool {
	return !e.Partitioned || len(e.PartitionKey) > 0 && !slices.ContainsFunc(e.PartitionKey, func(name string) bool { return !slices.Contains(e.keys, name) })
}

func (e *examination) indexed(condition string, unique bool) bool {
	for _, i := range e.Indexes {
		same := len(i.Columns) == len(e.keys)
		for _, key := range e.keys {
			same = same && slices.Contains(i.Columns, key)
		}
		if same && i.Condition == condition && (!unique || i.Unique && (i.NullsSame || condition == "")) {
			return true
		}
	}
	return false
}

func (e *examination) found(level, name, says, remedy, repair string) {
	e.report.Findings = append(e.report.Findings, Finding{Name: name, Level: level, Says: says, Count: 1, Keys: []map[string]*string{}, Remedy: remedy, Repair: repair})
}

// checkClosures holds the table of closures, where there is one, against the versions.
func (e *examination) checkClosures(ctx context.Context) error {
	closures, err := e.Closures(ctx, e.tx)
	if err != nil || closures == nil || !has(closures.Column, e.keys) {
		return err
	}
	from, to := ident.Quote(e.Validity.ValidFrom), ident.Quote(e.Validity.ValidTo)
	keys := ident.List(e.keys)
	c := &examination{Relation: closures, keys: e.keys}
	lonely := "NOT EXISTS (\n    SELECT FROM " + e.SQL() + " AS t WHERE " + e.sameKey("t", "l") + " AND t." + from + " = l." + from + "\n)"
	ends := "(\n    SELECT " + keys + ", " + from + ", min(" + to + ") AS " + e.own("ended") + "\n    FROM " + closures.SQL() + "\n    GROUP BY " + keys + ", " + from + "\n)"
	joined := e.sameKey("l", "c") + " AND l." + from + " = c." + from
	later := "(l." + to + " IS NULL OR l." + to + " > c." + e.own("ended") + ")"
	if err := e.count(ctx, "FROM "+closures.SQL()+" AS l WHERE "+lonely, Finding{Name: "closure_without_version", Level: Fault,
		Says: "closures of versions that are not in the table", Remedy: "moves them to " + c.aside(),
		Repair: "BEGIN;\nLOCK TABLE " + e.SQL() + ", " + closures.SQL() + " IN SHARE ROW EXCLUSIVE MODE;\nCREATE TABLE IF NOT EXISTS " + c.aside() + " (LIKE " + closures.SQL() +
			");\nWITH gone AS (\nDELETE FROM " + closures.SQL() + " AS l\nWHERE " + lonely + "\nRETURNING l.*\n)\nINSERT INTO " + c.aside() + "\nSELECT * FROM gone;\nCOMMIT;\n",
	}); err != nil {
		return err
	}
	if err := e.count(ctx, "FROM "+e.SQL()+" AS l JOIN "+ends+" AS c ON "+joined+" WHERE "+later, Finding{Name: "ends_after_closure", Level: Fault,
		Says: "versions that were closed, and hold longer than that", Remedy: "ends them when their closure says",
		Repair: "BEGIN;\nLOCK TABLE " + e.SQL() + ", " + closures.SQL() + " IN SHARE ROW EXCLUSIVE MODE;\nUPDATE " + e.SQL() + " AS l\nSET " + e.ends("c."+e.own("ended")) +
			"\nFROM " + ends + " AS c\nWHERE " + joined + " AND " + later + ";\nCOMMIT;\n",
	}); err != nil {
		return err
	}
	return e.count(ctx, "FROM "+e.SQL()+" AS l LEFT JOIN "+ends+" AS c ON "+joined+" WHERE l."+to+" IS NOT NULL AND (c."+e.own("ended")+" IS NULL OR l."+to+" < c."+e.own("ended")+")",
		Finding{Name: "closure_missing", Level: Note, Says: "versions whose end no closure records, as from before the table had closures"})
}

func has[T any](column func(string) *T, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return column(name) == nil })
}

// count adds the finding where there are rows of l.
func (e *examination) count(ctx context.Context, from string, f Finding) error {
	rows, err := e.tx.Query(ctx, "SELECT count(*) "+from)
	if err != nil {
		return e.fault(err)
	}
	if f.Count, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int64]); err != nil || f.Count == 0 {
		return err
	}
	if f.Keys, err = e.sample(ctx, from); err != nil {
		return err
	}
	e.report.Findings = append(e.report.Findings, f)
	return nil
}
