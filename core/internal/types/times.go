package types

func init() {
	register(
		Definition{Kind: "date", DDL: "DATE", Formatted: "date"},
		Definition{Kind: "timestamp", DDL: "TIMESTAMP", Formatted: "timestamp without time zone"},
		Definition{Kind: "timestamp_tz", DDL: "TIMESTAMPTZ", Formatted: "timestamp with time zone"},
	)
}
