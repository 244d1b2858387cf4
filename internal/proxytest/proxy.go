package proxytest

import (
	"errors"
	"io"
	"net"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"
)

// Direction is a way through the proxy.
type Direction int

// The two directions.
const (
	ToServer Direction = iota
	ToClient
)

const (
	dialTimeout = 5 * time.Second
	chunkBytes  = 64 << 10
)

// Proxy carries TCP connections to one server. Its faults hold for the
// connections that are open and for those that come, until Heal. All methods are
// safe for concurrent use.
//
// It knows nothing of the protocol inside. Clients of Kafka follow the addresses
// that a broker advertises: those have to be the proxy's, and the server can be
// said later, by SetServer.
type Proxy struct {
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex
	server  string
	links   map[*link]bool
	traps   []*Trap
	sprung  []*Trap
	ways    [2]way
	refused bool
	changed chan struct{} // closed when any of the above changes
}

// way is what holds for one direction.
type way struct {
	delay   time.Duration
	stalled bool
	lossy   bool
}

// StartURL starts a proxy to the server of a URL, and returns the URL through it.
func StartURL(t testing.TB, direct string) (p *Proxy, through string) {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	p = Start(t, u.Host)
	u.Host = p.Address()
	return p, u.String()
}

// Start starts a proxy to the server, as host:port, on a free loopback port. It
// ends with the test.
func Start(t testing.TB, server string) *Proxy {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p := &Proxy{listener: listener, server: server, links: map[*link]bool{}, changed: make(chan struct{})}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.Heal()
		p.Refuse(true)
		p.Cut()
		p.group.Wait()
	})
	return p
}

// Address is where the proxy listens, as host:port.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// SetServer makes new connections go to another server.
func (p *Proxy) SetServer(server string) { p.locked(func() { p.server = server }) }

// Connections is how many connections are open.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := 0
	for l := range p.links {
		if !l.over {
			open++
		}
	}
	return open
}

// Cut ends every open connection at once, with a reset on both sides. New ones
// are taken.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.cut()
	}
}

// Forsake cuts the client's side of every open connection, as if the network had
// not told the server. The server's side stays open until it sends something, or
// until Heal.
func (p *Proxy) Forsake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.forsake()
	}
}

// Refuse makes the proxy end each new connection at once, or take it again.
func (p *Proxy) Refuse(on bool) { p.change(func() { p.refused = on }) }

// Delay holds every chunk of the direction for so long; a chunk is what one read
// returns, 64 KB at most. 0 ends it.
func (p *Proxy) Delay(d Direction, delay time.Duration) {
	p.change(func() { p.ways[d].delay = delay })
}

// Stall lets nothing through in the direction, and loses nothing: the connections
// stay open, and go on where they stood after Heal.
func (p *Proxy) Stall(d Direction) { p.change(func() { p.ways[d].stalled = true }) }

// Lose swallows everything in the direction, as a network does that is deaf one
// way. A connection that lost something is cut by Heal: its stream has a hole.
func (p *Proxy) Lose(d Direction) { p.change(func() { p.ways[d].lossy = true }) }

// Heal ends every fault, and the holds of traps; traps that were not hit are
// removed.
func (p *Proxy) Heal() {
	p.change(func() {
		p.ways, p.refused = [2]way{}, false
		for _, t := range p.traps {
			t.Release()
		}
		for _, t := range p.sprung {
			t.Release()
		}
		p.traps, p.sprung = nil, nil
		for l := range p.links {
			if l.hole || l.forsaken {
				l.cut()
			}
		}
	})
}

// change changes the state and wakes those who wait for it.
func (p *Proxy) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.carry(client) })
	}
}

// carry serves one connection to its end.
func (p *Proxy) carry(client net.Conn) {
	l := &link{client: client, ended: make(chan struct{})}
	p.mu.Lock()
	if p.refused {
		l.cut()
		p.mu.Unlock()
		return
	}
	p.links[l] = true
	address := p.server
	p.mu.Unlock()
	defer p.locked(func() {
		delete(p.links, l)
		l.cut()
	})
	server, err := net.DialTimeout("tcp", address, dialTimeout) //nolint:noctx // it has a timeout
	if err != nil {
		return
	}
	p.locked(func() {
		l.server = server
		if l.over {
			abort(server) // the cut did not know of this side yet
		}
	})
	var ways sync.WaitGroup
	ways.Go(func() { p.pump(l, ToServer, client, server) })
	ways.Go(func() { p.pump(l, ToClient, server, client) })
	ways.Wait()
}

func (p *Proxy) locked(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// pump carries one direction. An end of the stream is passed on; whatever else
// ends it ends the connection.
func (p *Proxy) pump(l *link, d Direction, from, to net.Conn) {
	buf := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buf)
		if n > 0 && !p.pass(l, d, to, buf[:n]) {
			break
		}
		if tcp, ok := to.(*net.TCPConn); ok && errors.Is(err, io.EOF) {
			_ = tcp.CloseWrite()
			return
		}
		if err != nil {
			break
		}
	}
	p.locked(func() {
		if !l.forsaken {
			l.cut()
		}
	})
}

// pass hands on one chunk, or what a trap leaves of it. It reports whether the
// connection goes on.
func (p *Proxy) pass(l *link, d Direction, to net.Conn, chunk []byte) bool {
	t, first := p.spring(d, chunk)
	if t == nil {
		return p.write(l, d, to, chunk)
	}
	if !p.write(l, d, to, chunk[:first]) {
		return false
	}
	return t.act(l) && p.write(l, d, to, chunk[first:])
}

// spring finds the trap that the chunk walks into, and removes it.
func (p *Proxy) spring(d Direction, chunk []byte) (*Trap, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, t := range p.traps {
		if t.direction != d {
			continue
		}
		if first := t.at(chunk); first >= 0 {
			p.traps = slices.Delete(p.traps, i, i+1)
			p.sprung = append(p.sprung, t)
			return t, first
		}
	}
	return nil, 0
}

// write waits until the faults let the bytes through.
func (p *Proxy) write(l *link, d Direction, to net.Conn, b []byte) bool {
	if len(b) == 0 {
		return true
	}
	w, alive := p.await(l, d)
	switch {
	case !alive:
		return false
	case w.lossy:
		return true
	case w.delay > 0:
		timer := time.NewTimer(w.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.ended:
			return false
		}
	}
	_, err := to.Write(b)
	return err == nil
}

// await waits until the direction is not stalled.
func (p *Proxy) await(l *link, d Direction) (w way, alive bool) {
	for {
		p.mu.Lock()
		w, changed := p.ways[d], p.changed
		l.hole = l.hole || w.lossy
		p.mu.Unlock()
		if !w.stalled {
			return w, true
		}
		select {
		case <-changed:
		case <-l.ended:
			return w, false
		}
	}
}
