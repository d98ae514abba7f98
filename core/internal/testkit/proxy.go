package testkit

import (
	"bytes"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Proxy stands between a client and a server, and treats what passes as a bad network would. Its methods may be called at any time; they hold for connections that
// are open and for those to come.
type Proxy struct {
	t        testing.TB
	upstream string
	address  string
	url      url.URL

	mu       sync.Mutex
	listener net.Listener
	pairs    map[*pair]bool
	how      treatment
	changed  chan struct{} // closed when the treatment changes
	held     chan struct{} // gets a value when something is held back in silence
}

// treatment is what happens to what passes. The zero value lets everything pass.
type treatment struct {
	latency    time.Duration
	slice      int
	budget     int64 // bytes of the server that pass before a reset
	cutting    bool
	silent     bool
	greeting   []byte // answers new connections in place of the server, greetings times
	greetings  int
	match      []byte
	matches    int    // how many matching messages of the client pass before the one whose answer vanishes
	afterwards func() // called when the answer is there, before the reset
}

// pair is one connection of a client with its own to the server.
type pair struct {
	client, server net.Conn
	swallowing     bool
}

// NewProxy starts a proxy in front of the server of the URL, closed when the test ends.
func NewProxy(t testing.TB, server string) *Proxy {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{t: t, upstream: u.Host, address: "127.0.0.1:0", url: *u, pairs: map[*pair]bool{}, changed: make(chan struct{}), held: make(chan struct{}, 1)}
	p.Listen()
	p.url.Host = p.address
	query := p.url.Query()
	query.Set("sslmode", "disable")
	p.url.RawQuery = query.Encode()
	t.Cleanup(func() {
		p.Refuse()
		p.Reset()
		p.Heal() // what waits in silence ends
	})
	return p
}

// URL leads to the server through the proxy.
func (p *Proxy) URL() string { return p.url.String() }

// Latency delays everything that the server says.
func (p *Proxy) Latency(d time.Duration) { p.treat(func(h *treatment) { h.latency = d }) }

// Slice passes so many bytes of the server at a time.
func (p *Proxy) Slice(bytes int) { p.treat(func(h *treatment) { h.slice = bytes }) }

// CutAfter resets one connection: that on which the server says the last of so many more bytes.
func (p *Proxy) CutAfter(bytes int64) {
	p.treat(func(h *treatment) { h.budget, h.cutting = bytes, true })
}

// Silence passes nothing any more and closes nothing. New connections are accepted and not answered.
func (p *Proxy) Silence() { p.treat(func(h *treatment) { h.silent = true }) }

// Held gives a value once something of a client has vanished in silence.
func (p *Proxy) Held() <-chan struct{} { return p.held }

// Greet answers the next connections with these bytes and closes them.
func (p *Proxy) Greet(answer []byte, times int) {
	p.treat(func(h *treatment) { h.greeting, h.greetings = answer, times })
}

// Swallow lets the server's answer to the k-th message of a client that holds the text vanish, calls afterwards, and resets that connection.
func (p *Proxy) Swallow(text string, k int, afterwards func()) {
	p.treat(func(h *treatment) { h.match, h.matches, h.afterwards = []byte(text), k, afterwards })
}

// Heal lets everything pass again, on connections that are still open.
func (p *Proxy) Heal() { p.treat(func(h *treatment) { *h = treatment{} }) }

// Listen accepts connections again after Refuse.
func (p *Proxy) Listen() {
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	p.listener, p.address = listener, listener.Addr().String()
	p.mu.Unlock()
	go p.accept(listener)
}

// Refuse takes no new connections.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.listener.Close() // a second time it is closed already
}

// Reset breaks all connections.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.pairs {
		c.reset()
	}
}

func (p *Proxy) treat(change func(*treatment)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.how)
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) now() (treatment, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.how, p.changed
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	if greeting := p.greeting(); greeting != nil {
		_, _ = client.Read(make([]byte, 1024)) // the client says first who it is
		_, _ = client.Write(greeting)
		_ = client.Close()
		return
	}
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		_ = client.Close()
		return
	}
	c := &pair{client: client, server: server}
	p.mu.Lock()
	p.pairs[c] = true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(c, client, server, p.request) })
	both.Go(func() { p.pump(c, server, client, p.answer) })
	both.Wait()
	p.mu.Lock()
	delete(p.pairs, c)
	p.mu.Unlock()
}

func (p *Proxy) greeting() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.how.greetings == 0 {
		return nil
	}
	p.how.greetings--
	return p.how.greeting
}

// pump passes on what one side says until either is gone, and then breaks both.
func (p *Proxy) pump(c *pair, from, to net.Conn, pass func(c *pair, to net.Conn, chunk []byte) bool) {
	defer c.close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		for {
			how, changed := p.now()
			if !how.silent {
				break
			}
			select {
			case p.held <- struct{}{}:
			default:
			}
			<-changed
		}
		if !pass(c, to, buffer[:n]) {
			return
		}
	}
}

// request passes on what a client says. A short message arrives in one piece, as the driver writes it.
func (p *Proxy) request(c *pair, to net.Conn, chunk []byte) bool {
	p.mu.Lock()
	if p.how.match != nil && bytes.Contains(chunk, p.how.match) {
		p.how.matches--
		c.swallowing = p.how.matches == 0
	}
	p.mu.Unlock()
	_, err := to.Write(chunk)
	return err == nil
}

// answer passes on what the server says.
func (p *Proxy) answer(c *pair, to net.Conn, chunk []byte) bool {
	p.mu.Lock()
	swallowing, how := c.swallowing, p.how
	if how.cutting {
		p.how.budget -= int64(len(chunk))
	}
	p.mu.Unlock()
	if swallowing {
		if how.afterwards != nil {
			how.afterwards()
		}
		c.reset()
		return false
	}
	if how.cutting && int64(len(chunk)) > how.budget {
		_, _ = to.Write(chunk[:max(0, how.budget)])
		p.treat(func(h *treatment) { h.cutting = false })
		c.reset()
		return false
	}
	time.Sleep(how.latency)
	size := len(chunk)
	if how.slice > 0 {
		size = how.slice
	}
	for len(chunk) > 0 {
		n := min(size, len(chunk))
		if _, err := to.Write(chunk[:n]); err != nil {
			return false
		}
		chunk = chunk[n:]
	}
	return true
}

// reset breaks both connections, so that the client sees an error and not an orderly end.
func (c *pair) reset() {
	for _, side := range []net.Conn{c.client, c.server} {
		if tcp, ok := side.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	}
	c.close()
}

func (c *pair) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}
