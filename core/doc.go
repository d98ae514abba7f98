// Package core is the engine: one method of Engine per operation, and a registry (ops.go) that decodes a message, calls the method and
// encodes what it returns. Package capi stands before it, Python before that.
//
// A message is JSON, {"contract": 1, "env": {...}, "args": {...}}: env holds the PG*, EMATIX_FLOW_* and HOME variables of the calling process
// as they are now (Go's own copy is from the time the library was loaded), args the arguments of the operation. An unknown field at any
// level is refused. The answer is JSON too, {"ok": value} or {"error": {...}}; rows never travel in it but as an Arrow stream beside it.
package core
