package ident

import (
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Split reads a name as SQL does: parts between dots, a part in double quotes as it stands, any other folded to lower case.
func Split(text string) ([]string, error) {
	var parts []string
	for rest := text; ; {
		part, after, ok := splitPart(rest)
		if !ok {
			return nil, fault.New(fault.InvalidIdentifier, "%q is no name of a table.", text).
				WithHint(`A table is written schema.table; a part with capitals, dots or other characters stands in double quotes: sales."Order Lines".`)
		}
		if err := Check("name", part); err != nil {
			return nil, err
		}
		parts = append(parts, part)
		if after == "" {
			return parts, nil
		}
		rest = after[1:]
	}
}

// splitPart is the first part of a name, and what comes after it: nothing, or a dot and more.
func splitPart(text string) (part, after string, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		end := strings.IndexByte(text, '.')
		if end < 0 {
			end = len(text)
		}
		part = foldASCII(text[:end])
		return part, text[end:], part != "" && !strings.ContainsAny(part, "\" \t\r\n()'`;,")
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != '"':
		case strings.HasPrefix(text[i:], `""`):
			i++
		default:
			after = text[i+1:]
			return strings.ReplaceAll(text[1:i], `""`, `"`), after, i > 1 && (after == "" || after[0] == '.' && len(after) > 1)
		}
	}
	return "", "", false
}

// foldASCII folds as the server does in UTF-8 databases: ASCII letters only.
func foldASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}
