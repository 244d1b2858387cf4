package admission

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// TestNobodyIsToldWhereTooManyAre holds every place at which a connection is turned
// away: the next one is closed without an answer, and at once.
func TestNobodyIsToldWhereTooManyAre(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := NewConnections(l, 0, func() []byte { return []byte("no") }, func(string) {})
	for range maxTurnedAway {
		c.turned <- struct{}{}
	}
	ended := make(chan error, 1)
	go func() {
		_, err := c.Accept()
		ended <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	text, _ := io.ReadAll(conn) // it may end with a reset
	if len(text) != 0 {
		t.Errorf("it was answered %q", text)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("a connection beyond the bound was handed out")
	}
	c.Wait()
}
