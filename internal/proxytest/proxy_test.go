package proxytest_test

import (
	"bufio"
	"errors"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/proxytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
	moment   = 50 * time.Millisecond // in which nothing may come
)

// server sends back each line that it gets.
func server(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if _, err := c.Write([]byte(line)); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, p *proxytest.Proxy) client {
	t.Helper()
	c, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return client{t, c, bufio.NewReader(c)}
}

func (c client) send(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text + "\n")); err != nil {
		c.t.Fatal(err)
	}
}

// read returns the next line, or why there is none.
func (c client) read(within time.Duration) (string, error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	line, err := c.r.ReadString('\n')
	return line, err
}

func (c client) want(text string) {
	c.t.Helper()
	if line, err := c.read(patience); err != nil || line != text+"\n" {
		c.t.Fatalf("got %q, %v; want %q", line, err, text)
	}
}

func (c client) wantNothing() {
	c.t.Helper()
	var timeout net.Error
	if line, err := c.read(moment); !errors.As(err, &timeout) || !timeout.Timeout() {
		c.t.Fatalf("got %q, %v; want nothing", line, err)
	}
}

func (c client) wantEnd() {
	c.t.Helper()
	var timeout net.Error
	if line, err := c.read(patience); err == nil || errors.As(err, &timeout) && timeout.Timeout() {
		c.t.Fatalf("got %q, %v; want the end", line, err)
	}
}

func await(t *testing.T, trap *proxytest.Trap) {
	t.Helper()
	select {
	case <-trap.Sprung():
	case <-time.After(patience):
		t.Fatal("the trap was not hit")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	p := proxytest.Start(t, server(t))
	c := dial(t, p)
	c.send("one")
	c.want("one")

	for _, d := range []proxytest.Direction{proxytest.ToServer, proxytest.ToClient} {
		p.Stall(d)
		c.send("two")
		c.wantNothing()
		p.Heal()
		c.want("two")
	}

	p.Delay(proxytest.ToClient, moment)
	started := time.Now()
	c.send("three")
	c.want("three")
	if took := time.Since(started); took < moment {
		t.Errorf("with a delay of %v it took %v", moment, took)
	}
	p.Heal()

	p.Lose(proxytest.ToClient)
	c.send("four")
	c.wantNothing()
	p.Heal()
	c.wantEnd()

	c = dial(t, p)
	c.send("five")
	c.want("five")
	p.Cut()
	c.wantEnd()

	p.Refuse(true)
	// The reset may come as early as the connection itself.
	if refused, err := net.Dial("tcp", p.Address()); err == nil {
		client{t, refused, bufio.NewReader(refused)}.wantEnd()
		_ = refused.Close()
	}
	p.Refuse(false)
	c = dial(t, p)
	c.send("six")
	c.want("six")
}

func TestTraps(t *testing.T) {
	t.Parallel()
	p := proxytest.Start(t, server(t))
	c, other := dial(t, p), dial(t, p)

	hold := p.HoldAt(proxytest.ToServer, proxytest.Within("first\n"))
	c.send("first\nsecond")
	await(t, hold)
	c.want("first")
	c.wantNothing()
	other.send("first") // the trap was for one
	other.want("first")
	hold.Release()
	c.want("second")

	cut := p.CutAt(proxytest.ToClient, proxytest.Before("third"))
	c.send("third")
	await(t, cut)
	c.wantEnd()

	forsake := p.ForsakeAt(proxytest.ToClient, proxytest.Before("fourth"))
	other.send("fourth")
	await(t, forsake)
	other.wantEnd()
	if n := p.Connections(); n != 1 {
		t.Errorf("%d connections: the server's side is gone too", n)
	}
	p.Heal()

	c = dial(t, p)
	c.send("fifth")
	c.want("fifth")
	p.Forsake()
	c.wantEnd()
	if n := p.Connections(); n != 1 {
		t.Errorf("%d connections: the server's side is gone too", n)
	}
}
