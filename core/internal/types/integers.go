package types

// outside is true for numbers that do not round to a value of an integer type.
func outside(low, high string) string {
	return "round((%[1]s)::numeric) NOT BETWEEN " + low + " AND " + high
}

func init() {
	register(
		Definition{Kind: "small_int", Integer: "-32768", DDL: "SMALLINT", Formatted: "smallint", Order: ByNumber, Misfit: outside("-32768", "32767")},
		Definition{Kind: "integer", Integer: "-2147483648", DDL: "INTEGER", Formatted: "integer", Order: ByNumber, Misfit: outside("-2147483648", "2147483647")},
		Definition{Kind: "big_int", Integer: "-9223372036854775808", DDL: "BIGINT", Formatted: "bigint", Order: ByNumber, Misfit: outside("-9223372036854775808", "9223372036854775807")},
	)
}
