//go:build !faults

package run

import "context"

// at is a point between two steps of a load, named so that tests can have something go wrong there (hook_faults.go).
func (l *load) at(context.Context, string) error { return nil }
