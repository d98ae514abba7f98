package types

import "github.com/ematix/ematix-flow/core/internal/fault"

func init() {
	register(Definition{
		Kind: "numeric", Parameters: []string{"precision", "scale"}, DDL: "NUMERIC(%d,%d)", Formatted: "numeric(%d,%d)",
		Order: ByNumber, Finite: "%s <> 'NaN'",
		Check: func(t Type) error {
			// 1000 is what PostgreSQL takes; a negative scale or one above the precision is not offered by the declaration.
			if p, s := t.Values[0], t.Values[1]; p < 1 || p > 1000 || s < 0 || s > p {
				return fault.New(fault.InvalidSpec, "numeric(%d, %d): the precision goes from 1 to 1000, the scale from 0 to the precision.", p, s)
			}
			return nil
		},
		Misfit: "(%[1]s)::numeric <> 'NaN' AND abs(round((%[1]s)::numeric, %[3]d)) >= 10::numeric ^ (%[2]d - %[3]d)",
	})
}
