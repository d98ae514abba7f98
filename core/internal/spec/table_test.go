package spec

import (
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/fault"
)

const customerDim = `{"schema": " warehouse ", "name": "customer_dim", "columns": [
	{"name": "customer_id", "type": {"kind": "big_int"}, "nullable": true, "primary_key": true},
	{"name": " email ", "type": {"kind": "string", "length": 256}, "nullable": false, "primary_key": false},
	{"name": "balance", "type": {"kind": "numeric", "precision": 12, "scale": 2}, "nullable": true, "primary_key": false}],
	"unique_constraints": [["email", "balance"], ["email"]], "fingerprint": "of yesterday"}`

func TestATableSpecIsCleanedAndAFixedPoint(t *testing.T) {
	table, err := DecodeTable([]byte(customerDim))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"warehouse","name":"customer_dim","columns":[{"name":"customer_id","type":{"kind":"big_int"},"nullable":false,"primary_key":true},` +
		`{"name":"email","type":{"kind":"string","length":256},"nullable":false,"primary_key":false},` +
		`{"name":"balance","type":{"kind":"numeric","precision":12,"scale":2},"nullable":true,"primary_key":false}],` +
		`"unique_constraints":[["email","balance"],["email"]],"fingerprint":"` + table.Fingerprint + `"}`
	if table.JSON() != want {
		t.Errorf("got  %s\nwant %s", table.JSON(), want)
	}
	again, err := DecodeTable([]byte(table.JSON()))
	if err != nil || again.JSON() != table.JSON() {
		t.Errorf("normalising again gave %v, %v", again, err)
	}
	// sha256 of warehouse.customer_dim|customer_id:BIGINT:N:p|email:VARCHAR(256):N:P|balance:NUMERIC(12,2):n:P|U:email|U:email,balance, computed with sha256sum
	if want := "ab36dfeaa00eb697a336a055511e76b2"; table.Fingerprint != want {
		t.Errorf("fingerprint %q, want %q", table.Fingerprint, want)
	}
}

func TestTheFingerprintFollowsTheDeclaration(t *testing.T) {
	base := fingerprintOf(t, customerDim)
	if same := strings.Replace(customerDim, `[["email", "balance"], ["email"]]`, `[["email"], ["email", "balance"]]`, 1); fingerprintOf(t, same) != base {
		t.Error("the order in which unique constraints are listed changed the fingerprint")
	}
	for _, change := range [][2]string{
		{`" warehouse "`, `"other"`}, {"customer_dim", "dim"}, {`" email "`, `"email"`}, {`"length": 256`, `"length": 255`}, {`"big_int"`, `"integer"`},
		{`"scale": 2`, `"scale": 3`}, {`["email", "balance"]`, `["balance", "email"]`}, {`, ["email"]]`, `]`}, {`"nullable": false`, `"nullable": true`},
	} {
		changed := strings.Replace(customerDim, change[0], change[1], 1)
		if (fingerprintOf(t, changed) == base) != (change[0] == `" email "`) {
			t.Errorf("after %q -> %q the fingerprint is equal: %v", change[0], change[1], fingerprintOf(t, changed) == base)
		}
	}
}

func fingerprintOf(t *testing.T, text string) string {
	t.Helper()
	table, err := DecodeTable([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return table.Fingerprint
}

func TestBadTableSpecsAreRefusedByName(t *testing.T) {
	for _, c := range []struct{ name, from, to, message string }{
		{"malformed", `"schema"`, `schema`, "the table spec is malformed JSON"},
		{"unknown field", `"fingerprint"`, `"owner"`, `unknown field "owner" in the table spec`},
		{"other case", `"schema"`, `"Schema"`, `unknown field "Schema"`},
		{"unknown field of a column", `"primary_key": true`, `"primary_key": true, "default": 1`, `unknown field "default" in columns[0]`},
		{"missing key", `"nullable": true, "primary_key": true`, `"primary_key": true`, `columns[0] lacks the field "nullable"`},
		{"wrong type", `"nullable": true, "primary_key": true`, `"nullable": 1, "primary_key": true`, "columns[0].nullable has a wrong type: want true or false"},
		{"unknown kind", "big_int", "money", `There is no column type "money"`},
		{"parameter missing", `, "length": 256`, ``, "columns[1].type.length is missing"},
		{"parameter unknown", `"big_int"`, `"big_int", "length": 1`, `unknown field "length" at columns[0].type`},
		{"length", `256`, `0`, "string(0)"},
		{"scale", `"scale": 2`, `"scale": 13`, "numeric(12, 13)"},
		{"empty schema", `" warehouse "`, `"  "`, "The schema name is empty."},
		{"long name", `" email "`, `"` + strings.Repeat("é", 32) + `"`, "64 bytes"},
		{"NUL", `customer_dim`, `a\u0000b`, "NUL"},
		{"twice", `" email "`, `"balance"`, `declares the column "balance" twice`},
		{"no primary key", `"primary_key": true`, `"primary_key": false`, "no primary-key column"},
		{"empty constraint", `["email"]]`, `[]]`, "names no column"},
		{"undeclared in constraint", `["email"]]`, `["phone"]]`, `"phone"`},
		{"twice in constraint", `["email"]]`, `["email", " email"]]`, `"email" twice`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeTable([]byte(strings.Replace(customerDim, c.from, c.to, 1)))
			if err == nil || !strings.Contains(err.Error(), c.message) || (!fault.Is(err, fault.InvalidSpec) && !fault.Is(err, fault.InvalidIdentifier)) {
				t.Errorf("got %v, want %q", err, c.message)
			}
		})
	}
}

func TestAugmentAddsWhatIsMissingAndNothingTwice(t *testing.T) {
	table, err := DecodeTable([]byte(customerDim))
	if err != nil {
		t.Fatal(err)
	}
	scd2 := table.Augment(SCD2)
	var names []string
	for _, c := range scd2.Columns {
		names = append(names, c.Name)
	}
	if got := strings.Join(names, " "); got != "customer_id email balance valid_from valid_to is_current row_hash _loaded_at _batch_id" {
		t.Errorf("columns: %s", got)
	}
	if got := strings.Join(scd2.PrimaryKey(), " "); got != "customer_id valid_from" {
		t.Errorf("primary key: %s", got)
	}
	if got := strings.Join(scd2.UniqueConstraints[1], " "); got != "email valid_from" {
		t.Errorf("unique constraint: %s", got)
	}
	if again := scd2.Augment(SCD2); again.JSON() != scd2.JSON() {
		t.Errorf("augmenting again gave %s", again.JSON())
	}
	if append := table.Augment(Append); len(append.Columns) != 5 || append.Fingerprint == table.Fingerprint {
		t.Errorf("append has %d columns and the fingerprint %s", len(append.Columns), append.Fingerprint)
	}
}

func TestAPipelineSpecIsCleaned(t *testing.T) {
	p, err := DecodePipeline([]byte(`{"name": " p ", "source": {"connection": "a", "query": " SELECT 1 "}, "target": {"connection": "b", "schema": "s", "table": "t"}, "mode": "merge", "keys": [" id", "id", "x"]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"p","source":{"connection":"a","query":"SELECT 1"},"target":{"connection":"b","schema":"s","table":"t"},"mode":"merge","keys":["id","x"]}`
	if p.JSON() != want {
		t.Errorf("got  %s\nwant %s", p.JSON(), want)
	}
	for _, c := range [][2]string{
		{`{"name": "p"}`, `lacks the field "source"`},
		{strings.Replace(want, `"mode":"merge"`, `"mode":"upsert"`, 1), "upsert"},
		{strings.Replace(want, `["id","x"]`, `[]`, 1), "key"},
		{strings.Replace(want, `"SELECT 1"`, `" "`, 1), "query"},
		{strings.Replace(want, `"query"`, `"sql"`, 1), "unknown field"},
	} {
		if _, err := DecodePipeline([]byte(c[0])); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got %v, want %q", c[0], err, c[1])
		}
	}
}

func FuzzDecodeTable(f *testing.F) {
	f.Add(customerDim)
	f.Add(`{"schema":"s","name":"t","columns":[{"name":"a","type":{"kind":"json"},"nullable":true,"primary_key":true}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		table, err := DecodeTable([]byte(text))
		if err != nil {
			return
		}
		again, err := DecodeTable([]byte(table.JSON()))
		if err != nil || again.JSON() != table.JSON() {
			t.Errorf("not a fixed point: %s, %v", table.JSON(), err)
		}
	})
}
