package run_test

import (
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// poor is a connection of a role that owns nothing, may create nothing, and may use what is granted to it.
func (p *place) poor(grants ...string) (server *pg.Server, role string) {
	p.t.Helper()
	role = "poor_" + p.role()
	p.exec("CREATE ROLE " + role + " LOGIN PASSWORD 'pw'")
	p.t.Cleanup(func() { p.exec("DROP OWNED BY " + role + "; DROP ROLE " + role) })
	for _, grant := range grants {
		p.exec("GRANT " + grant + " TO " + role)
	}
	return open(p.t, p.urlOf(role, "pw")), role
}

var grants = []string{"USAGE ON SCHEMA w, ematix_flow", "SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA ematix_flow", "SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA w"}

func TestARoleThatMayCreateNothingLoadsWhatIsThere(t *testing.T) {
	for name, make := range map[string]func(row string) *spec.Load{
		"append":       func(row string) *spec.Load { return load(spec.Append, values(row)) },
		"truncate":     func(row string) *spec.Load { return load(spec.Truncate, values(row)) },
		"soft deletes": func(row string) *spec.Load { return softly(row) },
		"history": func(row string) *spec.Load {
			l := guarded(spec.GuardsFull, row)
			l.Closures, l.HandleDeletes = true, spec.DeletesSoft
			return l
		},
		"unguarded": func(row string) *spec.Load { return guarded(spec.GuardsOff, row) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.exec("CREATE EXTENSION btree_gist SCHEMA public")
			p.must(make("(1, 'a', 1)"))
			recorded := p.text("SELECT count(*) FROM ematix_flow.schema_history")
			poor, _ := p.poor(grants...)
			l := make("(2, 'b', 1)")
			l.OnDrift = spec.DriftEvolve
			if _, err := p.syncOn(t.Context(), poor, l); err != nil {
				t.Fatal(err)
			}
			p.wants("rows", "SELECT count(*) > 0 FROM w.customers WHERE id = 2", "t")
			p.wants("recorded", "SELECT count(*) FROM ematix_flow.schema_history", recorded)
		})
	}
}

func TestWhatOnlyTheOwnerMayDoIsSaidWithTheStatement(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	poor, _ := p.poor(grants...)
	for want, l := range map[string]*spec.Load{
		"ADD COLUMN is_deleted BOOLEAN NOT NULL DEFAULT false": softly("(1, 'a', 1)"),
		"ADD COLUMN note TEXT":                                 grown(spec.Merge),
	} {
		_, err := p.syncOn(t.Context(), poor, l)
		if !fault.Is(err, fault.PermissionDenied) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want PermissionDenied with: %s", err, want)
		}
	}
}
