package types

func init() {
	register(
		// The largest finite value of each; what is smaller than the smallest is refused by the server as well, but is never met in data.
		Definition{Kind: "float", DDL: "REAL", Formatted: "real", Order: ByNumber, Finite: "%s < 'Infinity'", Misfit: "abs((%[1]s)::numeric) BETWEEN 3.4028236e38 AND 1e1000"},
		Definition{Kind: "double", DDL: "DOUBLE PRECISION", Formatted: "double precision", Order: ByNumber, Finite: "%s < 'Infinity'", Misfit: "abs((%[1]s)::numeric) BETWEEN 1.7976931348623159e308 AND 1e1000"},
	)
}
