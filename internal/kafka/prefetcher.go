package kafka

import (
	"context"
	"sync"
)

// prefetcher reads a log, and where more lies in it already, one fetch ahead of what is
// delivered: settles of one partition follow strictly upon each other, and need
// not wait for a fetch in between. Where nothing lies there yet it does not: a
// fetch that waits would come back with the first record, and what arrives while
// a batch is settled belongs into one batch.
type prefetcher struct {
	log  *logReader
	wg   sync.WaitGroup
	next *reading // nil: nothing is being read
}

// reading is a fetch under way. What it found may be read after done.
type reading struct {
	cancel context.CancelFunc
	done   chan struct{}
	found  fetched
	err    error
}

// read is the log's read, or the end of the one under way. Nothing reads the log
// when it returns.
func (p *prefetcher) read(ctx context.Context) (fetched, error) {
	r := p.next
	if r == nil {
		return p.log.read(ctx)
	}
	p.next = nil
	<-r.done
	r.cancel()
	return r.found, r.err
}

// start begins to read on, until ctx ends.
func (p *prefetcher) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	r := &reading{cancel: cancel, done: make(chan struct{})}
	p.next = r
	p.wg.Go(func() {
		defer close(r.done)
		r.found, r.err = p.log.read(ctx)
	})
}

// stop breaks off what is under way.
func (p *prefetcher) stop() {
	if p.next != nil {
		p.next.cancel()
	}
	p.wg.Wait()
}
