// Package spec is the contract of what Python sends: tables, pipelines, loads. Decoding is strict and says where in the text a mistake is.
package spec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// fields are the members of one JSON object, with the path that leads to it.
type fields struct {
	path    string
	members map[string]json.RawMessage
}

// object reads one JSON object; a member that is not known is refused.
func object(text []byte, path string, known ...string) (fields, error) {
	f := fields{path: path}
	if err := json.Unmarshal(text, &f.members); err != nil {
		if _, syntax := err.(*json.SyntaxError); syntax {
			return f, fault.New(fault.InvalidSpec, "%s is malformed JSON: %s.", path, err)
		}
		return f, fault.New(fault.InvalidSpec, "%s is not a JSON object.", path)
	}
	if f.members == nil {
		return f, fault.New(fault.InvalidSpec, "%s is null, not a JSON object.", path)
	}
	for name := range f.members {
		if !slices.Contains(known, name) {
			return f, fault.New(fault.InvalidSpec, "unknown field %q in %s. Known fields: %s.", name, path, strings.Join(known, ", "))
		}
	}
	return f, nil
}

// read decodes the member of that name into a value.
func (f fields) read(name string, into any) error {
	text, found := f.members[name]
	if !found {
		return fault.New(fault.InvalidSpec, "%s lacks the field %q.", f.path, name)
	}
	if err := json.Unmarshal(text, into); err != nil || string(text) == "null" {
		return fault.New(fault.InvalidSpec, "%s.%s has a wrong type: want %s.", f.path, name, typeName(into))
	}
	return nil
}

func typeName(into any) string {
	switch into.(type) {
	case *string:
		return "a text"
	case *bool:
		return "true or false"
	case *[]string:
		return "a list of texts"
	case *[]json.RawMessage, *[][]string:
		return "a list"
	}
	return fmt.Sprintf("%T", into)[1:]
}

// trimmed reads a text and takes the white space around it away.
func (f fields) trimmed(name string, into *string) error {
	if err := f.read(name, into); err != nil {
		return err
	}
	*into = strings.TrimSpace(*into)
	return nil
}
