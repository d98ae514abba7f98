// Package doctor looks for what is wrong with a table of versions, made by whatever tool, and writes the SQL that mends it. It only reads.
package doctor

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/history"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Request names a table, and what the catalogue may not tell about it.
type Request struct {
	Table string
	Keys  []string // nil: those of its indexes
	Tool  string   // that made it, for the names of its columns; empty: those of its guards

	Columns map[string]string // the names of valid_from, valid_to and is_current, where neither tells them
}

// tools are the names of the validity columns of other tools. None of them has a flag: a version is current while it has no end.
var tools = map[string]map[string]string{
	"ematix":  nil,
	"dbt":     {"valid_from": "dbt_valid_from", "valid_to": "dbt_valid_to", "is_current": "", "row_hash": ""},
	"dlt":     {"valid_from": "_dlt_valid_from", "valid_to": "_dlt_valid_to", "is_current": "", "row_hash": ""},
	"sqlmesh": {"valid_from": "valid_from", "valid_to": "valid_to", "is_current": "", "row_hash": ""},
}

// Levels of a finding.
const (
	Fault = "fault"
	Note  = "note" // may well be meant
)

// Finding is one thing that was found.
type Finding struct {
	Name   string               `json:"name"`
	Level  string               `json:"level"`
	Says   string               `json:"says"`
	Count  int64                `json:"count"`
	Keys   []map[string]*string `json:"keys"`   // up to five
	Remedy string               `json:"remedy"` // what the repair does
	Repair string               `json:"repair"` // SQL; empty for what needs none
}

// Report is what an examination found, in the order in which the repairs are to be run.
type Report struct {
	Schema   string           `json:"schema"`
	Table    string           `json:"table"`
	Keys     []string         `json:"keys"`
	Validity history.Validity `json:"validity"`
	Rows     int64            `json:"rows"`
	Findings []Finding        `json:"findings"`
}

// examination is one table under examination.
type examination struct {
	*history.Relation
	tx      pgx.Tx
	keys    []string
	foreign bool // made by another tool
	report  *Report
}

// Examine looks at a table in one read-only snapshot.
func Examine(ctx context.Context, session *pg.Session, request Request) (report *Report, err error) {
	names, known := tools[request.Tool]
	if !known && request.Tool != "" {
		return nil, invalid("%q is none of the tools whose columns are known: ematix, dbt, dlt, sqlmesh.", request.Tool)
	}
	foreign := names != nil
	if len(request.Columns) > 0 {
		if foreign {
			return nil, invalid("The names of the validity columns are given both as those of %s and one by one.", request.Tool).WithHint("Leave one of them out.")
		}
		names = request.Columns
	}
	err = history.Snapshot(ctx, session, func(tx pgx.Tx) error {
		r, err := history.Find(ctx, tx, request.Table)
		if err != nil {
			return err
		}
		if err := r.Settle(names); err != nil {
			return err
		}
		e := &examination{Relation: r, tx: tx, keys: request.Keys, foreign: foreign}
		if err := e.settle(request); err != nil {
			return err
		}
		e.report = &Report{Schema: r.Schema, Table: r.Name, Keys: e.keys, Validity: r.Validity, Findings: []Finding{}}
		report = e.report
		return e.examine(ctx)
	})
	return report, err
}

func (e *examination) settle(request Request) error {
	if e.Inherited { // they may have columns that the table for rows without a place lacks
		return invalid("The table %s cannot be examined: other tables inherit from it.", e).WithHint("Examine those that hold the rows, each by itself.")
	}
	if e.Validity.ValidFrom == "" {
		if request.Tool == "ematix" {
			return invalid("The table %s keeps no versions: it lacks the columns valid_from, valid_to and is_current.", e).WithHint("Leave --from out to look for duplicates of its key only.")
		}
		for _, tool := range []string{"dbt", "dlt", "sqlmesh"} {
			if e.Column(tools[tool]["valid_from"]) != nil && e.Column(tools[tool]["valid_to"]) != nil {
				return invalid("The table %s has the columns of a history made by %s.", e, tool).WithHint("Say so: --from %s, or made_by=\"%s\".", tool, tool)
			}
		}
	}
	if len(e.keys) == 0 {
		e.keys = e.Keys
	}
	if len(e.keys) == 0 {
		return invalid("The key of %s cannot be told from its indexes.", e).WithHint("Name its columns: --keys a,b, or keys=[\"a\", \"b\"].")
	}
	for i, name := range e.keys {
		if e.Column(name) == nil {
			return invalid("The table %s has no column %q.", e, name).WithHint("--keys names columns of the table, with commas between them.")
		}
		if slices.Contains(e.keys[:i], name) || name == e.Validity.ValidFrom || name == e.Validity.ValidTo || name == e.Validity.IsCurrent {
			return invalid("The column %q cannot stand in the key of %s: it stands there twice, or says when a version holds.", name, e)
		}
	}
	return nil
}

func (e *examination) examine(ctx context.Context) error {
	checks := e.rowChecks()
	if e.Validity.ValidFrom != "" {
		checks = e.versionChecks()
	}
	if err := e.run(ctx, checks); err != nil {
		return err
	}
	if err := e.checkClosures(ctx); err != nil {
		return err
	}
	e.checkGuards()
	return nil
}

// check is one thing to look for: rows of the line for which When holds. Where there are rows for which Aside holds, the repair begins by moving them aside.
type check struct {
	Finding
	When   string
	Aside  string
	Repair []string
}

// run counts all of them in one pass, and looks for keys of those that were found.
func (e *examination) run(ctx context.Context, checks []check) error {
	counts := []string{"count(*)"}
	for _, c := range checks {
		aside := "0"
		if c.Aside != "" {
			aside = "count(*) FILTER (WHERE " + c.Aside + ")"
		}
		counts = append(counts, "count(*) FILTER (WHERE "+c.When+")", aside)
	}
	counted := strings.Join(counts, ", ")
	rows, err := e.tx.Query(ctx, "SELECT ARRAY["+counted+"]::bigint[]\nFROM "+e.line(counted)+" AS l")
	if err != nil {
		return e.fault(err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]int64])
	if err != nil {
		return e.fault(err)
	}
	e.report.Rows = found[0]
	for i, c := range checks {
		if c.Count = found[2*i+1]; c.Count == 0 {
			continue
		}
		if c.Keys, err = e.sample(ctx, "FROM "+e.line(c.When)+" AS l WHERE "+c.When); err != nil {
			return err
		}
		switch {
		case found[2*i+2] > 0 && e.Followed != "":
			c.Repair, c.Remedy = nil, ""
			c.Says += "; no repair is written, since the foreign key " + e.Followed + " would delete or change rows there"
		case found[2*i+2] > 0:
			c.Repair = append([]string{e.moveAside(c.Aside)}, c.Repair...)
		}
		if c.Repair != nil {
			c.Finding.Repair = e.script(c.Repair...)
		}
		e.report.Findings = append(e.report.Findings, c.Finding)
	}
	return nil
}

// sample are up to five keys of the rows of l.
func (e *examination) sample(ctx context.Context, from string) ([]map[string]*string, error) {
	keys := prefixed("l", e.keys)
	texts := make([]string, len(keys))
	for i, key := range keys {
		texts[i] = key + "::text"
	}
	rows, err := e.tx.Query(ctx, "SELECT ARRAY["+strings.Join(texts, ", ")+"]::text[] "+from+" GROUP BY "+strings.Join(keys, ", ")+" ORDER BY "+strings.Join(keys, ", ")+" LIMIT 5")
	if err != nil {
		return nil, e.fault(err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (map[string]*string, error) {
		var values []*string
		err := row.Scan(&values)
		key := map[string]*string{}
		for i, value := range values {
			key[e.keys[i]] = value
		}
		return key, err
	})
}

func (e *examination) fault(err error) error {
	f := pg.Fault(err, "doctor")
	if f.Kind == fault.PermissionDenied {
		return f.WithHint("Let the owner run: GRANT SELECT ON %s TO the user of this connection.", e)
	}
	return f
}

// own is a name for a column of the line that no key has.
func (e *examination) own(name string) string {
	for slices.Contains(e.keys, name) || e.Validity.ValidFrom == name || e.Validity.ValidTo == name {
		name += "_"
	}
	return name
}

// flag is true for current versions.
func (e *examination) flag() string {
	if e.Validity.IsCurrent != "" {
		return ident.Quote(e.Validity.IsCurrent)
	}
	return ident.Quote(e.Validity.ValidTo) + " IS NULL"
}

// order is that of the versions of a key. Of two that start at once the one that was loaded later is the later one.
func (e *examination) order() string {
	var by []string
	if e.Validity.ValidFrom != "" {
		by = append(by, ident.Quote(e.Validity.ValidFrom))
	}
	if e.Column(spec.LoadedAt) != nil {
		by = append(by, spec.LoadedAt)
	}
	if e.Partitioned {
		by = append(by, "tableoid")
	}
	return strings.Join(append(by, "ctid"), ", ")
}

// line are the rows in the order of their keys and times, each with what follows it: one sort answers all of it. A version that never held stands apart. Of its columns
// there are those that the text uses.
func (e *examination) line(text string) string {
	window := "PARTITION BY " + ident.List(e.keys)
	columns := quoted(e.keys)
	add := func(name, expression string) {
		if strings.Contains(text, "l."+e.own(name)) {
			columns = append(columns, expression+" AS "+e.own(name))
		}
	}
	if e.Partitioned {
		add("part", "tableoid")
	}
	add("place", "ctid")
	if e.Validity.ValidFrom == "" {
		add("repeated", "lead(true) OVER line")
		add("number", "row_number() OVER line")
	} else {
		from, to := ident.Quote(e.Validity.ValidFrom), ident.Quote(e.Validity.ValidTo)
		empty := "(" + to + " <= " + from + ") IS TRUE"
		window += ", " + empty
		columns = append(columns, from, to)
		add("current", e.flag())
		add("empty", empty)
		add("next_start", "lead("+from+") OVER line")
		add("later_currents", "count(*) FILTER (WHERE "+e.flag()+") OVER (\n            line ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING\n        )")
	}
	list := "    SELECT " + strings.Join(columns, ", ")
	if len(list) > lineWidth {
		list = "    SELECT\n        " + strings.Join(columns, ",\n        ")
	}
	sql := "(\n" + list + "\n    FROM " + e.SQL()
	if strings.Contains(list, " OVER ") {
		sql += "\n    WINDOW line AS (\n        " + window + "\n        ORDER BY " + e.order() + "\n    )"
	}
	return sql + "\n)"
}

// lineWidth is up to where a list stays on one line.
const lineWidth = 76

func quoted(names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = ident.Quote(name)
	}
	return list
}

func prefixed(alias string, names []string) []string {
	list := quoted(names)
	for i := range list {
		list[i] = alias + "." + list[i]
	}
	return list
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidSpec, format, args...)
}
