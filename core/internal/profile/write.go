package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"

	"github.com/BurntSushi/toml"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// Set writes the DSN of a name into the user's own file and returns its path. Whatever else is in the file stays as it is written, comments
// and ${NAME} references too. The file is replaced by a rename, so a reader sees the old one or the new one.
func (p Places) Set(name, dsn string) (string, error) {
	if err := checkName(name); err != nil {
		return "", fault.New(fault.ConfigError, "%s", err)
	}
	if dsn == "" {
		return "", fault.New(fault.ConfigError, "The connection string for %q is empty.", name)
	}
	home := p.Env["HOME"]
	if home == "" {
		return "", fault.New(fault.ConfigError, "HOME is not set, so there is no place for ~/%s/%s.", userFolder, userFile)
	}
	folder := filepath.Join(home, userFolder)
	path := filepath.Join(folder, userFile)
	unlock, err := lockFolder(folder)
	if err != nil {
		return "", err
	}
	defer unlock()
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return "", fault.New(fault.ConfigError, "%s is %s and is not overwritten.", path, what(info)).
			WithHint("Edit the file it points to, or remove it.")
	}
	old, err := readFile(path)
	if err != nil {
		return "", err
	}
	text, err := edited(old, name, dsn)
	if err != nil {
		return "", err
	}
	if err := replace(folder, path, text); err != nil {
		return "", fault.New(fault.ConfigError, "%s cannot be written: %s.", path, err).Because(err)
	}
	return path, nil
}

// lockFolder makes the folder, private, and holds it against other writers: each reads, changes and replaces the file.
func lockFolder(folder string) (unlock func(), err error) {
	failed := func(err error) error {
		return fault.New(fault.ConfigError, "The folder %s cannot be used: %s.", folder, err).Because(err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, failed(err)
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return nil, failed(err)
	}
	if !info.IsDir() {
		return nil, fault.New(fault.ConfigError, "%s is %s and is not written into.", folder, what(info)).
			WithHint("Connections are stored in a folder of that name: replace it by one.")
	}
	if info.Mode().Perm() != 0o700 {
		if err := os.Chmod(folder, 0o700); err != nil {
			return nil, failed(err)
		}
	}
	handle, err := os.Open(folder)
	if err != nil {
		return nil, failed(err)
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(handle.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		_ = handle.Close()
		return nil, failed(err)
	}
	return func() { _ = handle.Close() }, nil
}

func what(info fs.FileInfo) string {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return "a symbolic link"
	case info.IsDir():
		return "a folder"
	default:
		return "not a regular file"
	}
}

// edited is the file's text with the entry: changed in place where it is written plainly, added at the end where it is missing. Both are
// checked by reading the result. Where neither fits (inline tables) the file is written anew, which costs its comments only.
func edited(old *file, name, dsn string) (string, error) {
	wanted, err := decode(old.path, old.text)
	if err != nil {
		return "", err
	}
	if wanted == nil {
		wanted = map[string]any{}
	}
	if err := put(wanted, name, dsn, old.path); err != nil {
		return "", err
	}
	for _, text := range []string{changed(old.text, name, dsn), appended(old.text, name, dsn)} {
		if text == "" {
			continue
		}
		if got, err := decode(old.path, text); err == nil && reflect.DeepEqual(got, wanted) {
			return text, nil
		}
	}
	var text strings.Builder
	if err := toml.NewEncoder(&text).Encode(wanted); err != nil {
		return "", fault.New(fault.ConfigError, "The connection file %s cannot be changed: edit it by hand.", old.path)
	}
	return text.String(), nil
}

func put(tables map[string]any, name, dsn, path string) error {
	connections, isTable := tables["connections"].(map[string]any)
	if !isTable {
		if tables["connections"] != nil {
			return fault.New(fault.ConfigError, "In the connection file %s, `connections` is not a table.", path)
		}
		connections = map[string]any{}
		tables["connections"] = connections
	}
	entry, isTable := connections[name].(map[string]any)
	if !isTable {
		if connections[name] != nil {
			return fault.New(fault.ConfigError, "In the connection file %s, `connections.%s` is not a table.", path, key(name))
		}
		entry = map[string]any{}
		connections[name] = entry
	}
	entry["dsn"] = dsn
	return nil
}

func appended(text, name, dsn string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if text != "" {
		text += "\n"
	}
	return text + fmt.Sprintf("[connections.%s]\ndsn = %s\n", key(name), quoted(dsn))
}

// changed replaces the value of the entry's dsn, or adds one below the entry's header. Without either the text is "".
func changed(text, name, dsn string) string {
	entry := []string{"connections", name}
	header := -1
	for _, s := range statements(text) {
		switch {
		case s.value < 0 && reflect.DeepEqual(s.path, entry):
			header = s.end
		case s.value >= 0 && reflect.DeepEqual(s.path, append(entry, "dsn")):
			return text[:s.value] + quoted(dsn) + text[s.end:]
		}
	}
	if header < 0 {
		return ""
	}
	line := strings.IndexByte(text[header:], '\n')
	if line < 0 {
		return text + "\ndsn = " + quoted(dsn) + "\n"
	}
	return text[:header+line+1] + "dsn = " + quoted(dsn) + "\n" + text[header+line+1:]
}

// replace writes a private file beside the path, makes it durable and renames it.
func replace(folder, path, text string) error {
	temporary, err := os.CreateTemp(folder, "."+userFile+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.WriteString(text)
	if err == nil {
		err = temporary.Sync()
	}
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	return err
}
