package postgres_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// proxy stands between a store and the server. Armed, it cuts the connection
// in place of passing on that a transaction was committed. With a quota, it cuts
// the connection once so many bytes went to the server.
type proxy struct {
	server string
	armed  atomic.Bool
	quota  atomic.Int64 // 0: none
	group  sync.WaitGroup
}

// startProxy returns the database's URL through a proxy.
func startProxy(t *testing.T, database string) (*proxy, string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: u.Host}
	p.group.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.group.Go(func() { p.carry(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.group.Wait()
	})
	u.Host = listener.Addr().String()
	return p, u.String()
}

func (p *proxy) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	p.group.Go(func() {
		p.send(server, client)
		_ = server.Close()
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		if err != nil || p.armed.Load() && bytes.Contains(buf[:n], []byte("COMMIT\x00")) {
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// send passes on what the client says, until one of them ends or the quota is
// used up.
func (p *proxy) send(server io.Writer, client io.Reader) {
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			return
		}
		quota := p.quota.Load()
		last := quota > 0 && int64(n) >= quota
		if last {
			n = int(quota)
		}
		if _, err := server.Write(buf[:n]); err != nil || last {
			p.quota.CompareAndSwap(quota, 0)
			return
		}
		if quota > 0 {
			p.quota.CompareAndSwap(quota, quota-int64(n))
		}
	}
}

// A commit whose answer is lost is an unknown: the same call again finds out.
func TestSettleWhenTheAnswerToTheCommitIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wallet := w.wallet(0)
	claim := w.claim(0)
	p, address := startProxy(t, w.url)
	store, err := postgres.Connect(t.Context(), address, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s := slice(0, request(w.topUp(wallet, 7)), dead())
	p.armed.Store(true)
	_, err = store.Settle(t.Context(), claim, s)
	if err == nil || errors.Is(err, processor.ErrData) || errors.Is(err, processor.ErrIntegrity) || errors.Is(err, processor.ErrFenced) {
		t.Fatalf("the answer was lost: %v", err)
	}
	p.armed.Store(false)
	var moved *processor.MovedError
	if _, err = store.Settle(t.Context(), claim, s); !errors.As(err, &moved) || moved.NextOffset != 2 {
		t.Fatalf("the same again: %v", err)
	}
	if got, _ := w.store.Wallet(t.Context(), wallet); got.Balance != 7 {
		t.Errorf("balance %d", got.Balance)
	}
	w.verified()
}
