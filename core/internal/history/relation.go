package history

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Column is a column of a relation.
type Column struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	cast    string // the type without its modifier, which would cut a value in silence
	NotNull bool   `json:"-"`
	NoOrder bool   `json:"-"` // what is equal is for its text to say: there may be no operator, it may be out of reach, or compare areas
}

// Index is what keys are known from.
type Index struct {
	Unique    bool
	NullsSame bool
	Primary   bool
	Condition string // of a partial index
	Columns   []string
}

// Relation is a table with what its catalogue says of its key and its validity.
type Relation struct {
	Schema, Name string
	Columns      []Column
	Indexes      []Index
	Checks       []string // definitions of its checks
	Partitioned  bool
	Inherited    bool // other tables inherit from it; partitions are none
	PartitionKey []string
	Followed     string // a foreign key by which rows elsewhere go or change when one is deleted here

	Keys     []string // empty where the catalogue does not tell
	Validity Validity
}

// Validity are the names of the columns that say when a version holds. ValidFrom is empty for a table that keeps no versions; IsCurrent for one without a flag.
type Validity struct {
	ValidFrom string `json:"valid_from"`
	ValidTo   string `json:"valid_to"`
	IsCurrent string `json:"is_current"`
	RowHash   string `json:"row_hash"`
}

// SQL is the relation as statements name it.
func (r *Relation) SQL() string { return ident.Qualified(r.Schema, r.Name) }

func (r *Relation) String() string { return r.SQL() }

// Column is the column of that name, or nil.
func (r *Relation) Column(name string) *Column {
	if i := slices.IndexFunc(r.Columns, func(c Column) bool { return c.Name == name }); i >= 0 {
		return &r.Columns[i]
	}
	return nil
}

// Snapshot runs do in one read-only snapshot, under settings that make the text of a value mean the same everywhere.
func Snapshot(ctx context.Context, session *pg.Session, do func(pgx.Tx) error) error {
	err := pgx.BeginTxFunc(ctx, session, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true), pg_catalog.set_config('TimeZone', 'UTC', true),
    pg_catalog.set_config('DateStyle', 'ISO, MDY', true), pg_catalog.set_config('IntervalStyle', 'postgres', true), pg_catalog.set_config('bytea_output', 'hex', true),
    pg_catalog.set_config('extra_float_digits', '1', true)`); err != nil {
			return err
		}
		return do(tx)
	})
	if err != nil {
		return pg.Fault(err, "history")
	}
	return nil
}

// Find describes the relation that a text names. A name is never looked for in other schemas than the one that it says.
func Find(ctx context.Context, tx pgx.Tx, text string) (*Relation, error) {
	parts, err := ident.Split(text)
	if err != nil {
		return nil, err
	}
	if len(parts) != 2 {
		e := invalid("The table %s is named without its schema.", text)
		if len(parts) > 2 {
			e = invalid("The name %s has %d parts.", text, len(parts))
		}
		return nil, e.WithHint("Write schema.table%s.", alike(ctx, tx, parts[len(parts)-1]))
	}
	r := &Relation{Schema: parts[0], Name: parts[1]}
	var oid int64
	var kind string
	err = tx.QueryRow(ctx, `SELECT c.oid::bigint, c.relkind::text, c.relkind <> 'p' AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'm', 'f')`, r.Schema, r.Name).Scan(&oid, &kind, &r.Inherited)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, invalid("There is no table %s in the database.", r).WithHint("Check the name and the connection%s.", alike(ctx, tx, r.Name))
	}
	if err != nil {
		return nil, pg.Fault(err, "reflect")
	}
	r.Partitioned = kind == "p"
	return r, r.describe(ctx, tx, oid)
}

// alike names tables that are called the same in other schemas, for a hint.
func alike(ctx context.Context, tx pgx.Tx, name string) string {
	rows, err := tx.Query(ctx, `SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE lower(c.relname) = lower($1) AND c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' ORDER BY 1 LIMIT 3`, name)
	if err != nil {
		return ""
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(names) == 0 {
		return ""
	}
	return "; there is " + strings.Join(names, ", ")
}

func (r *Relation) describe(ctx context.Context, tx pgx.Tx, oid int64) error {
	rows, err := tx.Query(ctx, `SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, -1), a.attnotnull,
    NOT EXISTS (SELECT FROM pg_catalog.pg_type AS b JOIN pg_catalog.pg_opclass AS o ON o.opcintype = b.oid AND o.opcdefault
        JOIN pg_catalog.pg_am AS m ON m.oid = o.opcmethod AND m.amname = 'btree'
        WHERE b.oid = coalesce(nullif(t.typbasetype, 0), t.oid) AND b.typtype = 'b' AND b.typcategory <> 'A' AND b.typnamespace = 'pg_catalog'::regnamespace)
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = $1::bigint::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, oid)
	if err != nil {
		return err
	}
	r.Columns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Column, err error) {
		return c, row.Scan(&c.Name, &c.Type, &c.cast, &c.NotNull, &c.NoOrder)
	})
	if err != nil {
		return err
	}
	// Indexes on expressions say nothing about columns, and so do those that are not valid.
	rows, err = tx.Query(ctx, `SELECT i.indisunique, i.indnullsnotdistinct, i.indisprimary, coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
    (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place)
     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum WHERE k.place <= i.indnkeyatts)
FROM pg_catalog.pg_index AS i WHERE i.indrelid = $1::bigint::oid AND i.indisvalid AND i.indexprs IS NULL ORDER BY i.indisunique DESC, i.indexrelid`, oid)
	if err != nil {
		return err
	}
	r.Indexes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i Index, err error) {
		return i, row.Scan(&i.Unique, &i.NullsSame, &i.Primary, &i.Condition, &i.Columns)
	})
	if err != nil {
		return err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce((SELECT array_agg(a.attname::text) FROM pg_catalog.pg_partitioned_table AS p JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = p.partrelid AND a.attnum = ANY (p.partattrs::int2[]) WHERE p.partrelid = $1::bigint::oid), '{}'),
    coalesce((SELECT min(quote_ident(conname) || ' of ' || conrelid::regclass) FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid = $1::bigint::oid
        AND confdeltype IN ('c', 'n', 'd')), '')`, oid).Scan(&r.PartitionKey, &r.Followed)
	if err != nil {
		return err
	}
	rows, err = tx.Query(ctx, "SELECT pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint WHERE conrelid = $1::bigint::oid AND contype = 'c' ORDER BY conname", oid)
	if err != nil {
		return err
	}
	r.Checks, err = pgx.CollectRows(rows, pgx.RowTo[string])
	return err
}

// Settle finds the validity columns and the keys: those that the caller names, else those that the guards of the table say, else those of the standard names.
func (r *Relation) Settle(named map[string]string) error {
	v, err := r.validity(named)
	if err != nil {
		return err
	}
	r.Validity = v
	r.Keys = r.keys()
	return nil
}

func (r *Relation) validity(named map[string]string) (v Validity, err error) {
	if len(named) > 0 {
		return r.named(named)
	}
	if v = r.guarded(); v.ValidFrom == "" && r.standard() {
		v = Validity{ValidFrom: spec.StandardHistory.ValidFrom, ValidTo: spec.StandardHistory.ValidTo, IsCurrent: spec.StandardHistory.IsCurrent}
	}
	if v.ValidFrom == "" && len(r.flags()) > 0 && slices.ContainsFunc(r.primaryKey(), r.isTime) {
		return v, invalid("The columns of %s that say when a version holds cannot be told from its guards.", r).
			WithHint("Name them: scd2_columns={\"valid_from\": ..., \"valid_to\": ..., \"is_current\": ...}, or --scd2-columns valid_from=...,valid_to=...,is_current=...")
	}
	v.RowHash = r.rowHash(v)
	return v, nil
}

func (r *Relation) named(named map[string]string) (Validity, error) {
	h := spec.StandardHistory
	v := Validity{h.ValidFrom, h.ValidTo, h.IsCurrent, h.RowHash}
	for part, into := range map[string]*string{"valid_from": &v.ValidFrom, "valid_to": &v.ValidTo, "is_current": &v.IsCurrent, "row_hash": &v.RowHash} {
		name, given := named[part]
		if given {
			*into = name
		}
		optional := part == "is_current" || part == "row_hash"
		if r.Column(*into) != nil {
			continue
		}
		if optional && (!given || name == "") {
			*into = ""
			continue
		}
		return v, r.noColumn(*into)
	}
	for _, name := range []string{v.ValidFrom, v.ValidTo} {
		if !r.isTime(name) {
			return v, invalid("The column %q of %s is of the type %s, which cannot say when a version holds.", name, r, r.Column(name).Type).WithHint("Name columns of the type timestamptz, timestamp or date.")
		}
	}
	if v.IsCurrent != "" && r.Column(v.IsCurrent).Type != "boolean" {
		return v, invalid("The column %q of %s is of the type %s, and the flag of current versions is boolean.", v.IsCurrent, r, r.Column(v.IsCurrent).Type)
	}
	return v, nil
}

func (r *Relation) isTime(name string) bool {
	c := r.Column(name)
	return c != nil && (strings.HasPrefix(c.Type, "timestamp") || c.Type == "date")
}

// flags are the columns that are the whole condition of a partial index.
func (r *Relation) flags() (names []string) {
	for _, c := range r.Columns {
		if c.Type == "boolean" && slices.ContainsFunc(r.Indexes, func(i Index) bool { return i.Condition == ident.Quote(c.Name) }) {
			names = append(names, c.Name)
		}
	}
	return names
}

// guarded are the columns of the guards, where these leave no choice.
func (r *Relation) guarded() (v Validity) {
	var pairs []Validity
	for _, a := range r.Columns {
		for _, b := range r.Columns {
			if r.isTime(a.Name) && r.isTime(b.Name) && slices.Contains(r.Checks, "CHECK (("+ident.Quote(a.Name)+" < "+ident.Quote(b.Name)+"))") {
				pairs = append(pairs, Validity{ValidFrom: a.Name, ValidTo: b.Name})
			}
		}
	}
	flags := r.flags()
	if len(pairs) != 1 || len(flags) != 1 {
		return v
	}
	pairs[0].IsCurrent = flags[0]
	return pairs[0]
}

func (r *Relation) standard() bool {
	h, flag := spec.StandardHistory, r.Column(spec.StandardHistory.IsCurrent)
	return r.isTime(h.ValidFrom) && r.isTime(h.ValidTo) && flag != nil && flag.Type == "boolean"
}

// rowHash is the column that a load put right behind the other three. It only keeps it from being listed as a change.
func (r *Relation) rowHash(v Validity) string {
	i := slices.IndexFunc(r.Columns, func(c Column) bool { return v.ValidFrom != "" && c.Name == v.ValidFrom })
	if i < 0 || i+3 >= len(r.Columns) || r.Columns[i+1].Name != v.ValidTo || r.Columns[i+2].Name != v.IsCurrent || r.Columns[i+3].Type != "bytea" {
		return ""
	}
	return r.Columns[i+3].Name
}

func (r *Relation) primaryKey() []string {
	for _, i := range r.Indexes {
		if i.Primary {
			return i.Columns
		}
	}
	return nil
}

// keys are those of the index on the current versions; else the primary key, or the only unique constraint, without the start of the version.
func (r *Relation) keys() []string {
	v := r.Validity
	for _, i := range r.Indexes {
		if v.IsCurrent != "" && i.Condition == ident.Quote(v.IsCurrent) || v.IsCurrent == "" && i.Condition == "("+ident.Quote(v.ValidTo)+" IS NULL)" {
			return i.Columns
		}
	}
	candidates := [][]string{r.primaryKey()}
	if candidates[0] == nil {
		candidates = nil
		for _, i := range r.Indexes {
			if i.Unique && i.Condition == "" {
				candidates = append(candidates, i.Columns)
			}
		}
	}
	if len(candidates) != 1 || v.ValidFrom != "" && !slices.Contains(candidates[0], v.ValidFrom) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(candidates[0]), func(name string) bool { return name == v.ValidFrom })
}

func (r *Relation) noColumn(name string) *fault.Error {
	names := make([]string, len(r.Columns))
	for i, c := range r.Columns {
		names[i] = c.Name
	}
	return invalid("The table %s has no column %q.", r, name).WithHint("It has %s.", strings.Join(names, ", "))
}

func invalid(format string, args ...any) *fault.Error {
	return fault.New(fault.InvalidSpec, format, args...)
}
