package testkit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Cluster is a server that a test has for itself, to stop and start it.
type Cluster struct {
	URL    string // of the superuser, to the database postgres
	Folder string // holds the Unix socket, and the data in data/

	t testing.TB
}

// NewCluster starts a server with these settings (name=value), which ends with the test. Without programs to start one the test is skipped.
func NewCluster(t testing.TB, settings ...string) *Cluster {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	programs := findPrograms(root)
	if programs == "" {
		t.Skip("no PostgreSQL here to start a server of: `make build` installs one, or set EMATIX_TEST_PGBIN")
	}
	started, err := start(root, programs, settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = started.input.Close()
		_ = started.command.Wait() // its status says nothing: the script stops a server that the test may have stopped already
	})
	return &Cluster{URL: started.url, Folder: started.folder, t: t}
}

// Stop stops the server: "fast" ends the sessions, "immediate" is like a crash.
func (c *Cluster) Stop(mode string) { c.control("stop", "-m", mode) }

// Start starts it again, on the same port and with the same settings.
func (c *Cluster) Start() {
	// Only restart takes the settings of the last start.
	c.control("restart", "-w", "-l", filepath.Join(c.Folder, "data", "server.log"))
}

// Restart is both.
func (c *Cluster) Restart(mode string) {
	c.Stop(mode)
	c.Start()
}

// control runs pg_ctl as the user whose server it is.
func (c *Cluster) control(action string, arguments ...string) {
	c.t.Helper()
	data := filepath.Join(c.Folder, "data")
	last, err := os.ReadFile(filepath.Join(data, "postmaster.opts"))
	if err != nil {
		c.t.Fatal(err)
	}
	postgres, _, _ := strings.Cut(string(last), " ")
	command := exec.Command(filepath.Join(filepath.Dir(postgres), "pg_ctl"), append([]string{action, "-s", "-D", data}, arguments...)...)
	command.Dir = "/"
	info, err := os.Stat(data)
	if err != nil {
		c.t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != os.Getuid() {
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	// The server keeps the output of pg_ctl open: a pipe would never end.
	if err := command.Run(); err != nil {
		c.t.Fatalf("pg_ctl %s: %v", action, err)
	}
}

// started is a server under scripts/cluster.sh. It ends when input is closed.
type started struct {
	url, folder string
	input       io.Closer
	command     *exec.Cmd
}

func start(root, programs string, settings []string) (*started, error) {
	command := exec.Command("sh", append([]string{filepath.Join(root, "scripts", "cluster.sh"), programs}, settings...)...)
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	var failure bytes.Buffer
	command.Stderr = &failure
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	line, _ := bufio.NewReader(output).ReadString('\n')
	var folder, port, password string
	if _, err := fmt.Sscanf(line, "ready %s %s %s", &folder, &port, &password); err != nil {
		_ = command.Wait()
		return nil, fmt.Errorf("the test server did not start with the programs in %s: %s", programs, failure.String())
	}
	return &started{fmt.Sprintf("postgresql://tester:%s@127.0.0.1:%s/postgres", password, port), folder, input, command}, nil
}
