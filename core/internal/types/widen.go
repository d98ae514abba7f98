package types

import (
	"fmt"
	"strings"
)

// Widens reports whether a column that format_type() calls formatted can become t without its values being written anew or checked: PostgreSQL changes the catalogue
// only. https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES
func (t Type) Widens(formatted string) bool {
	if was, known := Reflect(formatted); known {
		switch {
		case was.Kind == "string" && t.Kind == "string":
			return t.Values[0] > was.Values[0]
		case was.Kind == "string":
			return t.Kind == "text"
		case was.Kind == "numeric" && t.Kind == "numeric":
			return t.Values[0] > was.Values[0] && t.Values[1] == was.Values[1]
		}
		return false
	}
	// Times of fewer digits have no class here.
	var digits int
	n, _ := fmt.Sscanf(formatted, "timestamp(%d)", &digits)
	return n == 1 && formatted == strings.Replace(t.Formatted, "timestamp", fmt.Sprintf("timestamp(%d)", digits), 1)
}
