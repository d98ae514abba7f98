package spec

import (
	"regexp"
	"strings"
)

// TrimStatement removes what may stand behind a statement: semicolons, white space and comments after the last semicolon. Nothing else of
// the user's SQL is touched, and a text with something behind its semicolon is returned as it is, for the server to refuse.
func TrimStatement(sql string) string {
	sql = strings.TrimSpace(sql)
	end := -1 // index of the first of the semicolons that nothing follows
	for i := 0; i < len(sql); {
		length, blank := token(sql[i:])
		switch {
		case sql[i] == ';':
			if end < 0 {
				end = i
			}
		case !blank:
			end = -1
		}
		i += length
	}
	if end < 0 {
		return sql
	}
	return strings.TrimSpace(sql[:end])
}

var dollarTag = regexp.MustCompile(`^\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$`)

// token measures what stands at the start of sql as far as it matters here: a comment, a quoted piece, or one byte.
// blank is true for white space and comments. https://www.postgresql.org/docs/current/sql-syntax-lexical.html
func token(sql string) (length int, blank bool) {
	switch c := sql[0]; {
	case strings.HasPrefix(sql, "--"):
		if i := strings.IndexByte(sql, '\n'); i >= 0 {
			return i + 1, true
		}
		return len(sql), true
	case strings.HasPrefix(sql, "/*"):
		return blockComment(sql), true
	case c == '\'' || c == '"':
		return quoted(sql, false), false
	case (c == 'e' || c == 'E') && len(sql) > 1 && sql[1] == '\'':
		return 1 + quoted(sql[1:], true), false
	case isWord(c):
		n := 1
		for n < len(sql) && (isWord(sql[n]) || sql[n] == '$') {
			n++
		}
		if n < len(sql) && sql[n] == '\'' && n == 1 {
			return 1, false // a prefix such as B'...' or U&'...'
		}
		return n, false
	case c == '$':
		if tag := dollarTag.FindString(sql); tag != "" {
			if i := strings.Index(sql[len(tag):], tag); i >= 0 {
				return 2*len(tag) + i, false
			}
			return len(sql), false
		}
		return 1, false
	default:
		return 1, strings.IndexByte(" \t\r\n\f\v", c) >= 0
	}
}

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
}

// quoted measures '...' or "...", in which the quote is doubled; with escapes a backslash takes the next byte along.
func quoted(sql string, escapes bool) int {
	for i := 1; i < len(sql); i++ {
		switch {
		case escapes && sql[i] == '\\':
			i++
		case sql[i] == sql[0]:
			if i+1 < len(sql) && sql[i+1] == sql[0] {
				i++
				continue
			}
			return i + 1
		}
	}
	return len(sql)
}

// blockComment measures /* ... */, which nests in PostgreSQL.
func blockComment(sql string) int {
	depth := 0
	for i := 0; i+1 < len(sql); i++ {
		switch sql[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(sql)
}
