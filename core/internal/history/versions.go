package history

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Request asks for the versions of one key of a table.
type Request struct {
	Table  string
	Values []*string          // in the order of the table's key; nil is NULL
	Named  map[string]*string // or by name
	Names  map[string]string  // of the validity columns, where the caller says them
	Limit  int                // of the newest; 0 is no limit
}

// Kinds of an answer.
const (
	OfVersions = "versions"
	OfRows     = "rows" // the table keeps no versions
)

// Versions are all that is known of a key, the oldest first.
type Versions struct {
	Kind     string        `json:"kind"`
	Schema   string        `json:"schema"`
	Table    string        `json:"table"`
	Key      []KeyValue    `json:"key"`
	Validity Validity      `json:"validity"`
	Columns  []Column      `json:"columns"`
	Versions []Version     `json:"versions"`
	Runs     map[string]Of `json:"runs"`
	Total    int           `json:"total"`
	Notes    []string      `json:"notes"`
}

// KeyValue is a column of the key with the value that was asked for.
type KeyValue struct {
	Column string  `json:"column"`
	Type   string  `json:"type"`
	Value  *string `json:"value"`
}

// Version is one row of the table. Values are texts as the server spells them in UTC.
type Version struct {
	Number    int       `json:"version"`
	ValidFrom *string   `json:"valid_from"`
	ValidTo   *string   `json:"valid_to"`
	IsCurrent *bool     `json:"is_current"`
	LoadedAt  *string   `json:"loaded_at"`
	RunID     *string   `json:"run_id"`
	Values    []*string `json:"values"`
	Changed   []string  `json:"changed"` // columns that differ from the version before
	Ends      []End     `json:"ends"`    // each time that its end was set, where the table of closures says so
}

// End is an end that a run gave to a version.
type End struct {
	ValidTo string `json:"valid_to"`
	RunID   string `json:"run_id"`
}

// Of is the run that a version is of.
type Of struct {
	Pipeline string  `json:"pipeline"`
	Mode     string  `json:"mode"`
	Status   string  `json:"status"`
	LoadedAt *string `json:"loaded_at"`
}

// ReadVersions reads the history of a key.
func ReadVersions(ctx context.Context, session *pg.Session, request Request) (v *Versions, err error) {
	err = Snapshot(ctx, session, func(tx pgx.Tx) error {
		r, err := Find(ctx, tx, request.Table)
		if err != nil {
			return err
		}
		if err := r.Settle(request.Names); err != nil {
			return err
		}
		v, err = r.versions(ctx, tx, request)
		return err
	})
	return v, err
}

func (r *Relation) versions(ctx context.Context, tx pgx.Tx, request Request) (*Versions, error) {
	key, err := r.key(request)
	if err != nil {
		return nil, err
	}
	v := &Versions{Kind: OfVersions, Schema: r.Schema, Table: r.Name, Key: key, Validity: r.Validity, Columns: r.Columns, Versions: []Version{}, Runs: map[string]Of{}, Notes: []string{}}
	if r.Validity.ValidFrom == "" {
		v.Kind = OfRows
		v.Notes = append(v.Notes, "The table keeps no versions: this is what it holds now, and the run that wrote it last.")
	}
	if err := r.checkValues(ctx, tx, key); err != nil {
		return nil, err
	}
	if err := r.readVersions(ctx, tx, v); err != nil {
		return nil, err
	}
	if err := r.readEnds(ctx, tx, v); err != nil {
		return nil, err
	}
	v.Total = len(v.Versions)
	if request.Limit > 0 && v.Total > request.Limit {
		v.Versions = v.Versions[v.Total-request.Limit:]
	}
	return v, readRunsOf(ctx, tx, v)
}

// key is the request's key by column.
func (r *Relation) key(request Request) (key []KeyValue, err error) {
	values := request.Named
	if values == nil {
		if len(r.Keys) == 0 {
			return nil, invalid("The key of %s cannot be told from its indexes.", r).WithHint("Give it by name: key={\"column\": value}, or --key COLUMN=VALUE.")
		}
		if len(request.Values) != len(r.Keys) {
			return nil, invalid("The key of %s is (%s), %d values, and %d were given.", r, ident.List(r.Keys), len(r.Keys), len(request.Values)).
				WithHint("Give each by name: key={\"column\": value}, or --key COLUMN=VALUE.")
		}
		values = map[string]*string{}
		for i, name := range r.Keys {
			values[name] = request.Values[i]
		}
	}
	for name := range values {
		if r.Column(name) == nil {
			return nil, r.noColumn(name)
		}
		if len(r.Keys) > 0 && !slices.Contains(r.Keys, name) {
			return nil, invalid("The column %q is not in the key of %s, which is (%s).", name, r, ident.List(r.Keys)).WithHint("Give the columns of the key and no others.")
		}
	}
	for _, name := range r.Keys {
		if _, given := values[name]; !given {
			return nil, invalid("The key of %s is (%s), and no value was given for %q.", r, ident.List(r.Keys), name).WithHint("Give the columns of the key, all of them.")
		}
	}
	for _, c := range r.Columns {
		if value, given := values[c.Name]; given {
			key = append(key, KeyValue{c.Name, c.Type, value})
		}
	}
	return key, nil
}

// checkValues has the server read each value as its column does, so that an error names the column and not the value.
func (r *Relation) checkValues(ctx context.Context, tx pgx.Tx, key []KeyValue) error {
	for _, k := range key {
		_, err := tx.Exec(ctx, "SELECT $1::text::"+r.Column(k.Column).cast, k.Value)
		if err == nil {
			continue
		}
		if e := pg.Fault(err, "history"); e.Kind == fault.DataError {
			return invalid("The value that was given for %q of %s is no %s.", k.Column, r, k.Type).Because(err)
		}
		return err
	}
	return nil
}

// where selects the rows of the key. The values are parameters, from $1 on.
func (r *Relation) where(key []KeyValue) (condition string, values []any) {
	var conditions []string
	for _, k := range key {
		name := ident.Quote(k.Column)
		if k.Value == nil {
			conditions = append(conditions, name+" IS NULL")
			continue
		}
		values = append(values, *k.Value)
		conditions = append(conditions, name+" = $"+strconv.Itoa(len(values))+"::text::"+r.Column(k.Column).cast)
	}
	return strings.Join(conditions, " AND "), values
}

// own reports whether a load keeps the column for itself.
func (r *Relation) own(name string) bool {
	v := r.Validity
	return slices.Contains([]string{spec.LoadedAt, spec.BatchID, v.ValidFrom, v.ValidTo, v.IsCurrent, v.RowHash}, name)
}

func (r *Relation) readVersions(ctx context.Context, tx pgx.Tx, v *Versions) error {
	value := func(name string) string {
		if name == "" || r.Column(name) == nil {
			return "NULL::text"
		}
		return ident.Quote(name) + "::text"
	}
	var values, differ []string
	for _, c := range r.Columns {
		values = append(values, ident.Quote(c.Name)+"::text")
		compared := ident.Quote(c.Name)
		if c.NoOrder {
			compared += "::text"
		}
		if r.own(c.Name) {
			differ = append(differ, "false")
		} else {
			differ = append(differ, compared+" IS DISTINCT FROM lag("+compared+") OVER line")
		}
	}
	var order []string
	for _, name := range []string{r.Validity.ValidFrom, r.Validity.ValidTo, spec.LoadedAt} {
		if name != "" && r.Column(name) != nil {
			order = append(order, ident.Quote(name))
		}
	}
	line := "ORDER BY " + strings.Join(append(order, "tableoid", "ctid"), ", ")
	if len(order) == 0 {
		line = "ORDER BY tableoid, ctid"
	}
	run := "NULL::text"
	if c := r.Column(spec.BatchID); c != nil && c.Type == "uuid" {
		run = value(spec.BatchID)
	}
	condition, parameters := r.where(v.Key)
	flag := "NULL::boolean"
	if r.Validity.IsCurrent != "" {
		flag = ident.Quote(r.Validity.IsCurrent)
	}
	rows, err := tx.Query(ctx, "SELECT "+strings.Join([]string{value(r.Validity.ValidFrom), value(r.Validity.ValidTo), flag, value(spec.LoadedAt), run}, ", ")+
		",\n    ARRAY["+strings.Join(values, ", ")+"]::text[],\n    ARRAY["+strings.Join(differ, ", ")+"]::boolean[]\nFROM "+r.SQL()+"\nWHERE "+condition+"\nWINDOW line AS ("+line+")\n"+line,
		parameters...)
	if err != nil {
		return r.readFault(err)
	}
	_, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (struct{}, error) {
		n := Version{Number: len(v.Versions) + 1, Changed: []string{}, Ends: []End{}}
		var differs []bool
		err := row.Scan(&n.ValidFrom, &n.ValidTo, &n.IsCurrent, &n.LoadedAt, &n.RunID, &n.Values, &differs)
		for i, differ := range differs {
			if differ && n.Number > 1 {
				n.Changed = append(n.Changed, r.Columns[i].Name)
			}
		}
		v.Versions = append(v.Versions, n)
		return struct{}{}, err
	})
	if err != nil {
		return r.readFault(err)
	}
	return nil
}

// readEnds reads when each version's end became known, where a load recorded that.
func (r *Relation) readEnds(ctx context.Context, tx pgx.Tx, v *Versions) error {
	closures, err := r.Closures(ctx, tx)
	if err != nil || closures == nil {
		return err
	}
	condition, parameters := r.where(v.Key)
	from, to := ident.Quote(r.Validity.ValidFrom), ident.Quote(r.Validity.ValidTo)
	rows, err := tx.Query(ctx, "SELECT "+from+"::text, "+to+"::text, run_id::text FROM "+closures.SQL()+" WHERE "+condition+" ORDER BY "+from+", "+to+" DESC, run_id", parameters...)
	if err != nil {
		return closures.readFault(err)
	}
	var start string
	var end End
	_, err = pgx.ForEachRow(rows, []any{&start, &end.ValidTo, &end.RunID}, func() error {
		for i := range v.Versions {
			if v.Versions[i].ValidFrom != nil && *v.Versions[i].ValidFrom == start {
				v.Versions[i].Ends = append(v.Versions[i].Ends, end)
			}
		}
		return nil
	})
	return err
}

// Closures is the table that records when versions were closed, nil where there is none: one of that name for something else is none.
func (r *Relation) Closures(ctx context.Context, tx pgx.Tx) (*Relation, error) {
	if r.Validity.ValidFrom == "" {
		return nil, nil
	}
	name := ident.Qualified(r.Schema, ident.Derived(r.Name, spec.ClosuresSuffix))
	closures, err := Find(ctx, tx, name)
	if fault.Is(err, fault.InvalidSpec) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, column := range append([]string{r.Validity.ValidFrom, r.Validity.ValidTo, spec.ClosureRun}, r.Keys...) {
		if closures.Column(column) == nil {
			return nil, nil
		}
	}
	return closures, nil
}

// readRunsOf looks the runs of the versions up.
func readRunsOf(ctx context.Context, tx pgx.Tx, v *Versions) error {
	var ids []string
	for _, version := range v.Versions {
		if version.RunID != nil {
			ids = append(ids, *version.RunID)
		}
		for _, end := range version.Ends {
			ids = append(ids, end.RunID)
		}
	}
	reading, err := meta.Looked(ctx, tx)
	if err != nil || len(ids) == 0 {
		return err
	}
	if !reading.Readable {
		v.Notes = append(v.Notes, "The runs are not shown: they are not recorded in this database, or this role may not read ematix_flow.run_history.")
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT h.run_id::text, h.pipeline_name, h.mode, h.status, (to_jsonb(h) ->> 'loaded_at')::timestamptz::text
FROM ematix_flow.run_history AS h WHERE h.run_id = ANY ($1::text[]::uuid[])`, ids)
	if err != nil {
		return meta.StateFault(err)
	}
	var id string
	var run Of
	_, err = pgx.ForEachRow(rows, []any{&id, &run.Pipeline, &run.Mode, &run.Status, &run.LoadedAt}, func() error {
		v.Runs[id] = run
		return nil
	})
	return err
}

func (r *Relation) readFault(err error) error {
	e := pg.Fault(err, "history")
	if e.Kind == fault.PermissionDenied {
		return e.WithHint("Let the owner run: GRANT SELECT ON %s TO the user of this connection.", r)
	}
	return e
}
