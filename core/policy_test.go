package core

import (
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ematix/ematix-flow/"

// layers are the directions of imports: a package imports its own layer and those below it.
var layers = [][]string{
	{"capi"},
	{"core"},
	{"core/internal/doctor"},
	{"core/internal/run", "core/internal/frame", "core/internal/history", "core/internal/feature", "core/internal/schedule", "core/internal/profile"},
	{"core/internal/plan", "core/internal/meta", "core/internal/pg"},
	{"core/internal/strategy", "core/internal/ddl"},
	{"core/internal/spec"}, // a column holds its type
	{"core/internal/types"},
	{"core/internal/ident", "core/internal/fault"},
}

// reserved are libraries that belong to some packages only.
var reserved = map[string][]string{
	"github.com/jackc/pgx":                        {"core/internal/pg", "core/internal/meta", "core/internal/run", "core/internal/frame", "core/internal/feature", "core/internal/history", "core/internal/doctor"},
	"github.com/apache/arrow-go":                  {"core/internal/frame", "capi"},
	"github.com/BurntSushi/toml":                  {"core/internal/profile"},
	"github.com/robfig/cron":                      {"core/internal/schedule"},
	"C":                                           {"capi", "core/internal/frame"},
	"database/sql":                                nil,
	module + "core/internal/testkit":              nil,
	"github.com/apache/arrow-go/v18/parquet":      nil, // these would double the library
	"github.com/apache/arrow-go/v18/arrow/flight": nil,
	"google.golang.org/grpc":                      nil,
}

// imports are what each package of this repository imports outside its tests, by its folder.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	context := build.Default
	context.CgoEnabled = true
	context.BuildTags = []string{"capi"}
	found := map[string][]string{}
	for _, top := range []string{"core", "capi"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(folder string, entry os.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			if entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			pkg, err := context.ImportDir(folder, 0)
			if _, empty := err.(*build.NoGoError); empty {
				return nil
			}
			relative, _ := filepath.Rel(root, folder)
			found[filepath.ToSlash(relative)] = pkg.Imports
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func layer(folder string) int {
	return slices.IndexFunc(layers, func(folders []string) bool { return slices.Contains(folders, folder) })
}

func TestImportsGoDownwards(t *testing.T) {
	for folder, imported := range imports(t) {
		if folder == "core/internal/testkit" {
			continue
		}
		from := layer(folder)
		if from < 0 {
			t.Errorf("%s is in no layer: give it a place in core/policy_test.go and in the design", folder)
		}
		for _, path := range imported {
			to, ours := strings.CutPrefix(path, module)
			if ours && layer(to) < from {
				t.Errorf("%s imports %s, which stands above it", folder, to)
			}
		}
	}
}

func TestImportsOfLibrariesStayWhereTheyBelong(t *testing.T) {
	for folder, imported := range imports(t) {
		if folder == "core/internal/testkit" {
			continue
		}
		for _, path := range imported {
			for library, allowed := range reserved {
				if (path == library || strings.HasPrefix(path, library+"/")) && !slices.Contains(allowed, folder) {
					t.Errorf("%s imports %s, which is for %q", folder, path, allowed)
				}
			}
		}
	}
}

// TestImportsOfPlanningAreOfTextOnly keeps previews, golden files and fuzzing free of servers and clocks.
func TestImportsOfPlanningAreOfTextOnly(t *testing.T) {
	forbidden := []string{"net", "os", "time", "net/http", "os/exec", "context"}
	for folder, imported := range imports(t) {
		if at := layer(folder); at < layer("core/internal/plan") || folder == "core/internal/pg" || folder == "core/internal/meta" || folder == "core/internal/fault" {
			continue
		}
		for _, path := range imported {
			if slices.Contains(forbidden, path) {
				t.Errorf("%s imports %s: what plans makes text and decisions only", folder, path)
			}
		}
	}
}

// TestImportsOfTheEngineAreFew keeps out what would make the library large and slow to load, whoever brings it in: all it links is named here by its module, and of the
// standard library the web server.
func TestImportsOfTheEngineAreFew(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-tags", "capi", "-f", "{{if .Module}}{{.Module.Path}}{{else}}{{.ImportPath}}{{end}}", "../capi").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := []string{
		"github.com/BurntSushi/toml", "github.com/apache/arrow-go/v18", "github.com/ematix/ematix-flow", "github.com/goccy/go-json", "github.com/google/flatbuffers",
		"github.com/jackc/pgpassfile", "github.com/jackc/pgservicefile", "github.com/jackc/pgx/v5", "github.com/jackc/puddle/v2", "github.com/klauspost/compress",
		"github.com/klauspost/cpuid/v2", "github.com/pierrec/lz4/v4", "github.com/robfig/cron/v3", "github.com/zeebo/xxh3", "golang.org/x/exp", "golang.org/x/sync",
		"golang.org/x/sys", "golang.org/x/text",
	}
	for _, module := range strings.Fields(string(out)) {
		host, _, ours := strings.Cut(module, "/")
		if ours && strings.Contains(host, ".") && !slices.Contains(known, module) || module == "net/http" {
			t.Errorf("the engine links %s", module)
		}
	}
}
