package ingest

import (
	"container/list"
	"sync"

	"github.com/monedero/monedero/internal/ledger"
)

// maxArriving bodies are on their way at once. Each holds up to maxBodyBytes.
const maxArriving = Seats

// arrivals are the requests whose bodies are on their way. The next one always finds
// room: beyond the bound the oldest of the owner that has most of them is cut off, so that
// bodies that dawdle cost their own sender.
type arrivals struct {
	most    int
	metrics *Metrics

	mu     sync.Mutex
	bodies list.List // of *arrival, the oldest first
}

// arrival is a body on its way.
type arrival struct {
	owner ledger.Party
	cut   func()
	at    *list.Element
}

// begin notes that a body of the owner is on its way. Until it has ended, cut may be called,
// once: it must end the reading of the body, and not wait.
func (a *arrivals) begin(o ledger.Party, cut func()) *arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.bodies.Len() >= a.most {
		victim := a.dearest()
		a.remove(victim)
		victim.cut()
		a.metrics.shed("body")
	}
	x := &arrival{owner: o, cut: cut}
	x.at = a.bodies.PushBack(x)
	return x
}

// end notes that the body has arrived, or never will. It is not cut off afterwards.
func (a *arrivals) end(x *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(x)
}

func (a *arrivals) remove(x *arrival) {
	if x.at != nil {
		a.bodies.Remove(x.at)
		x.at = nil
	}
}

// dearest is the oldest body of the owner that has most of them on their way.
func (a *arrivals) dearest() *arrival {
	bodies := map[ledger.Party]int{}
	most := 0
	for e := a.bodies.Front(); e != nil; e = e.Next() {
		o := e.Value.(*arrival).owner
		bodies[o]++
		most = max(most, bodies[o])
	}
	for e := a.bodies.Front(); ; e = e.Next() {
		if x := e.Value.(*arrival); bodies[x.owner] == most {
			return x
		}
	}
}
