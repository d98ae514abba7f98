package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

// fingerprint is the first 16 bytes of a SHA-256 over schema, name, columns in order and unique constraints in sorted order, in hex.
func (t *Table) fingerprint() string {
	var text strings.Builder
	text.WriteString(t.Schema + "." + t.Name)
	for _, c := range t.Columns {
		text.WriteString("|" + c.Name + ":" + c.Type.SQL() + pick(c.Nullable, ":n", ":N") + pick(c.PrimaryKey, ":p", ":P"))
	}
	unique := make([]string, len(t.UniqueConstraints))
	for i, columns := range t.UniqueConstraints {
		unique[i] = "|U:" + strings.Join(columns, ",")
	}
	slices.Sort(unique)
	text.WriteString(strings.Join(unique, ""))
	sum := sha256.Sum256([]byte(text.String()))
	return hex.EncodeToString(sum[:16])
}

func pick(condition bool, yes, no string) string {
	if condition {
		return yes
	}
	return no
}
