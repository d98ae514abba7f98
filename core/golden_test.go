package core

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

const cases = "internal/strategy/testdata"

// readCase reads the sync message of a case. Its spec is an object there, for people.
func readCase(t *testing.T, folder string) *spec.Load {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "spec.json"))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	table := fields["spec"]
	delete(fields, "spec")
	text, err = json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var args syncArgs
	if err := decodeStrict(text, &args); err != nil {
		t.Fatal(err)
	}
	load := args.load()
	if load.Target, err = spec.DecodeTable(table); err != nil {
		t.Fatal(err)
	}
	load.PipelineName = load.Target.String()
	return load
}

func caseFolders(t *testing.T) []string {
	t.Helper()
	folders, err := filepath.Glob(cases + "/*/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no cases in %s: %v", cases, err)
	}
	return folders
}

func TestPlansAreTheStoredOnes(t *testing.T) {
	for _, folder := range caseFolders(t) {
		t.Run(strings.TrimPrefix(folder, cases+"/"), func(t *testing.T) {
			for _, path := range []string{spec.SameDB, spec.CrossDB} {
				load := readCase(t, folder)
				load.ForcePath = path
				p, err := plan.Make(load)
				if err != nil {
					t.Fatal(err)
				}
				testkit.Golden(t, filepath.Join(folder, path+".sql"), p.Text())
			}
		})
	}
}
