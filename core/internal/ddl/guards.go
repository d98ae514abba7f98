package ddl

import (
	"fmt"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// CurrentIndex is the name of the index that lets a key have one current version only.
func CurrentIndex(t *spec.Table, keys []string) string {
	return ident.Derive(t.Name+"_"+strings.Join(keys, "_"), "_current")
}

// GuardCurrent makes that index. It is also the index by which a load finds the current rows. Two NULLs are one key.
func GuardCurrent(t *spec.Table, keys []string) string {
	return fmt.Sprintf("CREATE UNIQUE INDEX %s ON %s (%s) NULLS NOT DISTINCT WHERE %s",
		ident.Quote(CurrentIndex(t, keys)), ident.Qualified(t.Schema, t.Name), ident.List(keys), spec.IsCurrent)
}

// ValidityCheck is the name of the constraint that a version ends after it starts.
func ValidityCheck(t *spec.Table) string { return ident.Derive(t.Name, "_validity") }

// GuardValidity makes that constraint.
func GuardValidity(t *spec.Table) string {
	return fmt.Sprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s < %s)",
		ident.Qualified(t.Schema, t.Name), ident.Quote(ValidityCheck(t)), spec.ValidFrom, spec.ValidTo)
}
