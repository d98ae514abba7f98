package ident

import "strings"

// Literal is text as a string constant, for the places where SQL takes no parameter. It is right whatever
// standard_conforming_strings says: with a backslash in the text the E form is used. The text is valid UTF-8 without NUL.
func Literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.ContainsRune(text, '\\') {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
