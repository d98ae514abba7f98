package strategy

import (
	"slices"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/spec"
)

// That these are the locks which a server takes is tried in core/locks_test.go.
func TestLocksAreReadFromOurOwnWordsOnly(t *testing.T) {
	r := Request{Load: &spec.Load{Query: "SELECT * FROM w.facts JOIN w.facts_old ON true", Target: &spec.Table{Schema: "w", Name: "facts"}}, Table: &spec.Table{Schema: "w", Name: "facts"}}
	for statement, want := range map[string][]Lock{
		"INSERT INTO w.facts (a)\nSELECT q.a\nFROM " + r.query():                      {{"w.facts", RowExclusive}, {OfTheQuery, AccessShare}},
		"INSERT INTO pg_temp._ematix_stage (a)\nSELECT q.a\nFROM " + r.query():        {{OfTheQuery, AccessShare}},
		"SELECT count(*)\nFROM w.facts_old":                                           {},
		"SELECT count(*)\nFROM w.facts":                                               {{"w.facts", AccessShare}},
		"LOCK TABLE w.facts IN SHARE ROW EXCLUSIVE MODE":                              {{"w.facts", ShareRowExclusive}},
		"WITH closed AS (\nUPDATE w.facts AS t\n)\nINSERT INTO w.facts__closures (a)": {{"w.facts", RowExclusive}, {"w.facts__closures", RowExclusive}},
	} {
		if got := r.Locks(statement); !slices.Equal(got, want) {
			t.Errorf("%s\n got %v\nwant %v", statement, got, want)
		}
	}
}
