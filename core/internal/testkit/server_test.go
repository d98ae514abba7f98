package testkit_test

import (
	"testing"

	"github.com/ematix/ematix-flow/core/internal/testkit"
)

func TestEachDatabaseIsFresh(t *testing.T) {
	first, second := testkit.Server(t), testkit.Server(t)
	testkit.Exec(t, first, "CREATE TABLE public.t (x int)")
	testkit.Exec(t, second, "CREATE TABLE public.t (x int)")
	if _, err := testkit.Connect(t, first).Exec(t.Context(), "SELECT * FROM t"); err == nil {
		t.Fatal("the search_path is not empty")
	}
	rows := testkit.Rows(t, first, "SELECT 1, NULL UNION ALL SELECT 2, 'x' ORDER BY 1")
	if len(rows) != 2 || rows[0][1] != "NULL" || rows[1][1] != "x" {
		t.Fatalf("got %q", rows)
	}
}
