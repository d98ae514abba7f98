package types

import "github.com/ematix/ematix-flow/core/internal/fault"

// maxLength is the longest VARCHAR(n) that PostgreSQL takes.
const maxLength = 10485760

func init() {
	register(
		Definition{Kind: "text", DDL: "TEXT", Formatted: "text", Order: ByText, Backslash: true},
		Definition{
			Kind: "string", Parameters: []string{"length"}, DDL: "VARCHAR(%d)", Formatted: "character varying(%d)", Order: ByText, Backslash: true,
			Check: func(t Type) error {
				if n := t.Values[0]; n < 1 || n > maxLength {
					return fault.New(fault.InvalidSpec, "string(%d): the length goes from 1 to %d characters.", n, maxLength)
				}
				return nil
			},
			// As an assignment does: only spaces may be cut from the end.
			Misfit: "char_length(rtrim((%[1]s)::text, ' ')) > %[2]d",
		},
	)
}
