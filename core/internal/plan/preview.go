package plan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ddl"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/strategy"
	"github.com/ematix/ematix-flow/core/internal/types"
)

// Preview is the plan as data, for people: nothing in it depends on a database, a clock or a run.
type Preview struct {
	Table          string      `json:"table"`
	Path           string      `json:"path"`
	Columns        []Column    `json:"columns"`
	Keys           []string    `json:"keys"`
	CompareColumns []string    `json:"compare_columns"`
	Statements     []Statement `json:"statements"`
	Decisions      []Decision  `json:"decisions"`
	Warnings       []string    `json:"warnings"`
}

// Column is a column of the target.
type Column struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Nullable   bool   `json:"nullable"`
	PrimaryKey bool   `json:"primary_key"`
	Automatic  bool   `json:"automatic"` // the load fills it
}

// Statement is one statement of a load. Where a step has several forms each is a statement, and When says when it runs.
type Statement struct {
	Name       string               `json:"name"`
	Why        string               `json:"why"`
	When       string               `json:"when"` // empty: always
	Side       string               `json:"side"` // source or target
	SQL        string               `json:"sql"`
	Parameters []strategy.Parameter `json:"parameters"`
	Locks      []strategy.Lock      `json:"locks"`
}

// Decision is something that the plan settles, with its reason.
type Decision struct {
	About string `json:"about"`
	Text  string `json:"text"`
}

// The sides of a load.
const (
	onSource = "source"
	onTarget = "target"
)

// Preview describes the plan.
func (p *Plan) Preview() *Preview {
	v := &Preview{Table: p.Load.Target.String(), Path: p.Path, Columns: []Column{}, Keys: []string{}, CompareColumns: []string{}, Decisions: p.decisions(), Warnings: p.warnings()}
	for _, c := range p.Table.Columns {
		v.Columns = append(v.Columns, Column{c.Name, c.Type.SQL(), c.Nullable, c.PrimaryKey, p.Load.Fills(c.Name)})
	}
	if p.Load.Compares() {
		v.Keys = append(v.Keys, p.Load.Keys...)
		v.CompareColumns = append(append(v.CompareColumns, p.Load.UpdateColumns...), p.Load.CompareColumns...)
	}
	v.Statements = append(p.preparations(), p.statements()...)
	return v
}

const missing = "only when the table is missing"

// preparations are the statements before the steps that lock or make something. What package run asks the catalogue is left out, and so are settings.
func (p *Plan) preparations() []Statement {
	load, table := p.Load, p.Request.Target()
	var list []Statement
	add := func(name, why, when, sql string, parameters ...strategy.Parameter) {
		list = append(list, p.statement(Statement{Name: name, Why: why, When: when, Side: onTarget, SQL: sql, Parameters: parameters}))
	}
	add("create schema", "by itself before the load, so that first loads of other tables do not wait for this one", "only when the schema is missing", ddl.CreateSchema(p.Table.Schema))
	if load.Mode != spec.Append {
		add("defer constraints", "rows are deleted, updated and inserted one after the other: what is right in the end need not be right in between", "", "SET CONSTRAINTS ALL DEFERRED")
	}
	lock, why := "pg_advisory_xact_lock", "one load at a time: others wait before they read their source; readers never meet this lock"
	if load.OnBusy != spec.BusyWait {
		lock, why = "pg_try_advisory_xact_lock", fmt.Sprintf("one load at a time: on_busy=%q, so that nobody waits; readers never meet this lock", load.OnBusy)
	}
	add("lock load", why, "", "SELECT pg_catalog."+lock+"($1)", KeyOfTarget)
	if load.Compares() {
		add("lock definition", "what is compared with the declaration stays so until the commit", "only when the table is there", "LOCK TABLE "+table+" IN ACCESS SHARE MODE")
	}
	add("create table", "as it is declared, with the columns that the load fills", missing, ddl.CreateTable(p.Table))
	for _, guard := range ddl.Guards(p.Table, load) {
		why, when := guardWhy[guard.Kind], "only when the guard is missing"
		add("guard", why, when, guard.SQL)
	}
	if load.MarksDeleted() != "" {
		add("add mark", "the column of soft deletes; its constant default makes this instant", "only when the table is there and lacks it",
			ddl.AlterTable(p.Table, []string{ddl.AddColumn(*p.Table.Column(load.MarksDeleted()))}))
	}
	if load.Closures {
		closures := load.ClosuresOf(p.Table)
		add("create closures", "records when versions were closed", missing, ddl.CreateTable(closures))
		add("index closures", "by which the closures of a version are found", missing, ddl.ClosuresIndex(closures, load))
	}
	if load.IncrementalColumn != "" {
		add("lock watermark", "one load at a time reads and moves it", "", "SELECT pg_catalog.pg_advisory_xact_lock($1)", KeyOfPipeline)
	}
	return list
}

// The parameters of statements before the steps.
const (
	KeyOfTarget   strategy.Parameter = "key_of_target"
	KeyOfPipeline strategy.Parameter = "key_of_pipeline"
)

var guardWhy = map[ddl.GuardKind]string{
	ddl.CurrentUnique: "one current version for each key, whoever writes; loads find current versions by it",
	ddl.CurrentIndex:  "loads find current versions by it",
	ddl.Validity:      "a version ends after it starts, whoever writes",
	ddl.NoOverlap:     "versions of one key never overlap, whoever writes",
}

// statements are the steps, each with its forms, and what ends the load.
func (p *Plan) statements() []Statement {
	var list []Statement
	for _, step := range p.Steps {
		one := Statement{Name: step.Name, Why: step.Why, Side: onTarget, Parameters: step.Parameters}
		add := func(s Statement, when, sql string) {
			s.When, s.SQL = when, sql
			list = append(list, p.statement(s))
		}
		if step.Quick != "" {
			add(one, "", step.Quick)
			add(one, "only where that gives more than 0", step.SQL)
			continue
		}
		if step.Extract != "" {
			extract := one
			extract.Side = onSource
			add(extract, "", step.Extract)
			one.Why = "at the same time: what the source sends, as it comes"
		}
		switch {
		case step.Few != "":
			add(one, "when few rows are staged", step.Few)
			add(one, "when many rows are staged", step.SQL)
		case step.Many:
			add(one, "when many rows are staged", step.SQL)
		default:
			add(one, "", step.SQL)
		}
	}
	return append(list, p.statement(Statement{Name: "check constraints", Why: "what was deferred is looked at now, where an error can be explained", Side: onTarget, SQL: "SET CONSTRAINTS ALL IMMEDIATE"}))
}

// statement completes one.
func (p *Plan) statement(s Statement) Statement {
	s.Parameters = append([]strategy.Parameter{}, s.Parameters...)
	s.Locks = p.Request.Locks(s.SQL)
	return s
}

// Strongest are the strongest locks of the steps, one for each table of the target's side.
func (p *Plan) Strongest() []strategy.Lock {
	var list []strategy.Lock
	for _, statement := range p.statements() {
		for _, lock := range statement.Locks {
			if lock.Relation == strategy.OfTheQuery {
				continue
			}
			i := slices.IndexFunc(list, func(l strategy.Lock) bool { return l.Relation == lock.Relation })
			switch {
			case i < 0:
				list = append(list, lock)
			case lock.Mode.Strength() > list[i].Mode.Strength():
				list[i] = lock
			}
		}
	}
	return list
}

// Bound is a statement with what is bound to its parameters in a last line.
func (s Statement) Bound() string {
	if len(s.Parameters) == 0 {
		return s.SQL
	}
	bound := make([]string, len(s.Parameters))
	for i, parameter := range s.Parameters {
		bound[i] = fmt.Sprintf("$%d = %s", i+1, parameter)
	}
	return s.SQL + "\n-- " + strings.Join(bound, ", ")
}

// decisions are what the plan settles and a reader would ask about.
func (p *Plan) decisions() []Decision {
	load, list := p.Load, []Decision{}
	add := func(about, format string, args ...any) {
		list = append(list, Decision{about, fmt.Sprintf(format, args...)})
	}
	if load.IncrementalColumn != "" {
		add("watermark", "%s", strings.Join(p.watermark(), "; "))
	}
	switch {
	case load.Mode == spec.Truncate && load.Replace == spec.ReplaceTruncate:
		add("replace", "TRUNCATE: readers wait from there to the commit; replace=\"delete\" and replace=\"diff\" let them go on")
	case load.Mode == spec.Truncate && load.Replace == spec.ReplaceDelete:
		add("replace", "DELETE: every row is written anew, readers go on")
	case load.Mode == spec.Truncate:
		add("replace", "only differences are written, found by the primary key; rows that the source lacks are deleted")
	}
	if load.HandleDeletes != "" {
		add("deletes", "%s", p.deletes())
		add("delete guard", "%s", p.deleteGuard())
	}
	if load.EventTimestampColumn != "" {
		add("event time", "%s", p.eventTime())
	}
	if load.HasTTL {
		add("expiry", "current versions that started more than %s before the load are closed (ttl)", duration(load.TTLSeconds))
	}
	if load.Mode == spec.SCD2 {
		add("guards", "%s", map[string]string{
			spec.GuardsCurrent: "the database itself allows one current version for each key, and no version that ends before it starts",
			spec.GuardsFull:    "the database itself allows one current version for each key, no version that ends before it starts, and no overlap of versions of a key (needs the extension btree_gist)",
			spec.GuardsOff:     "none (guards=\"off\"): only loads keep the history right, and each looks for keys with several current versions",
		}[load.Guards])
	}
	for _, lock := range p.Strongest() {
		if lock.Relation == p.Request.Target() {
			add("strongest lock", "%s, to the commit: %s", lock.Mode, lets[lock.Mode])
		}
	}
	if load.OnDrift != spec.DriftError {
		add("drift", "%s", map[string]string{
			spec.DriftWarn:   "on_drift=\"warn\": a table that differs from its declaration is loaded with a warning",
			spec.DriftEvolve: "on_drift=\"evolve\": new nullable columns are added and types widened by ALTER TABLE, under ACCESS EXCLUSIVE, where no row is written anew",
		}[load.OnDrift])
	}
	return list
}

// lets says who goes on while a lock is held.
var lets = map[strategy.LockMode]string{
	strategy.RowExclusive:      "readers and writers of other rows go on",
	strategy.ShareRowExclusive: "readers go on, other writers wait",
	strategy.AccessExclusive:   "readers and writers wait",
}

// duration is a number of seconds in the largest unit that keeps it whole.
func duration(seconds float64) string {
	for _, unit := range []struct {
		name    string
		seconds float64
	}{{"day", 86_400}, {"hour", 3_600}, {"minute", 60}, {"second", 1}} {
		switch n := seconds / unit.seconds; {
		case n == 1:
			return "1 " + unit.name
		case n > 0 && n == math.Trunc(n), unit.seconds == 1:
			return strconv.FormatFloat(n, 'f', -1, 64) + " " + unit.name + "s"
		}
	}
	return ""
}

func (p *Plan) watermark() []string {
	load, column := p.Load, p.Table.Column(p.Load.IncrementalColumn)
	text := []string{fmt.Sprintf("by %s (%s)", column.Name, column.Type.SQL())}
	if load.Mode == spec.Append {
		text = append(text, "reads what is greater than the stored watermark: nothing is read twice")
	} else {
		text = append(text, "reads what is equal to or greater than the stored watermark: reading a row twice changes nothing")
	}
	switch {
	case load.Lag.Microseconds != 0:
		text = append(text, "lag: reads back by "+duration(float64(load.Lag.Microseconds)/1e6))
	case load.Lag.Number != "":
		text = append(text, "lag: reads back by "+load.Lag.Number)
	}
	switch {
	case p.Request.HoldsBack():
		text = append(text, "cap: rows younger than the source's oldest transaction are left to a later run")
	case p.Request.Capped():
		text = append(text, "cap: it stays one second behind the start of the source's oldest transaction, which may still commit older rows")
	case column.Type.Order == types.ByNumber:
		text = append(text, "no cap: that is for times only")
	case column.Type.Order == types.ByTime:
		text = append(text, "no cap: a row that is committed late with an older time lies below the watermark"+p.remedy())
	}
	return text
}

// warnings are what a reader must see even if he reads nothing else.
func (p *Plan) warnings() []string {
	name := p.Load.IncrementalColumn
	if name == "" || p.Table.Column(name).Type.Order != types.ByNumber || p.Load.Lag.Given() {
		return []string{}
	}
	return []string{fmt.Sprintf("incremental_column=%q is a number: sequence values commit out of order, and one that is committed late lies below the watermark%s.", name, p.remedy())}
}

// remedy is what helps against rows that come late.
func (p *Plan) remedy() string {
	switch {
	case p.Load.Lag.Given():
		return ", unless the lag reaches back to it"
	case p.Load.Mode == spec.Append:
		return " and is never loaded: mode=\"merge\" with lag= reads back over it"
	}
	return " and is never loaded: lag= reads back over it"
}

func (p *Plan) deletes() string {
	switch {
	case p.Load.Mode == spec.SCD2:
		return "soft: the current version of a key that the source lacks is closed"
	case p.Load.HandleDeletes == spec.DeletesSoft:
		return "soft: a row whose key the source lacks gets " + p.Load.MarksDeleted() + " = true; when the key comes back, false"
	}
	return "hard: rows whose key the source lacks are deleted"
}

func (p *Plan) deleteGuard() string {
	if share := p.Load.MaxDeleteFraction; share != nil {
		return fmt.Sprintf("refuses to remove more than a share of %v of the current rows (max_delete_fraction)", *share)
	}
	return fmt.Sprintf("refuses to remove every row, when there are more than %d, because the source is empty (max_delete_fraction=1.0 allows it)", strategy.Guarded)
}

func (p *Plan) eventTime() string {
	load := p.Load
	versions := map[string]string{
		spec.VersionsLatest: "of several rows of a key the latest counts", spec.VersionsAll: "several rows of a key are each a version",
	}[load.Versions]
	late := map[string]string{
		spec.LateError: "a late event is refused", spec.LateSplice: "a late event is put into its place", spec.LateIgnore: "a late event is passed over",
	}[load.Late]
	compared := ""
	if p.Table.Column(load.EventTimestampColumn) != nil && !slices.Contains(load.CompareColumns, load.EventTimestampColumn) {
		compared = "; it is not compared, so that an event of equal values opens no version"
	}
	return fmt.Sprintf("versions start at %s; %s; %s%s", ident.Quote(load.EventTimestampColumn), versions, late, compared)
}
