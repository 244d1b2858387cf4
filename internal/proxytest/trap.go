package proxytest

import (
	"bytes"
	"sync"
)

// Trap waits for certain bytes, and then does something to the connection that
// carried them, once.
type Trap struct {
	direction Direction
	at        func(chunk []byte) int
	act       func(*link) (goesOn bool)

	sprung   chan struct{}
	released chan struct{}
	release  sync.Once
}

// Sprung is closed when the trap was hit, and what it does is done.
func (t *Trap) Sprung() <-chan struct{} { return t.sprung }

// Release lets a held connection go on.
func (t *Trap) Release() { t.release.Do(func() { close(t.released) }) }

// HoldAt holds one direction of the connection that hits the trap, until Release
// or Heal. at gets each chunk of the direction, and says how many of its bytes
// are passed on before; less than 0: it is not the one. See [Before] and [Within].
func (p *Proxy) HoldAt(d Direction, at func(chunk []byte) int) *Trap {
	t := newTrap(d, at)
	t.act = func(l *link) bool {
		close(t.sprung)
		select {
		case <-t.released:
			return true
		case <-l.ended:
			return false
		}
	}
	return p.set(t)
}

// CutAt cuts the connection that hits the trap; see [Proxy.HoldAt].
func (p *Proxy) CutAt(d Direction, at func(chunk []byte) int) *Trap {
	t := newTrap(d, at)
	t.act = func(l *link) bool {
		p.locked(l.cut)
		close(t.sprung)
		return false
	}
	return p.set(t)
}

// ForsakeAt cuts the client's side alone of the connection that hits the trap. The
// server's stays open until Release or Heal, as if the network had not told it;
// the bytes of the trap are lost.
func (p *Proxy) ForsakeAt(d Direction, at func(chunk []byte) int) *Trap {
	t := newTrap(d, at)
	t.act = func(l *link) bool {
		p.locked(l.forsake)
		close(t.sprung)
		select {
		case <-t.released:
		case <-l.ended:
		}
		p.locked(l.cut)
		return false
	}
	return p.set(t)
}

func newTrap(d Direction, at func([]byte) int) *Trap {
	return &Trap{direction: d, at: at, sprung: make(chan struct{}), released: make(chan struct{})}
}

func (p *Proxy) set(t *Trap) *Trap {
	p.locked(func() { p.traps = append(p.traps, t) })
	return t
}

// Before makes a trap of the chunk that contains the text: nothing of it passes.
func Before(text string) func([]byte) int {
	return func(chunk []byte) int {
		if !bytes.Contains(chunk, []byte(text)) {
			return -1
		}
		return 0
	}
}

// Within makes a trap right behind the text: what stands before it passes, and
// the text itself.
func Within(text string) func([]byte) int {
	return func(chunk []byte) int {
		i := bytes.Index(chunk, []byte(text))
		if i < 0 {
			return -1
		}
		return i + len(text)
	}
}
