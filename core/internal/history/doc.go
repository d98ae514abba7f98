// Package history reads what happened to a table: the runs that were recorded, and the versions of a key with what changed between them. It writes nothing but the
// mark of runs whose process died, and makes nothing.
package history
