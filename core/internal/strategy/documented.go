package strategy

import (
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// The documented texts: what a load of each mode comes down to, in the plainest SQL that does it. They are for people and tools that look at them; loads
// run the steps of the strategies, which check, count and lock besides. The caller binds $1, the batch id, where the table has a column for it.

// history are the names that the documented texts use: there is no argument for others.
var history = spec.StandardHistory

// DocumentedAppend inserts every row of the query.
func DocumentedAppend(t *spec.Table, query string) (string, error) {
	r, err := documented(t, spec.Append, query)
	if err != nil {
		return "", err
	}
	columns, values := r.documentedInsert("q")
	return r.documentedHead("", columns) + "\nSELECT " + strings.Join(values, ", ") + "\nFROM " + r.documentedSource(), nil
}

// DocumentedTruncate empties the table, and fills it again.
func DocumentedTruncate(t *spec.Table, query string) ([]string, error) {
	insert, err := DocumentedAppend(t, query)
	if err != nil {
		return nil, err
	}
	return []string{"TRUNCATE TABLE " + ident.Qualified(t.Schema, t.Name), insert}, nil
}

// DocumentedMerge inserts rows with new keys and updates those that differ. It answers for each row that it wrote whether it is new. The server asks for a
// unique constraint on exactly the keys.
func DocumentedMerge(t *spec.Table, query string, keys, update []string) (string, error) {
	r, err := documented(t, spec.Merge, query)
	if err != nil {
		return "", err
	}
	if err := r.documentedNames(keys, "update_columns", update); err != nil {
		return "", err
	}
	columns, values := r.documentedInsert("q")
	text := r.documentedHead(" AS t", columns) + "\nSELECT " + strings.Join(values, ", ") + "\nFROM " + r.documentedSource() + "\nON CONFLICT (" + ident.List(keys) + ") DO "
	if len(update) == 0 {
		return text + "NOTHING\nRETURNING (xmax = 0) AS inserted", nil
	}
	filled, _ := r.documentedFilled()
	var set []string
	for _, name := range append(slices.Clone(update), filled...) {
		set = append(set, ident.Quote(name)+" = EXCLUDED."+ident.Quote(name))
	}
	return text + "UPDATE\nSET " + strings.Join(set, ", ") + "\nWHERE " + r.differs("t", "EXCLUDED", update) + "\nRETURNING (xmax = 0) AS inserted", nil
}

// DocumentedSCD2 finds what is new or differs from the current version of its key, closes those versions and inserts the new ones; the three statements
// belong into one transaction. Of several rows of one key the one with the greatest event time counts.
func DocumentedSCD2(t *spec.Table, query string, keys, compare []string, token, event string) ([]string, error) {
	r, err := documented(t, spec.SCD2, query)
	if err != nil {
		return nil, err
	}
	if err := r.documentedNames(keys, "compare_columns", compare); err != nil {
		return nil, err
	}
	r.Load.CompareColumns, r.Load.EventTimestampColumn = compare, event
	if err := r.checkHistory(token); err != nil {
		return nil, err
	}
	name := "_scd2_changed_" + token
	changed := "pg_temp." + ident.Quote(name)
	filled, filling := r.documentedFilled()
	sourced := columnNames(r.sourced())
	columns := slices.Concat(sourced, []string{history.ValidFrom, history.ValidTo, history.IsCurrent, history.RowHash}, filled)
	values := slices.Concat(prefixed("c", sourced), []string{"c." + r.own("start"), "NULL", "true", "c." + r.own("hash")}, filling)
	return []string{
		"CREATE TEMP TABLE " + ident.Quote(name) + " ON COMMIT DROP AS\n" + r.documentedChanges(sourced),
		"UPDATE " + r.Target() + " AS t\nSET " + history.ValidTo + " = c." + r.own("start") + ", " + history.IsCurrent + " = false\nFROM " + changed + " AS c\nWHERE t." +
			history.IsCurrent + " AND " + r.sameKey("t", "c"),
		r.documentedHead("", columns) + "\nSELECT " + strings.Join(values, ", ") + "\nFROM " + changed + " AS c",
	}, nil
}

// documentedChanges are the rows of the query that open a version, with its start and its hash.
func (r Request) documentedChanges(sourced []string) string {
	source, start := r.documentedSource(), "now()"
	if event := r.Load.EventTimestampColumn; event != "" {
		// The rows are chosen first and compared then: the latest one counts, whether it differs or not.
		keys, at := strings.Join(prefixed("q", r.Load.Keys), ", "), "q."+ident.Quote(event)+"::timestamptz"
		source = "(\n    SELECT DISTINCT ON (" + keys + ") q.*\n    FROM " + source + "\n    ORDER BY " + keys + ", " + at + " DESC\n) AS q"
		start = at
	}
	// A version cannot end before it starts, also where its event lies behind the new one's.
	own := []string{"greatest(" + start + ", t." + history.ValidFrom + " + interval '1 microsecond') AS " + r.own("start"), rowHash(r, "q") + " AS " + r.own("hash")}
	return "SELECT " + strings.Join(append(prefixed("q", sourced), own...), ", ") + "\nFROM " + source + "\nLEFT JOIN " + r.Target() + " AS t ON t." + history.IsCurrent +
		" AND " + r.sameKey("t", "q") + "\nWHERE t." + history.ValidFrom + " IS NULL\n   OR " + r.differs("t", "q", r.Load.CompareColumns)
}

func documented(t *spec.Table, mode spec.Mode, query string) (Request, error) {
	query = spec.TrimStatement(query)
	switch {
	case query == "":
		return Request{}, fault.New(fault.InvalidQuery, "The source query is empty.")
	case strings.ContainsRune(query, 0):
		return Request{}, fault.New(fault.InvalidQuery, "The source query holds a NUL character, which PostgreSQL cannot read.")
	}
	return Request{Load: &spec.Load{Target: t, Mode: mode, Query: query, History: history}, Table: t}, nil
}

// documentedNames keeps the keys, and refuses names as a load does.
func (r Request) documentedNames(keys []string, option string, columns []string) error {
	if len(keys) == 0 {
		return fault.New(fault.InvalidSpec, "The mode %q needs keys.", r.Load.Mode)
	}
	for what, names := range map[string][]string{"keys": keys, option: columns} {
		for i, name := range names {
			switch {
			case r.Table.Column(name) == nil:
				return fault.New(fault.InvalidSpec, "%s names the column %q, which %s does not declare.", what, name, r.Table)
			case slices.Contains(names[:i], name):
				return fault.New(fault.InvalidSpec, "%s names the column %q twice.", what, name)
			case r.Load.Fills(name):
				return fault.New(fault.InvalidSpec, "%s names the column %q, which the load itself fills.", what, name)
			case what == "update_columns" && slices.Contains(keys, name):
				return fault.New(fault.InvalidSpec, "update_columns names the key column %q: a key is never updated.", name)
			}
		}
	}
	r.Load.Keys = keys
	return nil
}

// checkHistory refuses what leads to no history: nothing to compare, a table without its columns, a name that cannot be.
func (r Request) checkHistory(token string) error {
	if len(r.Load.CompareColumns) == 0 {
		return fault.New(fault.InvalidSpec, "compare_columns is empty: a history needs at least one column to compare.")
	}
	for _, name := range []string{history.ValidFrom, history.ValidTo, history.IsCurrent, history.RowHash} {
		if r.Table.Column(name) == nil {
			return fault.New(fault.InvalidSpec, "A history needs the column %q, which the spec of %s lacks.", name, r.Table).WithHint("augment_table_spec_scd2 adds it.")
		}
	}
	if token == "" {
		return fault.New(fault.InvalidSpec, "run_token is empty.")
	}
	if event := r.Load.EventTimestampColumn; event != "" {
		if err := ident.Check("event_ts_column", event); err != nil {
			return err
		}
	}
	return ident.Check("name of the temporary table", "_scd2_changed_"+token)
}

// documentedHead is the head of an INSERT, on one line.
func (r Request) documentedHead(alias string, columns []string) string {
	return "INSERT INTO " + r.Target() + alias + " (" + ident.List(columns) + ")"
}

// documentedSource is the query in brackets. A comment in it must not swallow the one that closes.
func (r Request) documentedSource() string {
	end := ""
	if strings.Contains(r.Load.Query, "--") {
		end = "\n"
	}
	return "(" + r.Load.Query + end + ") AS q"
}

// documentedInsert are the columns of an INSERT, metadata last, and what goes into them.
func (r Request) documentedInsert(alias string) (columns, values []string) {
	sourced := columnNames(r.sourced())
	filled, filling := r.documentedFilled()
	return append(sourced, filled...), append(prefixed(alias, sourced), filling...)
}

// documentedFilled are the metadata columns that the table has, and what fills them.
func (r Request) documentedFilled() (columns, values []string) {
	for _, c := range [][2]string{{spec.LoadedAt, "now()"}, {spec.BatchID, "$1::uuid"}} {
		if r.Table.Column(c[0]) != nil {
			columns, values = append(columns, c[0]), append(values, c[1])
		}
	}
	return columns, values
}
