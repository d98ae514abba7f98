package types

func init() { register(Definition{Kind: "uuid", DDL: "UUID", Formatted: "uuid"}) }
