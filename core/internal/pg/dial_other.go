//go:build !linux

package pg

import "syscall"

// userTimeout is an option of Linux. Elsewhere keepalive alone finds out that a peer is gone.
func userTimeout(string, string, syscall.RawConn) error { return nil }
