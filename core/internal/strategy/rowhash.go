package strategy

import (
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/ident"
)

// rowHash is the SHA-256 over the compare columns as text, in the order of declaration. A backslash in a value is doubled, so that no value can look like
// the separator or like NULL. The session's settings are pinned when it is computed, so the text of a value is always the same.
func rowHash(r Request, alias string) string {
	var pieces []string
	for _, c := range r.Table.Columns {
		if !slices.Contains(r.Load.CompareColumns, c.Name) {
			continue
		}
		text := alias + "." + ident.Quote(c.Name) + "::text"
		if c.Type.Backslash {
			text = "replace(" + text + `, '\', '\\')`
		}
		pieces = append(pieces, "coalesce("+text+`, '\x00NULL\x00')`)
	}
	return "sha256(convert_to(" + strings.Join(pieces, ` || '\x01' || `) + ", 'UTF8'))"
}
