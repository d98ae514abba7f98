package ddl

import (
	"testing"

	"github.com/ematix/ematix-flow/core/internal/spec"
	"github.com/ematix/ematix-flow/core/internal/types"
)

func TestCreateTableIsOneReadableStatement(t *testing.T) {
	table := &spec.Table{Schema: "warehouse", Name: "customer_dim", UniqueConstraints: [][]string{{"email", "Order Date"}}, Columns: []spec.Column{
		{Name: "customer_id", Type: types.Must("big_int"), PrimaryKey: true},
		{Name: "email", Type: types.Must("string", 256)},
		{Name: "balance", Type: types.Must("numeric", 12, 2), Nullable: true},
		{Name: "Order Date", Type: types.Must("date"), Nullable: true},
	}}
	want := `CREATE TABLE warehouse.customer_dim (
    customer_id BIGINT NOT NULL,
    email VARCHAR(256) NOT NULL,
    balance NUMERIC(12,2),
    "Order Date" DATE,
    PRIMARY KEY (customer_id),
    UNIQUE (email, "Order Date")
)`
	if got := CreateTable(table); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
