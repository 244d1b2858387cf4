package system

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/proxytest"
)

// TestIngestsComeAndGo kills an ingest under load, and stops another in order:
// what they answered 202 is in the log.
func TestIngestsComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	s := newStack(t, 4)
	var gates [2]*process
	var operators []*api
	for i := range gates {
		p, operator := s.ingest()
		gates[i], operators = p, append(operators, operator)
	}
	s.processor()
	l := startLoad(t, r, operators, 40)
	for range 2 {
		l.await(100)
		i := r.IntN(len(gates))
		gates[i].kill()
		l.await(20)
		gates[i] = s.ingestAt(strings.TrimPrefix(operators[i].base, "http://"))
		gates[i].waitReady()
		i = 1 - i
		l.await(100)
		gates[i].terminate()
		l.await(20)
		gates[i] = s.ingestAt(strings.TrimPrefix(operators[i].base, "http://"))
		gates[i].waitReady()
	}
	l.await(100)
	s.check(l)
}

// TestIngestStoppedInTheMiddleOfAFreeze: it holds the wallet's row, and the settle
// that needs it ends the session.
func TestIngestStoppedInTheMiddleOfAFreeze(t *testing.T) {
	t.Parallel()
	s := newStack(t, 1)
	_, operator := s.ingest()
	settler := s.processor()
	proxy, env := s.behind()
	address := freeAddress(t)
	stopped := s.ingestAt(address, env)
	stopped.waitReady()
	m := watchMotion(t, s.database)
	l := startLoad(t, newRand(t), []*api{operator}, 10)
	l.await(100)

	resume := l.quiet() // it is the settle that is to end it
	trap := proxy.HoldAt(proxytest.ToServer, proxytest.Before("PGCOPY\n"))
	freezer := newAPI(t, "http://"+address, operator.key)
	var frozen sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var status int
	var err error
	started := time.Now()
	frozen.Go(func() {
		status, _, err = freezer.call(ctx, http.MethodPost, "/v1/wallets/"+l.wallets[0]+"/freeze", map[string]string{"Idempotency-Key": "freeze"}, map[string]any{})
	})
	awaitTrap(t, trap)
	stopped.suspend()
	settler.awaitOutput("ended a session that held a lock")
	resume()
	l.await(100)
	took := m.stall(started, time.Now())
	t.Logf("longest stall: %v", took)
	if took > claimLimit+busy {
		t.Errorf("the partition stood for %v, want %v", took, claimLimit)
	}
	stopped.resume()
	trap.Release()
	frozen.Wait()
	if err != nil || status != http.StatusServiceUnavailable {
		t.Errorf("the freeze was answered %d, %v; want 503", status, err)
	}
	mustNotFence(t, settler)
	s.check(l)
}
