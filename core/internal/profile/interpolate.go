package profile

import (
	"regexp"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

var (
	reference     = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
	onlyReference = regexp.MustCompile(`^` + reference.String() + `$`)
)

// interpolate replaces each ${NAME} by the environment variable, once: the value itself is not looked at. Anything else with a $ stays. The
// error ends a sentence that its caller begins.
func interpolate(text string, env map[string]string) (string, *fault.Error) {
	var failed *fault.Error
	replaced := reference.ReplaceAllStringFunc(text, func(found string) string {
		name := found[2 : len(found)-1]
		value, set := env[name]
		if !set && failed == nil {
			failed = fault.New(fault.UnsetVariable, "${%s}, and the environment variable %s is not set.", name, name).
				WithHint("Set %s, or write the value into the file.", name)
		}
		return value
	})
	return replaced, failed
}
