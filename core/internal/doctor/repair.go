package doctor

import (
	"fmt"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
)

// aside is the table that rows go to which have no place in the history: nothing is thrown away.
func (e *examination) aside() string {
	return ident.Qualified(e.Schema, ident.Derived(e.Name, "__doctor"))
}

// script is the statements in one transaction, with other writers kept out between finding a row and changing it.
func (e *examination) script(statements ...string) string {
	all := []string{"BEGIN", "LOCK TABLE " + e.SQL() + " IN SHARE ROW EXCLUSIVE MODE"}
	for _, statement := range statements {
		if strings.Contains(statement, "INSERT INTO "+e.aside()) {
			all = append(all, "CREATE TABLE IF NOT EXISTS "+e.aside()+" (LIKE "+e.SQL()+")")
			break
		}
	}
	return strings.Join(append(append(all, statements...), "COMMIT"), ";\n") + ";\n"
}

// moveAside takes rows of the line out of the table.
func (e *examination) moveAside(when string) string {
	return "WITH gone AS (\nDELETE FROM " + e.SQL() + " AS t\nUSING " + e.line(e.samePlace()+when) + " AS l\nWHERE " + e.samePlace() + "\n  AND " + laidOut(when) +
		"\nRETURNING t.*\n)\nINSERT INTO " + e.aside() + "\nSELECT * FROM gone"
}

// update changes rows of the line.
func (e *examination) update(set, when string) string {
	return "UPDATE " + e.SQL() + " AS t\nSET " + set + "\nFROM " + e.line(e.samePlace()+set+when) + " AS l\nWHERE " + e.samePlace() + "\n  AND " + laidOut(when)
}

// ends gives a version its end, and takes its flag.
func (e *examination) ends(end string) string {
	text := ident.Quote(e.Validity.ValidTo) + " = " + end
	if e.Validity.IsCurrent != "" {
		text += ", " + ident.Quote(e.Validity.IsCurrent) + " = false"
	}
	return text
}

// samePlace joins the table with its line. A place is one of its partition.
func (e *examination) samePlace() string {
	join := "t.ctid = l." + e.own("place")
	if e.Partitioned {
		join = "t.tableoid = l." + e.own("part") + " AND " + join
	}
	return join
}

// sameKey compares keys as a load does: NULL is a key.
func (e *examination) sameKey(a, b string) string {
	conditions := make([]string, len(e.keys))
	for i, name := range e.keys {
		form := "%s.%s = %s.%s"
		if !e.Column(name).NotNull {
			form = "ARRAY[%s.%s] = ARRAY[%s.%s]"
		}
		conditions[i] = fmt.Sprintf(form, a, ident.Quote(name), b, ident.Quote(name))
	}
	return strings.Join(conditions, " AND ")
}

// laidOut is a condition with each part that must hold on a line of its own; parts in parentheses stay together.
func laidOut(condition string) string {
	var text strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(condition); i++ {
		switch {
		case condition[i] == '"':
			quoted = !quoted
		case quoted: // a name, which may hold anything
		case condition[i] == '(':
			depth++
		case condition[i] == ')':
			depth--
		case depth == 0 && strings.HasPrefix(condition[i:], " AND "):
			text.WriteString("\n ")
		case depth == 1 && strings.HasPrefix(condition[i:], " OR "):
			text.WriteString("\n      ")
		}
		text.WriteByte(condition[i])
	}
	return text.String()
}
