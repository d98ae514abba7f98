package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Contract is the version of the messages. Python sends the one it was written for, and any other is refused.
const Contract = 1

// Limits of a message: more is a mistake or an attack, never a pipeline.
const (
	maxMessage = 64 << 20 // bytes
	maxDepth   = 64       // nested arrays and objects
)

type message struct {
	Contract int               `json:"contract"`
	Env      map[string]string `json:"env"`
	Args     json.RawMessage   `json:"args"`
}

func decodeMessage(text []byte) (*message, error) {
	if len(text) > maxMessage {
		return nil, fault.New(fault.InvalidSpec, "The message is too large: %d bytes, of at most %d.", len(text), maxMessage)
	}
	if depth(text) > maxDepth {
		return nil, fault.New(fault.InvalidSpec, "The message is nested too deeply: more than %d levels.", maxDepth)
	}
	var m message
	if err := decodeStrict(text, &m); err != nil {
		return nil, err
	}
	if m.Contract != Contract {
		return nil, fault.New(fault.InvalidSpec, "The message has contract version %d, this engine speaks %d.", m.Contract, Contract).
			WithHint("The Python package and its compiled module are of different versions: install ematix-flow again.")
	}
	if m.Args == nil {
		m.Args = json.RawMessage("{}")
	}
	return &m, nil
}

// decodeStrict decodes one JSON value and nothing behind it; unknown fields are errors.
func decodeStrict(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil && d.More() {
		err = errors.New("there is text after the value")
	}
	var said *fault.Error
	if errors.As(err, &said) {
		return said // of an argument that decodes itself
	}
	if err != nil {
		return fault.New(fault.InvalidSpec, "The message is not valid JSON of this contract: %s.", strings.TrimPrefix(err.Error(), "json: ")).Because(err)
	}
	return nil
}

// depth is the deepest nesting of arrays and objects, without decoding.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}

// errorReply is an error as it travels to Python.
type errorReply struct {
	Kind      fault.Kind `json:"kind"`
	Message   string     `json:"message"`
	Hint      string     `json:"hint"`
	Detail    string     `json:"detail"`
	SQLState  string     `json:"sqlstate"`
	Phase     string     `json:"phase"`
	RunID     string     `json:"run_id"`
	Retryable bool       `json:"retryable"`
}

// encodeReply makes the answer of an operation.
func encodeReply(value any, failed error) []byte {
	if failed == nil {
		text, err := json.Marshal(map[string]any{"ok": value})
		if err == nil {
			return text
		}
		failed = fault.New(fault.InternalError, "The answer cannot be written as JSON: %s.", err)
	}
	var e *fault.Error
	if !errors.As(failed, &e) {
		e = fault.New(fault.InternalError, "%s", failed)
	}
	text, err := json.Marshal(map[string]any{"error": errorReply{e.Kind, e.Message, e.Hint, e.Detail, e.SQLState, e.Phase, e.RunID, e.Retryable}})
	if err != nil {
		return []byte(`{"error": {"kind": "internal_error", "message": "The error cannot be written as JSON."}}`)
	}
	return text
}
