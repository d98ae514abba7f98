package ident

import (
	"reflect"
	"testing"
)

func TestSplitReadsNamesAsSQLDoes(t *testing.T) {
	for text, want := range map[string][]string{
		"a.b": {"a", "b"}, "Sales.Orders": {"sales", "orders"}, `sales."Order Lines"`: {"sales", "Order Lines"}, `"a.b"."c""d"`: {"a.b", `c"d`}, "ÄB.größe": {"Äb", "größe"},
		"orders": {"orders"}, "a.b.c": {"a", "b", "c"},
	} {
		if got, err := Split(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Split(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestSplitRefusesWhatIsNoName(t *testing.T) {
	for _, text := range []string{"", ".", "a.", ".b", "a..b", `"a`, `""`, `"a"b`, `a"b"`, "a b", "a; DROP TABLE x", `"a".`, "a.\x00"} {
		if got, err := Split(text); err == nil {
			t.Errorf("Split(%q) = %q, want an error", text, got)
		}
	}
}
