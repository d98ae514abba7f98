package profile

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

// places is a home and a working folder of the test's own.
func places(t *testing.T, env map[string]string) Places {
	t.Helper()
	p := Places{Env: map[string]string{"HOME": filepath.Join(t.TempDir(), "home")}, Cwd: t.TempDir()}
	for name, value := range env {
		p.Env[name] = value
	}
	return p
}

func (p Places) write(t *testing.T, local, user string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(p.user()), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{filepath.Join(p.Cwd, localFile): local, p.user(): user} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (p Places) user() string { return filepath.Join(p.Env["HOME"], userFolder, userFile) }

func (p Places) read(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.user())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFirstPlaceWins(t *testing.T) {
	p := places(t, map[string]string{"EMATIX_FLOW_DSN_DEFAULT": "a", "EMATIX_FLOW_DSN": "b"})
	p.write(t, "[connections.default]\ndsn = \"c\"", "[connections.default]\ndsn = \"d\"")
	for _, want := range []string{"a", "b", "c", "d"} {
		found, err := p.Resolve("default")
		if err != nil || found.DSN != want {
			t.Fatalf("got %v, %v, want %s", found, err, want)
		}
		switch want { // set but empty counts as not set
		case "a":
			p.Env["EMATIX_FLOW_DSN_DEFAULT"] = ""
		case "b":
			p.Env["EMATIX_FLOW_DSN"] = ""
		case "c":
			if err := os.Remove(filepath.Join(p.Cwd, localFile)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestVariableOfAName(t *testing.T) {
	p := places(t, map[string]string{"EMATIX_FLOW_DSN_WARE_HOUSE_2_": "${x}"})
	for _, name := range []string{"ware-house.2é", "WARE HOUSE 2!"} {
		if found, err := p.Resolve(name); err != nil || found.DSN != "${x}" || found.Origin != "environment variable EMATIX_FLOW_DSN_WARE_HOUSE_2_" {
			t.Errorf("%s: got %v, %v", name, found, err)
		}
	}
	p.Env["EMATIX_FLOW_DSN"] = "only for default"
	if _, err := p.Resolve("other"); !fault.Is(err, fault.UnknownConnection) {
		t.Errorf("got %v", err)
	}
}

func TestUnknownNameListsThePlacesInOrder(t *testing.T) {
	p := places(t, nil)
	p.write(t, "[connections.b]\ndsn = 'x'\n[connections.nonexistent]\nother = 1\n", "")
	_, err := p.Resolve("nonexistent")
	want := "There is no connection \"nonexistent\". Searched, in this order:\n" +
		"  1. the environment variable EMATIX_FLOW_DSN_NONEXISTENT\n" +
		"  2. " + filepath.Join(p.Cwd, localFile) + " ([connections.nonexistent] has no dsn)\n" +
		"  3. " + p.user() + " (does not exist)\n" +
		"The files define: b. A new one is stored with `flow connections set NAME=URL`."
	if !fault.Is(err, fault.UnknownConnection) || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestURLAsNameIsNotSpread(t *testing.T) {
	p := places(t, nil)
	for _, name := range []string{"postgresql://u:Canary42@h/db", "host=h password=Canary42", "password=Can ary42"} {
		_, err := p.Resolve(name)
		if !fault.Is(err, fault.UnknownConnection) || strings.Contains(strings.ToLower(err.Error()), "ary42") {
			t.Errorf("got %v", err)
		}
		if _, err = p.Set(name, "x"); !fault.Is(err, fault.ConfigError) || strings.Contains(strings.ToLower(err.Error()), "ary42") {
			t.Errorf("got %v", err)
		}
	}
}

func TestReferencesAreReplacedOnce(t *testing.T) {
	p := places(t, map[string]string{"A": "${B}", "B_1": "two", "EMPTY": ""})
	p.write(t, `
[connections.good]
dsn = "x ${A} ${B_1} $B_1 $ ${} ${1} ${A-b} ${EMPTY}."
[connections.unset]
dsn = "postgresql://u:${MISSING}@h/db"
`, "")
	if found, err := p.Resolve("good"); err != nil || found.DSN != "x ${B} two $B_1 $ ${} ${1} ${A-b} ." {
		t.Errorf("got %q, %v", found.DSN, err)
	}
	_, err := p.Resolve("unset")
	want := "The connection \"unset\" in " + filepath.Join(p.Cwd, localFile) +
		" refers to ${MISSING}, and the environment variable MISSING is not set.\nSet MISSING, or write the value into the file."
	if !fault.Is(err, fault.UnsetVariable) || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
}

func TestInvalidFileIsNamedAndNotQuoted(t *testing.T) {
	for _, text := range []string{
		"[connections.x]\ndsn = postgresql://u:Canary42@h/db\n", "[connections.x\ndsn = \"Canary42\"", "[connections.x]\ndsn = \"Canary42\n",
		"[connections.x]\ndsn = \"a\"\ndsn = \"Canary42\"\n", "Canary42 Canary42", "[connections.x]\ndsn = \"\\Canary42\"", "\x00Canary42", "\xff\xfeCanary42",
	} {
		p := places(t, nil)
		p.write(t, text, "")
		_, err := p.Resolve("x")
		if !fault.Is(err, fault.ConfigError) || !strings.Contains(err.Error(), filepath.Join(p.Cwd, localFile)) || strings.Contains(err.Error(), "anary") {
			t.Errorf("%q: got %v", text, err)
		}
		if !strings.Contains(err.Error(), ", line ") {
			t.Errorf("%q: the line is missing: %v", text, err)
		}
		if _, _, err := p.List(); !fault.Is(err, fault.ConfigError) {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestOddFiles(t *testing.T) {
	p := places(t, nil)
	p.write(t, "[connections.x]\ndsn = 5\n[connections.y]\ndsn = 'y'", "")
	if _, err := p.Resolve("x"); !fault.Is(err, fault.ConfigError) {
		t.Errorf("a number: got %v", err)
	}
	if found, err := p.Resolve("y"); err != nil || found.DSN != "y" {
		t.Errorf("got %v, %v", found, err)
	}
	for _, text := range []string{"connections = 3", "[[connections]]\nx = 1", "[connections]\nx = 'text'", "# nothing"} {
		p.write(t, text, "")
		if _, err := p.Resolve("x"); !fault.Is(err, fault.UnknownConnection) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if err := os.Remove(filepath.Join(p.Cwd, localFile)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(p.Cwd, localFile), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resolve("x"); !fault.Is(err, fault.ConfigError) {
		t.Errorf("a folder: got %v", err)
	}
}

func TestListHidesSecretsAndSurvivesUnsetVariables(t *testing.T) {
	p := places(t, map[string]string{
		"SET": "Canary42", "EMATIX_FLOW_DSN": "postgresql://d:Canary42@h/d", "EMATIX_FLOW_DSN_EXTRA": "postgresql://e@h/d",
		"EMATIX_FLOW_DSN_WARE_HOUSE": "postgresql://env@h/d", "EMATIX_FLOW_DSN_EMPTY": "",
	})
	p.write(t, `
[connections.local]
dsn = "postgresql://l:${SET}@h/d"
[connections.unset]
dsn = "postgresql://u:${UNSET}@${HOST}/d"
[connections.whole]
dsn = "${UNSET}"
[connections.ignored]
host = "x"
`, `
[connections.local]
dsn = "postgresql://other@h/d"
[connections.ware-house]
dsn = "postgresql://file@h/d"
[connections.user]
dsn = "host=h password=Canary42"
`)
	listed, problems, err := p.List()
	if err != nil || len(problems) != 1 || !strings.Contains(problems[0], "[connections.ignored] has no dsn.") {
		t.Fatalf("got %q, %v", problems, err)
	}
	local, variable := filepath.Join(p.Cwd, localFile), "environment variable EMATIX_FLOW_DSN"
	want := []Listed{
		{"default", "postgresql://d:***@h/d", variable},
		{"extra", "postgresql://e@h/d", variable + "_EXTRA"},
		{"local", "postgresql://l:***@h/d", local},
		{"unset", "postgresql://u:***@${HOST}/d", local},
		{"user", "host=h password=***", p.user()},
		{"ware-house", "postgresql://env@h/d", variable + "_WARE_HOUSE"},
		{"whole", "${UNSET}", local},
	}
	if !reflect.DeepEqual(listed, want) {
		t.Errorf("got  %v\nwant %v", listed, want)
	}
}

func TestListTellsEntriesThatCannotBeUsed(t *testing.T) {
	for text, want := range map[string]string{
		"connections = 3":                                      "`connections` is not a table",
		"[[connections]]\nx = 'Canary42'":                      "`connections` is not a table",
		"[connections]\ndefault = 'postgresql://u:Canary42@h'": "`connections.default` is not a table",
		"[connections.default]\nurl = 'postgresql://Canary42'": "[connections.default] has no dsn",
		"[connections.default]\ndsn = 42":                      "the dsn of [connections.default] is not a text in quotes",
		"[connections]\n'postgresql://u:Canary42@h' = 1":       "`connections.***` is not a table",
	} {
		p := places(t, nil)
		p.write(t, "", text)
		listed, problems, err := p.List()
		if err != nil || len(listed) != 0 || len(problems) != 1 {
			t.Errorf("%s: got %v, %q, %v", text, listed, problems, err)
			continue
		}
		if begin := "In the connection file " + p.user() + ", " + want + "."; !strings.HasPrefix(problems[0], begin) || strings.Contains(problems[0], "Canary42") {
			t.Errorf("%s: got %s", text, problems[0])
		}
		if _, err := p.Resolve("default"); err == nil || strings.Contains(err.Error(), "Canary42") {
			t.Errorf("%s: got %v", text, err)
		}
		// A connection that is found elsewhere needs no entry here.
		p.Env["EMATIX_FLOW_DSN"] = "postgresql://h/d"
		if _, problems, err := p.List(); err != nil || strings.Contains(want, "default") && len(problems) > 0 {
			t.Errorf("%s: got %q, %v", text, problems, err)
		}
	}
}

func TestOpenFileWithAPasswordWarns(t *testing.T) {
	for text, want := range map[string]int{
		"postgresql://u:secret@h/d": 1, "postgresql://u@h/d": 0, "postgresql://u:${P}@h/d": 0, "host=h password=secret": 1, "${DSN}": 0,
	} {
		p := places(t, map[string]string{"P": "x", "DSN": "y"})
		p.write(t, "", "[connections.x]\ndsn = \""+text+"\"\n")
		for mode, wanted := range map[os.FileMode]int{0o600: 0, 0o640: want, 0o644: want} {
			if err := os.Chmod(p.user(), mode); err != nil {
				t.Fatal(err)
			}
			found, err := p.Resolve("x")
			if err != nil || len(found.Warnings) != wanted {
				t.Errorf("%s, %o: got %v, %v", text, mode, found, err)
			}
			if wanted == 1 && !strings.Contains(found.Warnings[0], "chmod 600") {
				t.Errorf("got %v", found.Warnings)
			}
		}
	}
}

func TestSetWritesAPrivateFile(t *testing.T) {
	p := places(t, nil)
	path, err := p.Set("new", "postgresql://u@h/d")
	if err != nil || path != p.user() {
		t.Fatalf("got %q, %v", path, err)
	}
	if text := p.read(t); text != "[connections.new]\ndsn = \"postgresql://u@h/d\"\n" {
		t.Errorf("got %q", text)
	}
	for path, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("left: %v", files)
	}
	// What is too open is closed.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Set("new", "x"); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestSetKeepsTheRestAsItIsWritten(t *testing.T) {
	for _, c := range []struct{ name, old, want string }{
		{"x", "# mine\n\n[connections.x] # here\ndsn   =  'old' # why\nother = 1\n\n[connections.y]\ndsn = \"${Y}\"\n[tool]\na = [1, # one\n 2]\n",
			"# mine\n\n[connections.x] # here\ndsn   =  \"NEW\" # why\nother = 1\n\n[connections.y]\ndsn = \"${Y}\"\n[tool]\na = [1, # one\n 2]\n"},
		{"x", "[connections.x]\n# no dsn yet\nother = 1", "[connections.x]\ndsn = \"NEW\"\n# no dsn yet\nother = 1"},
		{"x", "[connections.x]", "[connections.x]\ndsn = \"NEW\"\n"},
		{"x", "[connections]\nx.dsn = \"\"\"\nold\"\"\"\ny.dsn = '[connections.x]'\n", "[connections]\nx.dsn = \"NEW\"\ny.dsn = '[connections.x]'\n"},
		{"x", "connections.x.dsn = 'old'", "connections.x.dsn = \"NEW\""},
		{"x", "text = \"\"\"\n[connections.x]\ndsn = 'a'\n\"\"\"\n", "text = \"\"\"\n[connections.x]\ndsn = 'a'\n\"\"\"\n\n[connections.x]\ndsn = \"NEW\"\n"},
		{"x", "[connections.y]\r\ndsn = 'y'\r\n", "[connections.y]\r\ndsn = 'y'\r\n\n[connections.x]\ndsn = \"NEW\"\n"},
		{"a.b \"c\"", "[ connections . \"a.b \\\"c\\\"\" ]\ndsn = 'old'", "[ connections . \"a.b \\\"c\\\"\" ]\ndsn = \"NEW\""},
		{"x", "[[list]]\ndsn = 1\n[connections.x]\ndsn = 'old'\n[[list]]\n", "[[list]]\ndsn = 1\n[connections.x]\ndsn = \"NEW\"\n[[list]]\n"},
		// An inline table is written anew: its comments are lost, nothing else.
		{"x", "[connections]\nx = {dsn = 'old', k = 1} # c\n", "[connections]\n  [connections.x]\n    dsn = \"NEW\"\n    k = 1\n"},
	} {
		p := places(t, nil)
		p.write(t, "", c.old)
		if _, err := p.Set(c.name, "NEW"); err != nil {
			t.Errorf("%q: %v", c.old, err)
			continue
		}
		if text := p.read(t); text != c.want {
			t.Errorf("%q:\ngot  %q\nwant %q", c.old, text, c.want)
		}
		if found, err := p.Resolve(c.name); err != nil || found.DSN != "NEW" {
			t.Errorf("%q: got %v, %v", c.old, found, err)
		}
	}
}

func TestSetRefuses(t *testing.T) {
	p := places(t, nil)
	p.write(t, "", "not TOML")
	if _, err := p.Set("x", "y"); !fault.Is(err, fault.ConfigError) || p.read(t) != "not TOML" {
		t.Errorf("an invalid file: %v", err)
	}
	for _, text := range []string{"connections = 1", "connections.x = 1"} {
		p.write(t, "", text)
		if _, err := p.Set("x", "y"); !fault.Is(err, fault.ConfigError) || p.read(t) != text {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, pair := range [][2]string{{"", "y"}, {"x", ""}, {"a\nb", "y"}} {
		if _, err := p.Set(pair[0], pair[1]); !fault.Is(err, fault.ConfigError) {
			t.Errorf("%q: %v", pair, err)
		}
	}
	if _, err := (Places{Env: map[string]string{}}).Set("x", "y"); !fault.Is(err, fault.ConfigError) {
		t.Errorf("no HOME: %v", err)
	}
}

func TestSetRefusesSymbolicLinks(t *testing.T) {
	p := places(t, nil)
	p.write(t, "", "")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("# kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, p.user()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Set("x", "y"); !fault.Is(err, fault.ConfigError) || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link as the file: %v", err)
	}
	folder := filepath.Dir(p.user())
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(elsewhere), folder); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Set("x", "y"); !fault.Is(err, fault.ConfigError) || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("a link as the folder: %v", err)
	}
	if text, _ := os.ReadFile(elsewhere); string(text) != "# kept" {
		t.Errorf("got %q", text)
	}
}

func TestConcurrentSetsLoseNothing(t *testing.T) {
	p := places(t, nil)
	var all sync.WaitGroup
	for _, name := range strings.Split("abcdefghij", "") {
		all.Go(func() {
			if _, err := p.Set(name, "dsn of "+name); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if listed, _, err := p.List(); err != nil || len(listed) != 10 {
		t.Errorf("got %v, %v", listed, err)
	}
}

// FuzzSet stores any name and DSN into any file, and reads back the same, and everything else unchanged.
func FuzzSet(f *testing.F) {
	f.Add("x", "postgresql://u:p@h/d", "")
	f.Add("a.b", `"\`, "[connections.x]\ndsn='y'")
	f.Add("ä b", "\x01\u2028", "x = \"\"\"a\"\"\"\"\"\n[[t]]\n'q\"' = {a=[1]}\n[connections]\n'ä b'.dsn=''''x'''''#")
	f.Add("x", "y", "connections.x.dsn = 1979-05-27T07:32:00Z # c")
	f.Fuzz(func(t *testing.T, name, dsn, old string) {
		if checkName(name) != nil || dsn == "" || strings.ToValidUTF8(name+dsn, "") != name+dsn {
			t.Skip()
		}
		before, err := decode("file", old)
		if err != nil {
			t.Skip()
		}
		text, err := edited(&file{path: "file", text: old}, name, dsn)
		if err != nil {
			t.Skip() // `connections` or the entry is no table
		}
		after, err := decode("file", text)
		if err != nil {
			t.Fatalf("%q became invalid: %q: %v", old, text, err)
		}
		if before == nil {
			before = map[string]any{}
		}
		if err := put(before, name, dsn, "file"); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(before, after) && !strings.Contains(strings.ToLower(old), "nan") {
			t.Fatalf("%q became %q", old, text)
		}
	})
}
