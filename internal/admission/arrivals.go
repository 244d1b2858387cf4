package admission

import (
	"container/list"
	"sync"

	"github.com/monedero/monedero/internal/ledger"
)

// maxArriving bodies are on their way at once. Each may hold a whole body.
const maxArriving = Seats

// Arrivals are the requests whose bodies are on their way. The next one always finds
// room: beyond the bound the oldest of the owner that has most of them is cut off, so that
// bodies that dawdle cost their own sender.
type Arrivals struct {
	most int
	shed func()

	mu     sync.Mutex
	bodies list.List // of *Arrival, the oldest first
}

// Arrival is a body on its way.
type Arrival struct {
	owner ledger.Party
	cut   func()
	at    *list.Element
}

// NewArrivals makes the arrivals of a replica. It calls shed for each body that is cut off.
func NewArrivals(shed func()) *Arrivals { return &Arrivals{most: maxArriving, shed: shed} }

// Begin notes that a body of the owner is on its way. Until it has ended, cut may be called,
// once: it must end the reading of the body, and not wait.
func (a *Arrivals) Begin(o ledger.Party, cut func()) *Arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bodies.Len() >= a.most {
		victim := a.dearest()
		a.remove(victim)
		victim.cut()
		a.shed()
	}
	x := &Arrival{owner: o, cut: cut}
	x.at = a.bodies.PushBack(x)
	return x
}

// End notes that the body has arrived, or never will; once is enough. It is not cut off afterwards.
func (a *Arrivals) End(x *Arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(x)
}

func (a *Arrivals) remove(x *Arrival) {
	if x.at != nil {
		a.bodies.Remove(x.at)
		x.at = nil
	}
}

// dearest is the oldest body of the owner that has most of them on their way.
func (a *Arrivals) dearest() *Arrival {
	bodies := map[ledger.Party]int{}
	most := 0
	for e := a.bodies.Front(); e != nil; e = e.Next() {
		o := e.Value.(*Arrival).owner
		bodies[o]++
		most = max(most, bodies[o])
	}
	for e := a.bodies.Front(); ; e = e.Next() {
		if x := e.Value.(*Arrival); bodies[x.owner] == most {
			return x
		}
	}
}
