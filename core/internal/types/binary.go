package types

func init() {
	// The text form of bytea begins with \x.
	register(Definition{Kind: "bytes", DDL: "BYTEA", Formatted: "bytea", Backslash: true})
}
