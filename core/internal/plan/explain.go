package plan

import (
	"fmt"
	"strings"
)

// Text is the plan for people: every statement with what it is for.
func (p *Plan) Text() string {
	var text strings.Builder
	for i, step := range p.Steps {
		fmt.Fprintf(&text, "-- %d. %s: %s\n", i+1, step.Name, step.Why)
		if step.Quick != "" {
			fmt.Fprintf(&text, "%s;\n-- only where that is not 0:\n", step.Quick)
		}
		if step.Extract != "" {
			text.WriteString("-- on the source:\n" + step.Extract + ";\n-- into:\n")
		}
		if step.Few != "" {
			text.WriteString("-- when few rows are staged:\n" + step.Few + ";\n-- otherwise:\n")
		}
		if step.Many {
			text.WriteString("-- only when many rows are staged:\n")
		}
		text.WriteString(step.SQL + ";")
		for n, parameter := range step.Parameters {
			fmt.Fprintf(&text, "  -- $%d: %s", n+1, parameter)
		}
		text.WriteString("\n\n")
	}
	return strings.TrimRight(text.String(), "\n") + "\n"
}
