package proxytest

import "net"

// link is one connection through the proxy. Its fields belong to the proxy's
// mutex.
type link struct {
	client, server net.Conn // server is nil until it is dialled
	ended          chan struct{}
	over           bool
	hole           bool // something was swallowed
	forsaken       bool // the client's side is gone, the server's stays
}

// cut ends both sides.
func (l *link) cut() {
	if l.over {
		return
	}
	l.over = true
	close(l.ended)
	abort(l.client)
	if l.server != nil {
		abort(l.server)
	}
}

// abort closes with a reset: what is under way is lost, as in a crash.
func abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// forsake ends the client's side alone.
func (l *link) forsake() {
	l.forsaken = true
	abort(l.client)
}
