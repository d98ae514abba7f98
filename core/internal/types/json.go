package types

func init() {
	register(
		Definition{Kind: "json", DDL: "JSON", Formatted: "json", NoEquality: true, NoGiST: true, Backslash: true},
		Definition{Kind: "jsonb", DDL: "JSONB", Formatted: "jsonb", NoGiST: true, Backslash: true},
	)
}
