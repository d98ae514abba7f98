package ident

import (
	"strings"
	"testing"
)

func TestQuoteLeavesPlainNamesBare(t *testing.T) {
	for name, want := range map[string]string{
		"users": "users", "_a1": "_a1", "CustomerId": `"CustomerId"`, "Order Date": `"Order Date"`, "select": `"select"`, "timestamp": `"timestamp"`,
		`a"b`: `"a""b"`, "1a": `"1a"`, "größe": `"größe"`, "name": "name",
	} {
		if got := Quote(name); got != want {
			t.Errorf("Quote(%q) = %s, want %s", name, got, want)
		}
	}
}

func TestCheckRefusesWhatPostgresCannotHold(t *testing.T) {
	for _, name := range []string{"", "a\x00b", strings.Repeat("a", 64), strings.Repeat("ä", 32), "\xff"} {
		if Check("column name", name) == nil {
			t.Errorf("Check(%q) = nil, want an error", name)
		}
	}
	for _, name := range []string{"a", strings.Repeat("a", 63), strings.Repeat("ä", 31), `"; DROP TABLE x; --`} {
		if err := Check("column name", name); err != nil {
			t.Errorf("Check(%q) = %v, want nil", name, err)
		}
	}
}

func TestLiteralIsRightUnderAnySetting(t *testing.T) {
	for text, want := range map[string]string{"a": "'a'", "it's": "'it''s'", `a\'b`: ` E'a\\''b'`} {
		if got := Literal(text); got != want {
			t.Errorf("Literal(%q) = %s, want %s", text, got, want)
		}
	}
}
