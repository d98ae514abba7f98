package types

func init() { register(Definition{Kind: "boolean", DDL: "BOOLEAN", Formatted: "boolean"}) }
