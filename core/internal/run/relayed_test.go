package run_test

import (
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
	"github.com/ematix/ematix-flow/core/internal/spec"
)

// What COPY would do otherwise than INSERT goes by INSERT: the paths give the same.
func TestAppendedRowsOfAnotherDatabaseMeetWhatTheTableDoesToRows(t *testing.T) {
	for name, prepare := range map[string]string{
		"a trigger that keeps rows back": `CREATE FUNCTION w.keep_back() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; NEW.name := upper(NEW.name); RETURN NEW; END';
			CREATE TRIGGER keep_back BEFORE INSERT ON w.customers FOR EACH ROW EXECUTE FUNCTION w.keep_back()`,
		"row-level security":       `ALTER TABLE w.customers ENABLE ROW LEVEL SECURITY; CREATE POLICY all_rows ON w.customers USING (true)`,
		"a column of another type": "ALTER TABLE w.customers ALTER balance TYPE double precision",
		"nothing special":          "SELECT 1",
	} {
		t.Run(name, func(t *testing.T) {
			var contents, counts []string
			for _, path := range []string{spec.SameDB, spec.CrossDB} {
				p := newPlace(t)
				l := load(spec.Append, values("(1, 'a', 1.005)"))
				p.must(l)
				p.exec(prepare)
				l = load(spec.Append, values("(2, 'b', 2.5)", "(3, 'c', NULL)"))
				l.ForcePath, l.OnDrift = path, spec.DriftWarn
				poor, _ := p.poor(grants...)
				if _, err := p.syncOn(t.Context(), poor, l); err != nil {
					t.Fatal(err)
				}
				contents = append(contents, p.text("SELECT id, name, balance, _loaded_at = (SELECT loaded_at FROM ematix_flow.run_history WHERE run_id = _batch_id) FROM w.customers ORDER BY id"))
				counts = append(counts, p.text("SELECT rows_inserted FROM ematix_flow.run_history ORDER BY started_at"))
			}
			if contents[0] != contents[1] || counts[0] != counts[1] {
				t.Errorf("one database:\n%s\n%s\ntwo:\n%s\n%s", contents[0], counts[0], contents[1], counts[1])
			}
		})
	}
}

func TestAWatermarkIsNotKeptOfRoundedValues(t *testing.T) {
	const message = `incremental_column="balance" is declared as NUMERIC(6,2), and the source query delivers another type`
	for source, fits := range map[string]bool{"1": true, "1::bigint": true, "1::numeric(8,2)": true, "1::numeric(8,-2)": true, "1::numeric(8,3)": false, "1.5": false, "1::float8": false} {
		t.Run(source, func(t *testing.T) {
			for _, path := range []string{spec.SameDB, spec.CrossDB} {
				p := newPlace(t)
				l := load(spec.Append, "SELECT 1 AS id, 'a' AS name, "+source+" AS balance")
				l.IncrementalColumn, l.ForcePath = "balance", path
				if !fits {
					p.refused(l, fault.InvalidQuery, message)
					continue
				}
				p.must(l)
				p.must(l)
				p.wants("rows", "SELECT count(*) FROM w.customers", "1")
			}
		})
	}
}

func TestATableThatIsMadeAnewIsLoadedFromTheBeginning(t *testing.T) {
	p := newPlace(t)
	l := func() *spec.Load {
		l := load(spec.Append, values("(1, 'a', 1)", "(2, 'b', 2)"))
		l.IncrementalColumn = "id"
		return l
	}
	p.must(l())
	p.exec("DROP TABLE w.customers")
	if r := p.must(l()); *r.RowsInserted != 2 || len(r.Warnings) != 1 {
		t.Errorf("%d rows and the warnings %q, want 2 rows and one warning", *r.RowsInserted, r.Warnings)
	}
	if r := p.must(l()); *r.RowsInserted != 0 || len(r.Warnings) != 0 {
		t.Errorf("%d rows and the warnings %q, want none", *r.RowsInserted, r.Warnings)
	}
}
