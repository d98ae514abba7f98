package pg_test

import (
	"context"
	"net"
	"syscall"
	"testing"

	"github.com/ematix/ematix-flow/core/internal/pg"
	"github.com/ematix/ematix-flow/core/internal/testkit"
)

// A network that swallows packets cannot be made without privileges; that the system is told to look for it can be seen.
func TestASilentNetworkIsNoticed(t *testing.T) {
	dsn, err := pg.ParseDSN(testkit.Server(t) + "?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	server, err := pg.Open(context.Background(), dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	session, err := server.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Release()
	raw, err := session.Conn().PgConn().Conn().(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	const tcpUserTimeout = 0x12
	for name, option := range map[string]struct{ level, option, want int }{
		"keepalive": {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1}, "idle": {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 30}, "interval": {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 10},
		"count": {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 6}, "user timeout": {syscall.IPPROTO_TCP, tcpUserTimeout, 90_000},
	} {
		var got int
		var failure error
		if err := raw.Control(func(fd uintptr) { got, failure = syscall.GetsockoptInt(int(fd), option.level, option.option) }); err != nil || failure != nil {
			t.Fatal(err, failure)
		}
		if got != option.want {
			t.Errorf("%s is %d, want %d", name, got, option.want)
		}
	}
}
