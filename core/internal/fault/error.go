package fault

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Error is every error that leaves the engine. Its text is Message, then Hint; Detail stays apart because it may hold values of rows.
type Error struct {
	Kind      Kind
	Message   string // what, where, and what became of the data
	Hint      string // what to do
	Detail    string // the server's own words, only for who asks
	SQLState  string
	Phase     string
	RunID     string
	Retryable bool

	cause error
}

func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + "\n" + e.Hint
}

func (e *Error) Unwrap() error { return e.cause }

// New makes an error of a kind.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// WithHint adds the remedy.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Because keeps the error that led to this one, for errors.Is and errors.As; its text is not shown.
func (e *Error) Because(cause error) *Error {
	e.cause = cause
	return e
}

// NotBuilt says that a documented option is not there yet.
func NotBuilt(what string) *Error {
	return New(NotImplemented, "%s is not implemented yet.", what)
}

// Is reports whether err is an *Error of the kind.
func Is(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

// Recovered turns what recover() gave into an InternalError. The stack goes into Detail: it names code, never values.
func Recovered(what string, panicked any) *Error {
	e := New(InternalError, "Internal error in %s: %v", what, panicked).
		WithHint("This is a defect of ematix-flow; later calls keep working. Please report it with the detail of this error.")
	e.Detail = string(debug.Stack())
	return e
}
