package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/pg"
)

// maxFile is far more than anybody's connections, and little enough to read at each call.
const maxFile = 1 << 20 // bytes

// file is a connection file as it was read. One that does not exist has no entries.
type file struct {
	path   string
	exists bool
	mode   fs.FileMode
	text   string
	tables map[string]any
}

func readFile(path string) (*file, error) {
	f := &file{path: path, tables: map[string]any{}}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return f, nil
	case err != nil:
		return nil, unreadable(path, err)
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.ConfigError, "The connection file %s is not a regular file.", path)
	case info.Size() > maxFile:
		return nil, fault.New(fault.ConfigError, "The connection file %s is too large: %d bytes, of at most %d.", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	f.exists, f.mode, f.text = true, info.Mode(), string(text)
	f.tables, err = decode(path, f.text)
	return f, err
}

// decode reads TOML. What is wrong is told by its place only: the text of the line may hold a password.
func decode(path, text string) (tables map[string]any, err error) {
	defer func() { // the parser is fed with whatever a file holds
		if p := recover(); p != nil {
			tables, err = nil, fault.New(fault.ConfigError, "The connection file %s is not valid TOML.", path)
		}
	}()
	if _, err := toml.Decode(text, &tables); err != nil {
		where := ""
		var parse toml.ParseError
		if errors.As(err, &parse) {
			where = fmt.Sprintf(", line %d", parse.Position.Line)
		}
		return nil, fault.New(fault.ConfigError, "The connection file %s is not valid TOML%s. The line is not shown, since it may hold a password.", path, where).
			WithHint(form)
	}
	return tables, nil
}

func unreadable(path string, err error) error {
	reason := err
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		reason = pathError.Err
	}
	return fault.New(fault.ConfigError, "The connection file %s cannot be read: %s.", path, reason).Because(err)
}

func (f *file) connections() map[string]any {
	connections, _ := f.tables["connections"].(map[string]any)
	return connections
}

func (f *file) names() []string { return slices.Sorted(maps.Keys(f.connections())) }

// entry is the text of the name's DSN as it is written. An entry without one does not count.
func (f *file) entry(name string) (string, bool, error) {
	table, _ := f.connections()[name].(map[string]any)
	switch dsn := table["dsn"].(type) {
	case nil:
		return "", false, nil
	case string:
		return dsn, true, nil
	default:
		return "", false, fault.New(fault.ConfigError, "In the connection file %s, the dsn of [connections.%s] is not a text in quotes.", f.path, key(name))
	}
}

// lacks says why the name was not found here.
func (f *file) lacks(name string) string {
	if !f.exists {
		return " (does not exist)"
	}
	if problem := f.problem(name); problem != "" {
		return " (" + problem + ")"
	}
	return fmt.Sprintf(" (has no [connections.%s] with a dsn)", key(name))
}

// problem says why an entry that is there cannot be used, without its values. It is "" where there is no such entry, and for a good one.
func (f *file) problem(name string) string {
	if connections := f.tables["connections"]; connections != nil && f.connections() == nil {
		return "`connections` is not a table"
	}
	entry, there := f.connections()[name]
	if !there {
		return ""
	}
	shown := key(name)
	if checkName(name) != nil { // perhaps a URL
		shown = "***"
	}
	table, isTable := entry.(map[string]any)
	if !isTable {
		return fmt.Sprintf("`connections.%s` is not a table", shown)
	}
	switch table["dsn"].(type) {
	case string:
		return ""
	case nil:
		return fmt.Sprintf("[connections.%s] has no dsn", shown)
	default:
		return fmt.Sprintf("the dsn of [connections.%s] is not a text in quotes", shown)
	}
}

// warnings are about a file that others may read although it holds a password.
func (f *file) warnings() []string {
	if f.mode.Perm()&0o077 == 0 {
		return []string{}
	}
	for _, name := range f.names() {
		raw, found, _ := f.entry(name)
		written := reference.ReplaceAllString(raw, "") // a reference is no secret
		if found && strings.Contains(pg.Redact(written), "***") && written != "" {
			return []string{fmt.Sprintf("%s holds a password and may be read by other users (mode %04o). Close it with: chmod 600 %s", f.path, f.mode.Perm(), f.path)}
		}
	}
	return []string{}
}
