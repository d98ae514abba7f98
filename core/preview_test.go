package core

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/plan"
	"github.com/ematix/ematix-flow/core/internal/run"
	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// A first run of few rows sends the statements of the preview, those that it says run then, in their order and no others of them. The server's log has the word.
func TestARunSendsTheStatementsThatAPreviewShows(t *testing.T) {
	cluster := testkit.NewCluster(t, "log_statement=all")
	never := []string{"only when the table is there", "only when the table is there and lacks it", "only where that gives more than 0", "when many rows are staged"}
	for i, folder := range caseFolders(t) {
		t.Run(strings.TrimPrefix(folder, cases+"/"), func(t *testing.T) {
			name := fmt.Sprintf("case_%d", i)
			testkit.Exec(t, cluster.URL, "CREATE DATABASE "+name)
			load := readCase(t, folder)
			load.ForcePath = spec.SameDB
			p, err := plan.Make(load)
			if err != nil {
				t.Fatal(err)
			}
			dsn, err := pg.ParseDSN(strings.Replace(cluster.URL, "/postgres", "/"+name, 1))
			if err != nil {
				t.Fatal(err)
			}
			server, err := pg.Open(context.Background(), dsn, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Close)
			logged := filepath.Join(cluster.Folder, "data", "server.log")
			before, err := os.ReadFile(logged)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := run.Sync(context.Background(), server, server, p, Version, func(run.Progress) {}); err != nil {
				t.Fatal(err)
			}
			after, err := os.ReadFile(logged)
			if err != nil {
				t.Fatal(err)
			}
			log := strings.ReplaceAll(string(after[len(before):]), "\n\t", "\n")
			rest := log
			for _, statement := range p.Preview().Statements {
				if slices.Contains(never, statement.When) {
					if strings.Contains(log, ": "+statement.SQL+"\n") {
						t.Errorf("%q ran, and the preview says %s", statement.Name, statement.When)
					}
					continue
				}
				_, behind, found := strings.Cut(rest, ": "+statement.SQL+"\n")
				if !found {
					t.Fatalf("%q did not run, or not in its place:\n%s", statement.Name, statement.SQL)
				}
				rest = behind
			}
		})
	}
}

func TestDurationsAreToldInTheirLargestWholeUnit(t *testing.T) {
	for seconds, want := range map[float64]string{86_400 * 30: "30 days", 3_600: "1 hour", 5_400: "90 minutes", 61: "61 seconds", 0.5: "0.5 seconds", 1: "1 second"} {
		load := &spec.Load{Mode: spec.SCD2, Query: "SELECT 1", HasTTL: true, TTLSeconds: seconds, LockTimeoutMS: 1, Keys: []string{"id"}}
		var err error
		if load.Target, err = spec.DecodeTable([]byte(`{"schema": "w", "name": "t", "columns": [{"name": "id", "type": {"kind": "big_int"}, "nullable": false, "primary_key": true},
			{"name": "a", "type": {"kind": "text"}, "nullable": true, "primary_key": false}]}`)); err != nil {
			t.Fatal(err)
		}
		load.Augment = true
		p, err := plan.Make(load)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Preview().Decisions[0].Text; got != "current versions that started more than "+want+" before the load are closed (ttl)" {
			t.Errorf("%v seconds: %s", seconds, got)
		}
	}
}
