package pg_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// peak is the most memory that this process has had, in MB, where the system tells.
func peak() float64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes float64
	_, _ = fmt.Sscan(after, &kilobytes)
	return kilobytes / 1024
}

// BenchmarkRelay moves rows of 8 columns between two databases, and beside it does the same with two psql and a pipe. EMATIX_BENCH_ROWS are the rows (200,000).
//
//	go test ./core/internal/pg -run xxx -bench Relay -benchtime 5x
func BenchmarkRelay(b *testing.B) {
	rows := 200_000
	if given, err := strconv.Atoi(os.Getenv("EMATIX_BENCH_ROWS")); err == nil {
		rows = given
	}
	from, to := testkit.Server(b), testkit.Server(b)
	const columns = "id bigint NOT NULL, name varchar(60) NOT NULL, city text, amount numeric(12,2) NOT NULL, qty integer NOT NULL, ratio double precision, day date NOT NULL, seen timestamptz NOT NULL"
	testkit.Exec(b, from, "CREATE TABLE public.orders ("+columns+")", fmt.Sprintf(`INSERT INTO public.orders
SELECT i, 'customer ' || i, CASE WHEN i %% 17 > 0 THEN 'city of ' || i * 7919 %% 5003 END, i * 104729 %% 10000000 / 100.0, i * 31 %% 1000,
       sqrt(i), date '2020-01-01' + (i %% 1500)::integer, timestamptz '2024-01-01 00:00Z' + i * 37 %% 31536000 * interval '1 second'
FROM generate_series(1, %d::bigint) i`, rows), "VACUUM ANALYZE public.orders")
	const out = "COPY (SELECT q.* FROM (SELECT * FROM public.orders) AS q) TO STDOUT (FORMAT binary)"
	const create = "CREATE TEMP TABLE arrived (" + columns + ")"
	const in = "COPY pg_temp.arrived FROM STDIN (FORMAT binary)"
	b.Run("engine", func(b *testing.B) {
		ctx := context.Background()
		source, target := testkit.Connect(b, from).PgConn(), testkit.Connect(b, to).PgConn()
		for b.Loop() {
			if _, err := target.Exec(ctx, "BEGIN; "+create).ReadAll(); err != nil {
				b.Fatal(err)
			}
			if n, err := pg.Relay(ctx, source, out, target, in, nil); err != nil || n != int64(rows) {
				b.Fatal(n, err)
			}
			if _, err := target.Exec(ctx, "ROLLBACK").ReadAll(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(peak(), "MB")
	})
	b.Run("psql", func(b *testing.B) {
		for b.Loop() {
			pipe := exec.Command("sh", "-c", `psql -XqAt -d "$1" -c "$2" | psql -XqAt -d "$3" -c 'BEGIN' -c "$4" -c "$5" -c ROLLBACK`, "sh", from, out, to, create, in)
			if text, err := pipe.CombinedOutput(); err != nil {
				b.Fatal(string(text), err)
			}
		}
	})
}
