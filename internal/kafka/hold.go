package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/processor"
)

const (
	// holdEvery is how often a member asks whether its claims still hold.
	holdEvery = time.Second
	// holdTimeout bounds the question.
	holdTimeout = 5 * time.Second
)

// held is what the owner of a partition knows of its progress, and whether it still
// has it. It outlives claims and generations: what was settled under one is known at
// the next.
type held struct {
	mu      sync.Mutex
	memory  processor.Memory
	claimed bool
	lost    error // why the claim does not hold
}

// heldOf is that of a partition, whenever it was assigned.
func (s *subscription) heldOf(partition int) *held {
	if s.held == nil {
		s.held = map[int]*held{}
	}
	if s.held[partition] == nil {
		s.held[partition] = &held{}
	}
	return s.held[partition]
}

// know is what is remembered, with what else is known.
func (h *held) know(more processor.Memory) processor.Memory {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.memory = h.memory.With(more)
	return h.memory
}

func (h *held) claim(m processor.Memory) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.memory, h.claimed, h.lost = m, true, nil
}

// moved remembers that everything below next is settled.
func (h *held) moved(next int64) processor.Memory {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.memory = h.memory.Moved(next)
	return h.memory
}

func (h *held) giveUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.claimed = false
}

// asked is what to ask about the claim; there is nothing to ask without one.
func (h *held) asked() (processor.Memory, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.memory, h.claimed
}

// lose says that the claim of that epoch does not hold.
func (h *held) lose(epoch int64, why error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.claimed && h.memory.Epoch == epoch {
		h.lost = why
	}
}

func (h *held) isLost() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

// watchClaims asks again and again, for all partitions at once, whether their claims
// hold. Whoever settles is told by the fence; this is for partitions to which nothing
// comes.
func (s *subscription) watchClaims(stop context.Context, holder processor.Holder, partitions []*partition) {
	tick := time.NewTicker(holdEvery)
	defer tick.Stop()
	trouble := ""
	for {
		select {
		case <-stop.Done():
			return
		case <-tick.C:
		}
		err := askHolder(stop, holder, partitions)
		switch {
		case err == nil:
			trouble = ""
		case stop.Err() == nil && err.Error() != trouble:
			trouble = err.Error()
			s.log.Warn("whether the claims hold is not known", "err", err)
		}
	}
}

func askHolder(stop context.Context, holder processor.Holder, partitions []*partition) error {
	known := make(map[int]processor.Memory, len(partitions))
	for _, p := range partitions {
		if m, is := p.held.asked(); is {
			known[p.number] = m
		}
	}
	if len(known) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(stop, holdTimeout)
	defer cancel()
	lost, err := holder.Holds(ctx, known)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		if why := lost[p.number]; why != nil {
			p.held.lose(known[p.number].Epoch, why)
		}
	}
	return nil
}
