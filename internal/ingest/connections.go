package ingest

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of what is connected to a replica.
const (
	// MaxConnections are served at once, unless the options say fewer: all who may wait for an outcome, all
	// requests in hand, and some that are idle or about to be refused. Each costs
	// some 20 KB, busy or not, and beyond what the process may take the collector
	// would take the CPU that is short already.
	MaxConnections = maxWaiting + Seats + 128
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

// connections is a listener that lets so many connections be served at once. It
// does not leave the next one waiting where nobody sees it: it answers its request
// with 503 and closes it.
//
// It counts by [connections.changed], which is to be the server's ConnState: what it
// hands out is what it got, since net/http looks for more than [net.Conn] in it.
type connections struct {
	net.Listener
	most    int64
	metrics *Metrics
	served  atomic.Int64
	away    sync.WaitGroup
	turned  chan struct{} // one for each that is being turned away
}

func newConnections(l net.Listener, most int, m *Metrics) *connections {
	return &connections{Listener: l, most: int64(most), metrics: m, turned: make(chan struct{}, maxTurnedAway)}
}

// changed counts the connections of a server.
func (c *connections) changed(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.served.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.served.Add(-1)
	case http.StateActive, http.StateIdle:
	}
}

// Accept returns the next connection that there is room for. The server counts it
// before it asks for another one.
func (c *connections) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil || c.served.Load() < c.most {
			return conn, err
		}
		c.metrics.shed("connection")
		select {
		case c.turned <- struct{}{}:
			c.away.Go(func() {
				turnAway(conn)
				<-c.turned
			})
		default:
			_ = conn.Close() // nobody is left to tell
		}
	}
}

// wait returns once the last one that was turned away is gone, which takes
// turnAwayTimeout and lingerTimeout at most.
func (c *connections) wait() { c.away.Wait() }

// turnAway answers the first request of the connection, unread, and closes it. What
// goes wrong meanwhile concerns nobody: the caller is not served either way.
func turnAway(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // see above
	_ = conn.SetDeadline(time.Now().Add(turnAwayTimeout))
	// Before a request nobody expects an answer.
	received := make([]byte, 1<<10)
	if _, err := conn.Read(received); err != nil {
		return
	}
	id := newRequestID()
	p := refuse(CodeOverloaded, "too many connections are open; the request was not taken: send it again, under the same idempotency key").
		problem(id)
	body, err := json.Marshal(p)
	if err != nil {
		return
	}
	p.headers.Set("Content-Type", problemType)
	p.headers.Set(requestIDHeader, id)
	answer := http.Response{
		StatusCode: p.Status, ProtoMajor: 1, ProtoMinor: 1, Header: p.headers, Close: true,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}
	var text bytes.Buffer
	if answer.Write(&text) != nil {
		return
	}
	if _, err := conn.Write(text.Bytes()); err != nil {
		return
	}
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
