package pg_test

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between the engine and a server, and stops passing bytes on, in either direction, when it is told to.
type proxy struct {
	t      testing.TB
	left   atomic.Int64 // bytes to pass on before that
	then   atomic.Int32
	silent chan struct{} // ends with the test

	once    sync.Once
	reached chan struct{} // the bytes have passed
}

const (
	fallSilent int32 = iota // both ends stay open, as when a cable is cut
	cutOff                  // both ends are closed
)

func newProxy(t testing.TB) *proxy {
	p := &proxy{t: t, silent: make(chan struct{}), reached: make(chan struct{})}
	p.left.Store(1 << 60)
	t.Cleanup(func() { close(p.silent) })
	return p
}

// after lets some more bytes through.
func (p *proxy) after(bytes int64, then int32) {
	p.then.Store(then)
	p.left.Store(bytes)
}

// between is the URL of the proxy in front of the server of that URL.
func (p *proxy) between(server string) string {
	p.t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(p.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = listener.Close() })
	u, err := url.Parse(server)
	if err != nil {
		p.t.Fatal(err)
	}
	behind := u.Host
	u.Host = listener.Addr().String()
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", behind)
			if err != nil {
				_ = client.Close()
				return
			}
			go p.pass(client, server)
			go p.pass(server, client)
		}
	}()
	return u.String()
}

func (p *proxy) pass(from, to net.Conn) {
	defer func() { _ = from.Close(); _ = to.Close() }()
	buffer := make([]byte, 16<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && p.left.Add(-int64(n)) < 0 && p.then.Load() == fallSilent {
			p.once.Do(func() { close(p.reached) })
			<-p.silent
			return
		}
		if n > 0 && p.left.Load() < 0 {
			return
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}
