package ddl

import (
	"fmt"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// Guard keeps a history right, or finds its current versions. PostgreSQL chooses its name: it is known by what it says.
type Guard struct {
	SQL    string
	Broken string // what is wrong with a history that it cannot be added to
	Kind   GuardKind
	Says   string // the part of its definition that the catalogue spells
}

// GuardKind is what a guard is in the catalogue.
type GuardKind int

// The kinds of guards.
const (
	CurrentUnique GuardKind = iota // a unique index on the keys of current versions; Says is its condition
	CurrentIndex                   // any index on them
	Validity                       // a check; Says is its definition
	NoOverlap                      // an exclusion constraint; Says is its expression
)

// Guards are those that a load asks for, in the order in which they are made.
func Guards(t *spec.Table, l *spec.Load) []Guard {
	if l.Mode != spec.SCD2 {
		return nil
	}
	table, keys, h := ident.Qualified(t.Schema, t.Name), ident.List(l.Keys), quoted(l.History)
	if l.Guards == spec.GuardsOff {
		return []Guard{{Kind: CurrentIndex, Says: h.IsCurrent, SQL: fmt.Sprintf("CREATE INDEX ON %s (%s) WHERE %s", table, keys, h.IsCurrent)}}
	}
	guards := []Guard{
		// It is also the index by which a load finds the current rows. Two NULLs are one key.
		{Kind: CurrentUnique, Says: h.IsCurrent, SQL: fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s) NULLS NOT DISTINCT WHERE %s", table, keys, h.IsCurrent),
			Broken: "a key has more than one current version"},
		{Kind: Validity, Says: "CHECK ((" + h.ValidFrom + " < " + h.ValidTo + "))", SQL: fmt.Sprintf("ALTER TABLE %s ADD CHECK (%s < %s)", table, h.ValidFrom, h.ValidTo),
			Broken: "a version does not end after it starts"},
	}
	if l.Guards == spec.GuardsFull {
		within := "tstzrange(" + h.ValidFrom + ", " + h.ValidTo + ")"
		sql := "ALTER TABLE " + table + " ADD EXCLUDE USING gist ("
		for _, key := range l.Keys {
			sql += ident.Quote(key) + " WITH =, "
		}
		guards = append(guards, Guard{Kind: NoOverlap, Says: within, SQL: sql + within + " WITH &&)", Broken: "versions of one key overlap"})
	}
	return guards
}

// CheckGuards refuses keys that the guards against overlaps cannot hold.
func CheckGuards(t *spec.Table, l *spec.Load) error {
	if l.Mode != spec.SCD2 || l.Guards != spec.GuardsFull {
		return nil
	}
	for _, name := range l.Keys {
		switch key := t.Column(name); {
		case key.Nullable:
			return fault.New(fault.InvalidSpec, "guards=\"full\" needs keys that are NOT NULL, and %q of %s may be NULL: no constraint sees that two versions of NULL overlap.", name, t).
				WithHint("Declare the column as not nullable, or leave guards at \"current\", which counts NULL as a key.")
		case key.Type.NoGiST:
			return fault.New(fault.InvalidSpec, "guards=\"full\" cannot hold the key column %q of %s: a GiST index takes no %s.", name, t, key.Type.SQL()).
				WithHint("Choose another key, or leave guards at \"current\".")
		}
	}
	return nil
}

func quoted(h spec.HistoryColumns) spec.HistoryColumns {
	return spec.HistoryColumns{ValidFrom: ident.Quote(h.ValidFrom), ValidTo: ident.Quote(h.ValidTo), IsCurrent: ident.Quote(h.IsCurrent), RowHash: ident.Quote(h.RowHash)}
}

// ClosuresIndex is that by which the closures of a version are found.
func ClosuresIndex(closures *spec.Table, l *spec.Load) string {
	return fmt.Sprintf("CREATE INDEX ON %s (%s, %s)", ident.Qualified(closures.Schema, closures.Name), ident.List(l.Keys), ident.Quote(l.History.ValidFrom))
}
