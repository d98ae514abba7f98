package pg

import (
	"net"
	"time"
)

// silence is after how long without any sign of life a connection counts as lost: a network that swallows packets says nothing, and the system's own limit is hours.
const silence = 90 * time.Second

// dialer makes connections that notice a dead peer while they wait for it (keepalive) and while they send (user timeout).
func dialer(connectTimeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout: connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: silence / 3, Interval: silence / 9, Count: 6,
		},
		Control: userTimeout,
	}
}
