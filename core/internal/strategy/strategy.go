// Package strategy writes the statements of a load: what is done with the source rows, in which order, and why. It is text and decisions only; package
// run executes it. Each mode has a file that registers its strategy.
package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Parameter is a value that only the run knows, bound as $1, $2, ... of a step.
type Parameter string

// The parameters of steps.
const (
	LoadTime  Parameter = "load_time" // timestamptz, one for the whole run
	RunID     Parameter = "run_id"    // uuid
	Since     Parameter = "since"     // where the load reads from: the stored watermark less the lag; NULL at the first run
	Watermark Parameter = "watermark" // the stored watermark, NULL at the first run
	Cap       Parameter = "cap"       // what is younger may still be joined by rows that are older; NULL for no cap
	Age       Parameter = "age"       // of the oldest transaction of the source, in microseconds; NULL for no cap
)

// Step is one statement of a load.
type Step struct {
	Name       string // what it does, in one word or two: stage, check keys, update
	SQL        string
	Why        string // for the reader of a plan
	Parameters []Parameter
	Few        string // the statement when few rows are staged, where another one is better then
	Many       bool   // only when many rows are staged
	Counts     Count  // what the number of rows that it changed means

	// Judge looks at the rows of a query, as texts, and refuses the load if they show what must not be. Only checks have it.
	// Quick is a cheaper query for the same: where its one value is 0, SQL need not be run.
	Quick string
	Judge func(rows [][]string) error
	// Expects are the counts that the one row of a query announces; a later step that changes another number of rows rolls the load back.
	Expects []Count
	// As is a count that the number of changed rows must equal.
	As Count
	// Extract is what the source runs when the rows come from another server: its output is the input of SQL.
	Extract string
	// Marks: the one value of the query is the text of the watermark after this load, or NULL to leave it.
	Marks bool
	// Boundary tells the run what to do before the step.
	Boundary Boundary
}

// Count says what the rows that a statement changed are.
type Count string

// What is counted.
const (
	Staged   Count = "staged"
	Inserted Count = "inserted"
	Updated  Count = "updated"
	Closed   Count = "closed"
	Deleted  Count = "deleted"
)

// Boundary is a point between steps that the run must know.
type Boundary int

const (
	// Plain is no boundary.
	Plain Boundary = iota
	// Source: the step evaluates the user's query, under the connection's own settings.
	Source
	// Ours: from here on only statements of ours run, under pinned settings, so that they mean the same in every session.
	Ours
	// Writes: the step writes to the target, whose triggers, checks and defaults are the user's: under the connection's own settings again.
	Writes
)

// Request is what a strategy plans for.
type Request struct {
	Load *spec.Load
	// Table is the target as it is in the database: Load.Target with the metadata columns.
	Table *spec.Table
}

// Strategy plans the loads of a mode.
type Strategy interface {
	Steps(Request) []Step
}

var registry = map[spec.Mode]Strategy{}

func register(s Strategy, modes ...spec.Mode) {
	for _, mode := range modes {
		registry[mode] = s
	}
}

// For is the strategy of a mode that has been checked.
func For(mode spec.Mode) Strategy { return registry[mode] }

// Target is the name of the table, quoted where needed.
func (r Request) Target() string { return ident.Qualified(r.Table.Schema, r.Table.Name) }

// sourced are the columns that come from the source: all but those that the load fills.
func (r Request) sourced() []spec.Column {
	return slices.DeleteFunc(slices.Clone(r.Table.Columns), func(c spec.Column) bool { return r.Load.Fills(c.Name) })
}

// Needs are the columns that the user's query must deliver.
func (r Request) Needs() []string {
	names := columnNames(r.sourced())
	if event := r.Load.EventTimestampColumn; event != "" && !slices.Contains(names, event) {
		names = append(names, event)
	}
	return names
}

// filled are the metadata columns among the table's, with the expression that fills each; use numbers the parameters.
func (r Request) filled(use func(Parameter) string) (columns, values []string) {
	for _, c := range []struct {
		name  string
		value Parameter
	}{{spec.LoadedAt, LoadTime}, {spec.BatchID, RunID}} {
		if r.Table.Column(c.name) != nil {
			columns, values = append(columns, c.name), append(values, use(c.value))
		}
	}
	return columns, values
}

// query is the user's SELECT as a source of rows. A comment at its end must not swallow the bracket.
func (r Request) query() string { return "(\n" + r.Load.Query + "\n) AS q" }

// Fresh is the condition on the rows of q that a load by watermark reads, or "". Append takes what is greater than the watermark, and leaves out what would be
// read again and again because nothing is greater than it (infinity, NaN); the others take equal values too, since reading a row twice does no harm. bound gives
// the value of a parameter: NULL where there is none.
func (r Request) Fresh(bound func(Parameter) string) string {
	name := r.Load.IncrementalColumn
	if name == "" {
		return ""
	}
	column, order := "q."+ident.Quote(name), r.collated()
	since := bound(Since)
	if r.Load.Mode != spec.Append {
		return "(" + since + " IS NULL OR " + column + order + " >= " + since + ")"
	}
	text := column + order + " > " + since
	if finite := r.Table.Column(name).Type.Finite; finite != "" {
		text += " AND " + fmt.Sprintf(finite, column+"::"+r.Table.Column(name).Type.Base()) // the source's type may know no such value
	}
	text = "(" + since + " IS NULL OR " + text + ")"
	if r.HoldsBack() {
		held := bound(Cap)
		text += "\n    AND (" + held + " IS NULL OR " + column + " < " + held + ")"
	}
	return text
}

// HoldsBack reports whether rows beyond the cap are left for a later run: an append that loaded them would have to load them twice.
func (r Request) HoldsBack() bool {
	return r.Load.Mode == spec.Append && r.Load.WatermarkCap != nil && *r.Load.WatermarkCap
}

// Capped reports whether the watermark stays behind the oldest transaction of the source.
func (r Request) Capped() bool {
	if r.Load.IncrementalColumn == "" || r.Table.Column(r.Load.IncrementalColumn).Type.Order != types.ByTime {
		return false
	}
	if r.Load.WatermarkCap != nil {
		return *r.Load.WatermarkCap
	}
	return r.Load.Mode != spec.Append
}

// collated makes both ends of a load agree on the order of texts: the default order of the one database, or that of their bytes in two.
func (r Request) collated() string {
	if r.Table.Column(r.Load.IncrementalColumn).Type.Order != types.ByText {
		return ""
	}
	if r.Load.Path() == spec.CrossDB {
		return ` COLLATE "C"`
	}
	return ` COLLATE "default"`
}

// binder numbers the parameters of one statement.
type binder struct{ parameters []Parameter }

var casts = map[Parameter]string{LoadTime: "::timestamptz", RunID: "::uuid"}

// bound is use for the parameters whose type is that of the incremental column.
func (r Request) bound(b *binder) func(Parameter) string {
	cast := "::" + r.Table.Column(r.Load.IncrementalColumn).Type.Base()
	return func(p Parameter) string { return b.use(p) + cast }
}

func (b *binder) use(p Parameter) string {
	i := slices.Index(b.parameters, p)
	if i < 0 {
		b.parameters = append(b.parameters, p)
		i = len(b.parameters) - 1
	}
	return fmt.Sprintf("$%d%s", i+1, casts[p])
}

// own is a name for a column of ours in a temporary table, beside the user's columns.
func (r Request) own(name string) string {
	name = "_ematix_" + name
	for r.Table.Column(name) != nil || r.Load.EventTimestampColumn == name {
		name += "_"
	}
	return name
}

func columnNames(columns []spec.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// prefixed is alias.column for each name.
func prefixed(alias string, names []string) []string {
	list := make([]string, len(names))
	for i, name := range names {
		list[i] = alias + "." + ident.Quote(name)
	}
	return list
}

// lineWidth is up to where a list stays on one line.
const lineWidth = 100

// list puts the items after a keyword: on its line where they fit, else several lines of them, indented.
func list(keyword string, items []string) string {
	if line := keyword + " " + strings.Join(items, ", "); len(line) <= lineWidth {
		return line
	}
	text, line := keyword, ""
	for i, item := range items {
		if i < len(items)-1 {
			item += ","
		}
		if line != "" && len(line)+1+len(item) > lineWidth {
			text, line = text+"\n"+line, ""
		}
		if line == "" {
			line = "    " + item
		} else {
			line += " " + item
		}
	}
	return text + "\n" + line
}

// insertInto is the head of an INSERT.
func insertInto(table string, columns []string) string {
	if line := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ")"; len(line) <= lineWidth {
		return line
	}
	return list("INSERT INTO "+table+" (", columns) + "\n)"
}

// sameKey joins two sides by the keys, NULL-safe. IS NOT DISTINCT FROM could neither be hashed nor merged: a key that cannot be NULL is compared with =, others
// as arrays of one, whose = takes two NULLs as equal.
func (r Request) sameKey(a, b string) string {
	conditions := make([]string, len(r.Load.Keys))
	for i, key := range r.Load.Keys {
		form := "%s.%s = %s.%s"
		if r.Table.Column(key).Nullable {
			form = "ARRAY[%s.%s] = ARRAY[%s.%s]"
		}
		conditions[i] = fmt.Sprintf(form, a, ident.Quote(key), b, ident.Quote(key))
	}
	return strings.Join(conditions, " AND ")
}

// samePlace joins the target with the change set by ctid, and by the keys for safety. The keys are compared in a form that no index can answer, so that the
// planner goes to the places and not through the primary key (1 page a row instead of 4).
func (r Request) samePlace() string {
	return "t.ctid = c." + r.own("ctid") + " AND (" + r.sameKey("t", "c") + ") IS TRUE"
}

// comparable is the value of a column as it is compared: json, which has no equality, by its text.
func comparable(alias string, c *spec.Column) string {
	value := alias + "." + ident.Quote(c.Name)
	if c.Type.NoEquality {
		return value + "::text"
	}
	return value
}

// differs is true when one of the columns is distinct on the two sides.
func (r Request) differs(a, b string, columns []string) string {
	conditions := make([]string, len(columns))
	for i, name := range columns {
		c := r.Table.Column(name)
		conditions[i] = comparable(a, c) + " IS DISTINCT FROM " + comparable(b, c)
	}
	return strings.Join(conditions, "\n   OR ")
}
