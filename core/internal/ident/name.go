// Package ident writes names and values into SQL: the only quoting, the only literals.
package ident

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// maxBytes is what PostgreSQL keeps of a name (NAMEDATALEN - 1); it cuts longer ones in silence.
const maxBytes = 63

// Check refuses names that PostgreSQL cannot hold; what says which name it is, for the message.
func Check(what, name string) error {
	switch {
	case name == "":
		return fault.New(fault.InvalidIdentifier, "The %s is empty.", what)
	case !utf8.ValidString(name):
		return fault.New(fault.InvalidIdentifier, "The %s %q is not valid UTF-8.", what, name)
	case strings.ContainsRune(name, 0):
		return fault.New(fault.InvalidIdentifier, "The %s %q holds a NUL character, which PostgreSQL cannot store.", what, name)
	case len(name) > maxBytes:
		return fault.New(fault.InvalidIdentifier, "The %s %q has %d bytes of UTF-8; PostgreSQL keeps %d.", what, name, len(name), maxBytes).
			WithHint("Choose a shorter name: PostgreSQL would cut it in silence.")
	}
	return nil
}

// Derived is name with a suffix. Where that would be too long the name is cut, and a part of its hash keeps two long names apart.
func Derived(name, suffix string) string {
	if len(name)+len(suffix) <= maxBytes {
		return name + suffix
	}
	sum := sha256.Sum256([]byte(name))
	suffix = "_" + hex.EncodeToString(sum[:4]) + suffix
	cut := maxBytes - len(suffix)
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + suffix
}
