package run_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/meta"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// documented are the state tables as they were before their version was counted.
const documented = `CREATE SCHEMA ematix_flow;
CREATE TABLE ematix_flow.run_history (run_id UUID PRIMARY KEY, pipeline_name TEXT NOT NULL, target_schema TEXT NOT NULL, target_table TEXT NOT NULL, mode TEXT NOT NULL, path TEXT NOT NULL,
    started_at TIMESTAMPTZ NOT NULL, finished_at TIMESTAMPTZ, status TEXT NOT NULL, rows_inserted BIGINT, error_message TEXT, rows_updated BIGINT, rows_unchanged BIGINT,
    parent_run_id UUID, step_name TEXT, metrics_json TEXT);
CREATE TABLE ematix_flow.watermarks (pipeline_name TEXT PRIMARY KEY, column_name TEXT NOT NULL, last_value TEXT NOT NULL, updated_at TIMESTAMPTZ NOT NULL DEFAULT now());`

const stateRows = `INSERT INTO ematix_flow.run_history (run_id, pipeline_name, target_schema, target_table, mode, path, started_at, finished_at, status, rows_inserted)
VALUES ('11111111-1111-1111-1111-111111111111', 'old', 'w', 'customers', 'append', 'same_db', '2024-01-01', '2024-01-01', 'success', 7);
INSERT INTO ematix_flow.watermarks (pipeline_name, column_name, last_value) VALUES ('old', 'id', '41');`

func TestOlderStateIsUpgradedWithItsRows(t *testing.T) {
	first, err := os.ReadFile("../meta/sql/0001_state.sql")
	if err != nil {
		t.Fatal(err)
	}
	for name, older := range map[string]string{
		"version 1":      string(first) + "; INSERT INTO ematix_flow.state_version (version) VALUES (1)",
		"documented":     documented,
		"its first form": strings.Replace(documented, ", error_message TEXT, rows_updated BIGINT, rows_unchanged BIGINT,\n    parent_run_id UUID, step_name TEXT, metrics_json TEXT", "", 1),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			p.exec(older + ";" + stateRows)
			p.must(load(spec.Merge, values("(1, 'a', 1)")))
			p.wants("runs", "SELECT pipeline_name, status, rows_inserted, rows_updated FROM ematix_flow.run_history ORDER BY started_at", "old success 7 NULL\np success 1 0")
			p.wants("watermarks", "SELECT pipeline_name, column_name, last_value FROM ematix_flow.watermarks", "old id 41")
			p.wants("version", "SELECT max(version) FROM ematix_flow.state_version", strconv.Itoa(meta.Latest))
			p.wants("recorded", "SELECT target_table, left(ddl, 24) FROM ematix_flow.schema_history", "customers CREATE TABLE w.customers")
		})
	}
}

func TestNewerStateIsRefusedWithBothVersions(t *testing.T) {
	p := newPlace(t)
	p.must(load(spec.Merge, values("(1, 'a', 1)")))
	p.exec("INSERT INTO ematix_flow.state_version (version) VALUES (99)")
	p.refused(load(spec.Merge, values("(2, 'b', 1)")), fault.ConfigError, "The state tables in the schema ematix_flow have version 99; this ematix-flow knows versions up to "+strconv.Itoa(meta.Latest)+".")
}

func TestDamagedStateSaysWhatIsMissing(t *testing.T) {
	for damage, missing := range map[string]string{
		"DROP TABLE ematix_flow.run_history":                      `relation "ematix_flow.run_history" does not exist`,
		"ALTER TABLE ematix_flow.run_history DROP COLUMN xact_id": `column "xact_id"`,
		"DROP TABLE ematix_flow.schema_history":                   `relation "ematix_flow.schema_history" does not exist`,
	} {
		t.Run(damage, func(t *testing.T) {
			p := newPlace(t)
			p.must(load(spec.Merge, values("(1, 'a', 1)")))
			p.exec(damage)
			l := load(spec.Merge, values("(2, 'b', 1)"))
			if strings.Contains(damage, "schema_history") {
				l = softly("(2, 'b', 1)")
			}
			before := p.text("SELECT id FROM w.customers")
			_, err := p.sync(l)
			if err == nil || !strings.Contains(err.Error(), missing) || !strings.Contains(err.Error(), "restore what the message names") {
				t.Errorf("%v, want what is missing: %s", err, missing)
			}
			p.wants("rows", "SELECT id FROM w.customers", before)
		})
	}
}

func TestFirstRunsAtOnceMakeEverythingOnce(t *testing.T) {
	p := newPlace(t)
	p.exec("CREATE EXTENSION btree_gist SCHEMA public")
	results := make(chan error, 6)
	for range cap(results) {
		server := open(t, p.url)
		go func() {
			l := guarded(spec.GuardsFull, "(1, 'a', 1)")
			l.Closures = true
			_, err := p.syncOn(context.Background(), server, l)
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	p.wants("rows", "SELECT count(*) FROM w.customers", "1")
	p.wants("recorded", "SELECT target_table, count(*) FROM ematix_flow.schema_history GROUP BY 1 ORDER BY 1", "customers 4\ncustomers__closures 2")
	p.wants("versions", "SELECT count(*), max(version) FROM ematix_flow.state_version", strconv.Itoa(meta.Latest)+" "+strconv.Itoa(meta.Latest))
}
