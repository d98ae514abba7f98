package types

func init() {
	register(
		Definition{Kind: "date", DDL: "DATE", Formatted: "date", Order: ByTime, Finite: "isfinite(%s)"},
		Definition{Kind: "timestamp", DDL: "TIMESTAMP", Formatted: "timestamp without time zone", Order: ByTime, Finite: "isfinite(%s)"},
		Definition{Kind: "timestamp_tz", DDL: "TIMESTAMPTZ", Formatted: "timestamp with time zone", Order: ByTime, Finite: "isfinite(%s)"},
	)
}
