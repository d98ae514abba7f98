package profile

import (
	"fmt"
	"regexp"
	"strings"
)

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// key is a name as TOML writes it in a header.
func key(name string) string {
	if bareKey.MatchString(name) {
		return name
	}
	return quoted(name)
}

// quoted is a TOML basic string.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// statement is a table header or a key with its value, in a text that is valid TOML.
type statement struct {
	path  []string // of the table, or of the table and the key
	value int      // where the value begins; -1 for a header
	end   int      // behind the header or the value
}

// statements finds the headers and keys of a TOML text. It need not understand values, only where they end; whoever uses it reads the result
// with the real parser.
func statements(text string) []statement {
	found := []statement{}
	table := []string{}
	s := scanner{text: text}
	for s.skip(" \t\r\n"); s.at < len(text); s.skip(" \t\r\n") {
		start := s.at
		switch {
		case text[s.at] == '#':
			s.comment()
		case text[s.at] == '[':
			array := strings.HasPrefix(text[s.at:], "[[")
			s.skip("[")
			table = s.keys()
			s.skip("]")
			if array {
				table = []string{"[["} // no path of ours leads into an array of tables
			}
			found = append(found, statement{table, -1, s.at})
		default:
			path := append(append([]string{}, table...), s.keys()...)
			s.skip("= \t")
			value := s.at
			s.value()
			found = append(found, statement{path, value, s.at})
		}
		if s.at == start {
			return found // not TOML as this scanner knows it
		}
	}
	return found
}

type scanner struct {
	text string
	at   int
}

func (s *scanner) skip(characters string) {
	for s.at < len(s.text) && strings.IndexByte(characters, s.text[s.at]) >= 0 {
		s.at++
	}
}

func (s *scanner) comment() {
	for s.at < len(s.text) && s.text[s.at] != '\n' {
		s.at++
	}
}

// keys reads a dotted key.
func (s *scanner) keys() []string {
	keys := []string{}
	for {
		s.skip(" \t")
		start := s.at
		if s.at < len(s.text) && (s.text[s.at] == '"' || s.text[s.at] == '\'') {
			s.quoted()
			keys = append(keys, unquoted(s.text[start:s.at]))
		} else {
			for s.at < len(s.text) && strings.IndexByte(".=]\r\n \t", s.text[s.at]) < 0 {
				s.at++
			}
			keys = append(keys, s.text[start:s.at])
		}
		s.skip(" \t")
		if s.at >= len(s.text) || s.text[s.at] != '.' {
			return keys
		}
		s.at++
	}
}

// value goes to the end of a value: a string, or anything else up to the end of the line or a comment, over the lines of brackets.
func (s *scanner) value() {
	depth := 0
	end := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"' || c == '\'':
			s.quoted()
			end = s.at
			continue
		case c == '#':
			if depth == 0 {
				s.at = end
				return
			}
			s.comment()
			continue
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == '\n' && depth <= 0:
			s.at = end
			return
		}
		if strings.IndexByte(" \t\r\n", s.text[s.at]) < 0 {
			end = s.at + 1
		}
		s.at++
	}
	s.at = end
}

// quoted goes behind a string of any of the four kinds.
func (s *scanner) quoted() {
	mark := s.text[s.at : s.at+1]
	if triple := strings.Repeat(mark, 3); strings.HasPrefix(s.text[s.at:], triple) {
		mark = triple
	}
	s.at += len(mark)
	for s.at < len(s.text) && !strings.HasPrefix(s.text[s.at:], mark) {
		if s.text[s.at] == '\\' && mark[0] == '"' {
			s.at++
		}
		s.at++
	}
	s.at = min(s.at+len(mark), len(s.text))
	// Up to two quotes may stand before the closing three.
	for range 2 {
		if len(mark) == 3 && s.at < len(s.text) && s.text[s.at] == mark[0] {
			s.at++
		}
	}
}

// unquoted is the text of a quoted key, by the real parser.
func unquoted(text string) string {
	tables, err := decode("", "x = "+text)
	if value, isText := tables["x"].(string); err == nil && isText {
		return value
	}
	return text
}
