//go:build capi

package main

// #cgo CFLAGS: -O2 -Wall -Wextra -fvisibility=hidden
// #cgo linux LDFLAGS: -Wl,--version-script=${SRCDIR}/export.map
// #cgo darwin LDFLAGS: -Wl,-exported_symbol,_PyInit__native -Wl,-undefined,dynamic_lookup
import "C"

// main is never called: a C library begins with the import of its module.
func main() {}
