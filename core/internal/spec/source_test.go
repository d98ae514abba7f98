package spec

import "testing"

func TestTrimStatementRemovesOnlyWhatFollowsTheStatement(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                      "SELECT 1",
		" SELECT 1 ;\n; ":               "SELECT 1",
		"SELECT 1; -- done":             "SELECT 1",
		"SELECT 1 -- done; really":      "SELECT 1 -- done; really",
		"SELECT ';' ;":                  "SELECT ';'",
		"SELECT 'a'';b';":               "SELECT 'a'';b'",
		`SELECT E'a\';b';`:              `SELECT E'a\';b'`,
		`SELECT ";" ;/* a /* b */ ; */`: `SELECT ";"`,
		"SELECT $$;$$;":                 "SELECT $$;$$",
		"SELECT $a$;$b$;$a$ ;":          "SELECT $a$;$b$;$a$",
		"SELECT 1; SELECT 2;":           "SELECT 1; SELECT 2",
		"SELECT 1; SELECT 2":            "SELECT 1; SELECT 2",
		"SELECT a$1, $1; ":              "SELECT a$1, $1",
		"SELECT name'x';":               "SELECT name'x'",
		"SELECT B'1'; -- c":             "SELECT B'1'",
		"":                              "",
		";":                             "",
		"SELECT 'unfinished;":           "SELECT 'unfinished;",
		"SELECT 1 /* ; ":                "SELECT 1 /* ;",
		"SELECT 1; /* kept open":        "SELECT 1",
		"SELECT some_e'x;' ;":           "SELECT some_e'x;'",
	} {
		if got := TrimStatement(sql); got != want {
			t.Errorf("TrimStatement(%q) = %q, want %q", sql, got, want)
		}
	}
}
