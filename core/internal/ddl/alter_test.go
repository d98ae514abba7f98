package ddl

import (
	"slices"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/types"
)

func TestEveryDifferenceThatCanBeRemovedNamesItsAction(t *testing.T) {
	declared := &spec.Table{Schema: "w", Name: "Orders", Columns: []spec.Column{
		{Name: "id", Type: types.Must("big_int"), PrimaryKey: true},
		{Name: "Name", Type: types.Must("string", 20)},
		{Name: "note", Type: types.Must("text"), Nullable: true},
		{Name: "gone", Type: types.Must("boolean"), Default: "false"},
	}}
	found := &Found{Kind: 'r', Columns: []FoundColumn{{Name: "id", Formatted: "bigint", PrimaryKey: true}, {Name: "Name", Formatted: "character varying(10)", Collation: `pg_catalog."C"`}}}
	differences := Differences(declared, found)
	actions, whole := Evolution(differences)
	want := "ALTER TABLE w.\"Orders\"\n    ADD COLUMN gone BOOLEAN NOT NULL DEFAULT false,\n    ALTER COLUMN \"Name\" TYPE VARCHAR(20) COLLATE pg_catalog.\"C\",\n    ADD COLUMN note TEXT"
	if got := AlterTable(declared, append(Additions(declared, found), actions...)); !whole || got != want {
		t.Errorf("%v, got:\n%s\nwant:\n%s", whole, got, want)
	}
	declared.Columns[2].Nullable = false
	if _, whole := Evolution(Differences(declared, found)); whole {
		t.Error("a column that is NOT NULL and has no default cannot be added")
	}
	if texts := Texts(differences); !slices.Equal(texts, []string{`column "Name" is declared as VARCHAR(20) and is VARCHAR(10) in the table`, `column "note" is declared as TEXT and missing in the table`}) {
		t.Errorf("%q", texts)
	}
}
