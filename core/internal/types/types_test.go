package types

import (
	"encoding/json"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// one of each kind, with the spelling of DDL.
func samples() map[string]Type {
	return map[string]Type{
		"SMALLINT": Must("small_int"), "INTEGER": Must("integer"), "BIGINT": Must("big_int"), "REAL": Must("float"), "DOUBLE PRECISION": Must("double"),
		"NUMERIC(12,2)": Must("numeric", 12, 2), "NUMERIC(1000,0)": Must("numeric", 1000, 0), "BOOLEAN": Must("boolean"), "TEXT": Must("text"), "VARCHAR(256)": Must("string", 256),
		"DATE": Must("date"), "TIMESTAMP": Must("timestamp"), "TIMESTAMPTZ": Must("timestamp_tz"), "JSON": Must("json"), "JSONB": Must("jsonb"), "UUID": Must("uuid"), "BYTEA": Must("bytes"),
	}
}

func TestEveryKindIsSpelledAndTravels(t *testing.T) {
	seen := map[string]bool{}
	for want, sample := range samples() {
		seen[sample.Kind] = true
		if sample.SQL() != want {
			t.Errorf("%s is spelled %s, want %s", sample.Kind, sample.SQL(), want)
		}
		text, err := json.Marshal(sample)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(text, "type")
		if err != nil || !back.Equal(sample) {
			t.Errorf("%s came back as %v, %v", text, back, err)
		}
	}
	for _, kind := range Kinds() {
		if !seen[kind] {
			t.Errorf("no sample of %s", kind)
		}
	}
	if len(Kinds()) != 16 {
		t.Errorf("%d kinds, documented are 16", len(Kinds()))
	}
}

// The server's own name of each type reads back as the type, and its neighbours do not.
func TestTheCatalogueReadsBack(t *testing.T) {
	dsn := testkit.Server(t)
	for ddl, sample := range samples() {
		testkit.Exec(t, dsn, "CREATE TEMP TABLE sample (c "+ddl+")")
		rows := testkit.Rows(t, dsn, "CREATE TEMP TABLE sample (c "+ddl+"); SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'sample'::regclass AND attname = 'c'")
		found, ok := Reflect(rows[0][0])
		if !ok || !found.Equal(sample) {
			t.Errorf("%s is %q in the catalogue, which reads as %v", ddl, rows[0][0], found)
		}
	}
	for _, other := range []string{"numeric", "timestamp(3) without time zone", "character(3)", "integer[]", "money", "numeric(12,2)[]", "character varying(3)[]"} {
		if found, ok := Reflect(other); ok {
			t.Errorf("%s reads as %s", other, found.SQL())
		}
	}
	if found, ok := Reflect("character varying"); !ok || found.Kind != "text" {
		t.Error("VARCHAR without a length counts as TEXT")
	}
}

func TestOnlyWhatTheCatalogueCanChangeIsWidened(t *testing.T) {
	for _, c := range []struct {
		was      string
		declared Type
		want     bool
	}{
		{"character varying(3)", Must("string", 4), true}, {"character varying(4)", Must("string", 4), false}, {"character varying(5)", Must("string", 4), false},
		{"character varying(3)", Must("text"), true}, {"character(3)", Must("text"), false}, {"text", Must("string", 10), false}, {"character varying", Must("string", 10), false},
		{"numeric(4,1)", Must("numeric", 5, 1), true}, {"numeric(4,1)", Must("numeric", 5, 2), false}, {"numeric(5,1)", Must("numeric", 4, 1), false}, {"numeric", Must("numeric", 40, 2), false},
		{"integer", Must("big_int"), false}, {"real", Must("double"), false}, {"json", Must("jsonb"), false}, {"date", Must("timestamp"), false},
		{"timestamp(3) without time zone", Must("timestamp"), true}, {"timestamp(3) with time zone", Must("timestamp_tz"), true},
		{"timestamp(3) without time zone", Must("timestamp_tz"), false}, {"timestamp without time zone", Must("timestamp_tz"), false}, {"timestamp(3) without time zone", Must("date"), false},
	} {
		if got := c.declared.Widens(c.was); got != c.want {
			t.Errorf("%s to %s: %v, want %v", c.was, c.declared.SQL(), got, c.want)
		}
	}
}
