package ingest

import (
	"bytes"
	"net"
	"net/http"
	"strconv"
)

// plainly is a listener for net/http, which answers what it cannot read as a request
// past every handler, as plain text and without an ID. On its connections such an
// answer becomes a problem. Of what reached no parser at all (a header that does not
// arrive in time, a connection that broke) nobody is told.
type plainly struct {
	net.Listener
	metrics *Metrics
}

// Accept implements net.Listener.
func (l plainly) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &plainConn{Conn: conn, metrics: l.metrics}, nil
}

type plainConn struct {
	net.Conn
	metrics *Metrics
}

// CloseWrite is looked for by whoever wants the caller to read the answer.
func (c *plainConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}

func (c *plainConn) Write(b []byte) (int, error) {
	status, own := ownAnswer(b)
	if !own {
		return c.Conn.Write(b)
	}
	c.metrics.answered("", "", status, 0)
	if _, err := c.Conn.Write(unread(status).problem(newRequestID()).text()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// ownAnswer reports whether net/http answers for itself: no body of ours holds a
// line's end, and no answer of ours begins with these headers or has the status 417.
func ownAnswer(b []byte) (status int, own bool) {
	const start, digits = "HTTP/1.1 ", 3
	line, rest, ok := bytes.Cut(b, []byte("\r\n"))
	if !ok || !bytes.HasPrefix(line, []byte(start)) || len(line) < len(start)+digits {
		return 0, false
	}
	status, err := strconv.Atoi(string(line[len(start) : len(start)+digits]))
	own = bytes.HasPrefix(rest, []byte("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"))
	return status, err == nil && (own || status == http.StatusExpectationFailed)
}

// unread is why net/http answers with the status.
func unread(status int) *refusal {
	switch status {
	case http.StatusExpectationFailed:
		return refuse(CodeExpectationFailed, "of expectations, 100-continue alone is known")
	case http.StatusRequestHeaderFieldsTooLarge:
		return refuse(CodeHeaderTooLarge, "request line and header must not be larger than "+strconv.Itoa(maxHeaderBytes)+" bytes")
	case http.StatusNotImplemented:
		return refuse(CodeUnsupportedCoding, "of transfer codings, chunked alone is known")
	case http.StatusHTTPVersionNotSupported:
		return refuse(CodeUnsupportedVersion, "send HTTP/1.1")
	}
	return refuse(CodeMalformedRequest, "this is not a request of HTTP/1.1")
}
