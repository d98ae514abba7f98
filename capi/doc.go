//go:build capi

// Package main is the C library behind the Python module ematix_flow._native: module.c is what Python sees, call.go and arrow.go what C
// sees, and both hold no logic. A call is decoded here, done by package core, and its answer encoded here.
//
// # Who frees what
//
//	message of submit        Python's; copied before submit returns
//	Arrow stream of submit   moved out of its capsule at once; released by the goroutine of the call, used or not
//	handle of a call         a capsule; its destructor cancels a call that nobody waits for any more, and forgets it
//	texts from Go            C memory; module.c frees them as soon as they are Python strings
//	Arrow stream of take     the struct is C memory of its capsule; a consumer moves it out and owns it from then on
//	schemas, arrays, blocks  C memory, freed by the release callbacks of arrow.c, which run no Go
//
// # Which thread
//
// Entries of the module run on Python's threads and hold the GIL; wait gives it back while it sleeps. Work is done by one goroutine for each
// call. Go never calls Python; a stream that comes in may do so in its own callbacks, which are called by the goroutine, without the GIL.
// Callbacks of streams that go out run on whatever thread their consumer likes, with or without the GIL, one at a time for a stream: they never
// touch Python, and releasing only signals, it never waits for the network.
//
// # Fork
//
// Go has threads, and a child of fork has none of them: a call into Go would wait for ever. Every entry of module.c and every callback of arrow.c
// compares the process id first. Entries then raise ForkUnsafeError, callbacks fail or leak.
//
// # Build
//
// All files stand behind the tag capi, so that the rest of the module builds without Python's headers. export.map keeps every symbol but
// PyInit__native out of the library's table.
package main
