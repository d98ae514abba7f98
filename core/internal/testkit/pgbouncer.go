package testkit

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PgBouncer starts one in front of the database of the URL, in transaction mode with so many server connections, and returns the URL through it. Without the program the
// test is skipped.
func PgBouncer(t testing.TB, database string, pool int) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // where Debian has it, which is not in everybody's PATH
		if _, err := os.Stat(program); err != nil {
			t.Skip("no pgbouncer here: apt-get install pgbouncer")
		}
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	// Not in the test's own folder, which other users may not enter.
	folder, err := os.MkdirTemp("/tmp", "ematix-pooler-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	port := freePort(t)
	password, _ := u.User.Password()
	name := strings.TrimPrefix(u.Path, "/")
	files := map[string]string{
		"users.txt": fmt.Sprintf("%q %q\n", u.User.Username(), password),
		"pooler.ini": fmt.Sprintf("[databases]\n%s = host=%s port=%s dbname=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = scram-sha-256\n"+
			"auth_file = %s/users.txt\npool_mode = transaction\ndefault_pool_size = %d\nmax_client_conn = 100\nlogfile = %s/log\npidfile = %s/pid\n",
			name, u.Hostname(), u.Port(), name, port, folder, pool, folder, folder),
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// It ends with its standard input, a pipe of this process, and so never outlives the tests.
	command := exec.Command("sh", "-c", `"$0" -q "$1" & cat >/dev/null; kill $!`, program, filepath.Join(folder, "pooler.ini"))
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 { // it refuses to run as root
		const nobody = 65534
		for _, path := range []string{folder, filepath.Join(folder, "users.txt"), filepath.Join(folder, "pooler.ini")} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	command.Dir = "/"
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = input.Close()
		_ = command.Wait() // it is killed, and its status says so
	})
	u.Host = fmt.Sprintf("127.0.0.1:%d", port)
	answers(t, u.Host)
	return u.String() + "?sslmode=disable"
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}

// answers waits until something listens.
func answers(t testing.TB, address string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens at %s: %v", address, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
