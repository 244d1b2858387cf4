package admission

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of what is connected to a replica.
const (
	// MaxConnections are served at once, unless the options say fewer: all who may wait for an outcome, all
	// requests in hand, and some that are idle or about to be refused. Each costs
	// some 20 KB, busy or not, and beyond what the process may take the collector
	// would take the CPU that is short already.
	MaxConnections = maxWaiting + Seats + 128
	// keptForStrangers is which part of them no owner gets: one in so many, for those whose
	// first valid key is yet to come.
	keptForStrangers = 10
	// strangerFor is how long a connection may take to send its first request before
	// another one may have its place.
	strangerFor = time.Second
	// maxTurnedAway connections beyond those are told so at once; what comes beyond
	// these as well is closed without a word.
	maxTurnedAway = 512
	// turnAwayTimeout is how long a connection that is turned away may take to send
	// its request.
	turnAwayTimeout = time.Second
	// lingerTimeout is how long it may take to send the rest of it and to close, once
	// it has its answer.
	lingerTimeout = 100 * time.Millisecond
)

// Connections is a listener that lets so many connections be served at once. It
// does not leave the next one waiting where nobody sees it. First it closes one over
// which no valid key ever came, for they must cost nobody else a connection; where there is none to
// close, it tells the next one so and closes that.
//
// Connections with a valid key are of the key's owner, who gets its fair share of them. It
// counts by [Connections.Context] and [Connections.Changed], which are to be the server's ConnContext
// and ConnState: what it hands out is what it got, since net/http looks for more than
// [net.Conn] in it.
type Connections struct {
	net.Listener
	most   int
	answer func() []byte
	shed   func(what string)
	owned  *shares // those that a valid key came over

	mu        sync.Mutex
	peers     map[net.Conn]*peer
	strangers list.List // of *peer that no valid key came over; the next one to go first

	away   sync.WaitGroup
	turned chan struct{} // one for each that is being turned away
}

// peer is a connection that is served.
type peer struct {
	in       *Connections
	conn     net.Conn
	since    time.Time
	stranger *list.Element // nil: a valid key came over it
	answered bool          // a stranger that had an answer
	owner    ledger.Party  // of the last valid key
}

type peerKey struct{}

// NewConnections makes a listener that serves at most so many connections of l at once. What
// is turned away gets answer, whole as it goes over the wire. It calls shed for each "connection" that is
// turned away and each "stranger" that is closed.
func NewConnections(l net.Listener, most int, answer func() []byte, shed func(what string)) *Connections {
	return &Connections{
		Listener: l, most: most, answer: answer, shed: shed, owned: newShares(most-most/keptForStrangers, time.Now),
		peers: map[net.Conn]*peer{}, turned: make(chan struct{}, maxTurnedAway),
	}
}

// Context counts a connection of the server, and lets its requests find it.
func (c *Connections) Context(ctx context.Context, conn net.Conn) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := &peer{in: c, conn: conn, since: time.Now()}
	p.stranger = c.strangers.PushBack(p)
	c.peers[conn] = p
	return context.WithValue(ctx, peerKey{}, p)
}

// Changed counts the connections that end, and notes which strangers had their answer.
func (c *Connections) Changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.forget(c.peers[conn])
	case http.StateIdle:
		c.mu.Lock()
		defer c.mu.Unlock()
		if p := c.peers[conn]; p != nil && p.stranger != nil {
			p.answered = true
			c.strangers.MoveToFront(p.stranger)
		}
	case http.StateNew, http.StateActive:
	}
}

// forget ends the count of a connection; nil: it was counted no more.
func (c *Connections) forget(p *peer) {
	if p == nil {
		return
	}
	delete(c.peers, p.conn)
	if p.stranger != nil {
		c.strangers.Remove(p.stranger)
		return
	}
	c.owned.give(p.owner)
}

// KeepConnection notes that a valid key of the owner came over the request's connection. It
// reports whether that may stay: not where the owner has its share of connections.
func KeepConnection(ctx context.Context, o ledger.Party) bool {
	p, ok := ctx.Value(peerKey{}).(*peer)
	if !ok {
		return true // there is no connection, as in a test
	}
	c := p.in
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.peers[p.conn] != p: // it was closed meanwhile
		return true
	case p.stranger == nil && p.owner == o:
		return true
	case c.owned.take(o) != Granted:
		return false
	}
	if p.stranger != nil {
		c.strangers.Remove(p.stranger)
		p.stranger = nil
	} else {
		c.owned.give(p.owner)
	}
	p.owner = o
	return true
}

// Accept returns the next connection that there is room for. The server counts it
// before it asks for another one.
func (c *Connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil || c.room() {
			return conn, err
		}
		c.shed("connection")
		select {
		case c.turned <- struct{}{}:
			c.away.Go(func() {
				turnAway(conn, c.answer)
				<-c.turned
			})
		default:
			_ = conn.Close() // nobody is left to tell
		}
	}
}

// room reports whether there is room for one more connection, and makes some if it can:
// it closes a stranger that had an answer, or was silent for too long.
func (c *Connections) room() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.peers) < c.most {
		return true
	}
	front := c.strangers.Front()
	if front == nil {
		return false
	}
	p := front.Value.(*peer)
	if !p.answered && time.Since(p.since) < strangerFor {
		return false
	}
	c.forget(p)
	c.shed("stranger")
	_ = p.conn.Close()
	return true
}

// Wait returns once the last one that was turned away is gone, which takes
// turnAwayTimeout and lingerTimeout at most.
func (c *Connections) Wait() { c.away.Wait() }

// turnAway answers the first request of the connection, unread, and closes it. What
// goes wrong meanwhile concerns nobody: the caller is not served either way.
func turnAway(conn net.Conn, answer func() []byte) {
	defer conn.Close() //nolint:errcheck // see above
	_ = conn.SetDeadline(time.Now().Add(turnAwayTimeout))
	// Before a request nobody expects an answer.
	received := make([]byte, 1<<10)
	if _, err := conn.Read(received); err != nil {
		return
	}
	_, err := conn.Write(answer())
	// To close with something unread would break the connection before the answer is
	// read: so the rest of the request comes first, until the caller closes.
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	_ = conn.SetDeadline(time.Now().Add(lingerTimeout))
	for err == nil {
		_, err = conn.Read(received)
	}
}
