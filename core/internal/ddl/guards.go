package ddl

import (
	"fmt"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// GuardCurrent makes the index that lets a key have one current version only. It is also the index by which a load finds the current rows. Two NULLs are
// one key. PostgreSQL chooses the names of both guards; they are known by what they say.
func GuardCurrent(t *spec.Table, l *spec.Load) string {
	return fmt.Sprintf("CREATE UNIQUE INDEX ON %s (%s) NULLS NOT DISTINCT WHERE %s", ident.Qualified(t.Schema, t.Name), ident.List(l.Keys), ident.Quote(l.History.IsCurrent))
}

// GuardValidity makes the check that a version ends after it starts.
func GuardValidity(t *spec.Table, h spec.HistoryColumns) string {
	return fmt.Sprintf("ALTER TABLE %s ADD CHECK (%s < %s)", ident.Qualified(t.Schema, t.Name), ident.Quote(h.ValidFrom), ident.Quote(h.ValidTo))
}

// ValidityDefinition is how the catalogue spells that check.
func ValidityDefinition(h spec.HistoryColumns) string {
	return "CHECK ((" + ident.Quote(h.ValidFrom) + " < " + ident.Quote(h.ValidTo) + "))"
}
