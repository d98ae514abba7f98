package pg

import "syscall"

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name on every architecture.
const tcpUserTimeout = 0x12

// userTimeout limits how long sent data may stay unacknowledged. A system that does not know the option has keepalive.
func userTimeout(network, _ string, raw syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return nil
	}
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silence.Milliseconds()))
	})
}
