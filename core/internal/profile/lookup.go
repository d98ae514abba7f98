// Package profile finds and stores named connections: in environment variables, in .ematix-flow.toml of the working folder, and in
// ~/.ematix-flow/connections.toml. It reads them anew at each call, and takes the environment from its caller: this process's own copy may
// be older than Python's.
package profile

import (
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

const (
	anyVariable     = "EMATIX_FLOW_DSN_" // and the name
	defaultVariable = "EMATIX_FLOW_DSN"  // for the name `default` only
	localFile       = ".ematix-flow.toml"
	userFolder      = ".ematix-flow"
	userFile        = "connections.toml"
)

// Places is where connections are looked for.
type Places struct {
	Env map[string]string // the environment of the calling process
	Cwd string            // its working folder
}

// Found is a connection that was looked up.
type Found struct {
	DSN      string   `json:"dsn"`
	Origin   string   `json:"origin"`
	Warnings []string `json:"warnings"` // about the file it is in
}

// Listed is a connection as it may be shown.
type Listed struct {
	Name   string `json:"name"`
	DSN    string `json:"dsn"` // redacted
	Origin string `json:"origin"`
}

// Variable is the environment variable that holds the DSN of the name.
func Variable(name string) string {
	return anyVariable + strings.ToUpper(notAlphanumeric.ReplaceAllString(name, "_"))
}

var notAlphanumeric = regexp.MustCompile(`[^A-Za-z0-9]`)

// Resolve returns the connection of the name, the first that is there. Only this entry is read: what is wrong with others does not matter.
func (p Places) Resolve(name string) (Found, error) {
	if err := checkName(name); err != nil {
		return Found{}, err
	}
	searched := []string{}
	for _, variable := range variables(name) {
		if dsn := p.Env[variable]; dsn != "" {
			return Found{dsn, "environment variable " + variable, []string{}}, nil
		}
		searched = append(searched, "the environment variable "+variable)
	}
	defined := map[string]bool{}
	for _, path := range p.files() {
		file, err := readFile(path)
		if err != nil {
			return Found{}, err
		}
		raw, found, err := file.entry(name)
		if err != nil {
			return Found{}, err
		}
		if found {
			dsn, err := interpolate(raw, p.Env)
			if err != nil {
				err.Message = fmt.Sprintf("The connection %q in %s refers to ", name, path) + err.Message
				return Found{}, err
			}
			return Found{dsn, path, file.warnings()}, nil
		}
		for _, other := range file.names() {
			if file.problem(other) == "" {
				defined[other] = true
			}
		}
		searched = append(searched, path+file.lacks(name))
	}
	if p.Env["HOME"] == "" {
		searched = append(searched, "~/"+userFolder+"/"+userFile+" (HOME is not set)")
	}
	return Found{}, unknown(name, searched, slices.Sorted(maps.Keys(defined)))
}

// List returns every connection that Resolve finds, sorted by name, without secrets. An entry whose variables are not set is shown as it is
// written. The second answer has a sentence for each entry that cannot be used, of names that are found nowhere else.
func (p Places) List() ([]Listed, []string, error) {
	listed := map[string]Listed{}
	problems := map[string][]string{} // by name; "" has those of whole files
	for _, path := range p.files() {
		file, err := readFile(path)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range append(file.names(), "") {
			if problem := file.problem(name); problem != "" {
				problems[name] = append(problems[name], fmt.Sprintf("In the connection file %s, %s. %s", path, problem, form))
			}
			if _, seen := listed[name]; seen {
				continue
			}
			raw, found, err := file.entry(name)
			if err != nil || !found {
				continue
			}
			listed[name] = Listed{name, p.shown(raw), path}
		}
	}
	// A variable stands before the files. Its name is that of an entry which it overrides, or its own in lower case.
	overridden := map[string]bool{}
	for name := range listed {
		for _, variable := range slices.Backward(variables(name)) {
			if dsn := p.Env[variable]; dsn != "" {
				listed[name] = Listed{name, pg.Redact(dsn), "environment variable " + variable}
				overridden[variable] = true
			}
		}
	}
	for _, variable := range slices.Sorted(maps.Keys(p.Env)) {
		suffix, ours := strings.CutPrefix(variable, anyVariable)
		if variable == defaultVariable {
			suffix, ours = "default", true
		}
		name := strings.ToLower(suffix)
		dsn := p.Env[variable]
		if !ours || name == "" || dsn == "" || overridden[variable] || Variable(name) != anyVariable+strings.ToUpper(suffix) {
			continue
		}
		if _, seen := listed[name]; seen && variable == defaultVariable {
			continue
		}
		listed[name] = Listed{name, pg.Redact(dsn), "environment variable " + variable}
	}
	told := []string{}
	for _, name := range slices.Sorted(maps.Keys(problems)) {
		if _, found := listed[name]; !found {
			told = append(told, problems[name]...)
		}
	}
	return slices.SortedFunc(maps.Values(listed), func(a, b Listed) int { return strings.Compare(a.Name, b.Name) }), told, nil
}

// form is how an entry is written.
const form = "An entry is written as two lines: [connections.NAME] and dsn = \"postgresql://USER@HOST/DATABASE\"."

// shown is a DSN as it may be shown, with the references that cannot be replaced as they are written.
func (p Places) shown(raw string) string {
	if onlyReference.MatchString(raw) && p.Env[raw[2:len(raw)-1]] == "" {
		return raw
	}
	if dsn, err := interpolate(raw, p.Env); err == nil {
		return pg.Redact(dsn)
	}
	// ${NAME} is neither a host nor a port: digits stand in for it while the text is taken apart.
	written := []string{}
	standIn := reference.ReplaceAllStringFunc(raw, func(found string) string {
		written = append(written, found, fmt.Sprintf("%d", standInBase+len(written)))
		return written[len(written)-1]
	})
	for i := 0; i < len(written); i += 2 {
		if strings.Contains(raw, written[i+1]) {
			return pg.Redact(raw)
		}
	}
	shown := pg.Redact(standIn)
	for i := 0; i < len(written); i += 2 {
		shown = strings.Replace(shown, written[i+1], written[i], 1)
	}
	return shown
}

// standInBase is a number that no DSN has: a text which does is shown without this help.
const standInBase = 7_310_460_000

// variables are those that may hold the name's DSN, the first that counts first.
func variables(name string) []string {
	if name == "default" {
		return []string{Variable(name), defaultVariable}
	}
	return []string{Variable(name)}
}

// files are the files to look into, the first that counts first.
func (p Places) files() []string {
	files := []string{filepath.Join(p.Cwd, localFile)}
	if home := p.Env["HOME"]; home != "" {
		if path := filepath.Join(home, userFolder, userFile); path != files[0] {
			files = append(files, path)
		}
	}
	return files
}

// checkName refuses what cannot be a name, and above all a URL: it must not be spread over messages and names of variables.
func checkName(name string) error {
	switch {
	case name == "":
		return fault.New(fault.UnknownConnection, "The name of the connection is empty.")
	case strings.Contains(name, "://") || strings.Contains(name, "="):
		return fault.New(fault.UnknownConnection, "%s is a connection string, not the name of a connection.", pg.Redact(name)).
			WithHint("Give a URL as connect(url=...), or store it under a name with `flow connections set NAME=URL`.")
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fault.New(fault.UnknownConnection, "The name of the connection %q has a control character.", name)
	}
	return nil
}

func unknown(name string, searched, defined []string) error {
	message := fmt.Sprintf("There is no connection %q. Searched, in this order:", name)
	for number, place := range searched {
		message += fmt.Sprintf("\n  %d. %s", number+1, place)
	}
	e := fault.New(fault.UnknownConnection, "%s", message)
	if len(defined) > 0 {
		return e.WithHint("The files define: %s. A new one is stored with `flow connections set NAME=URL`.", strings.Join(defined, ", "))
	}
	return e.WithHint("Set the variable, or store the connection with `flow connections set NAME=URL`.")
}
