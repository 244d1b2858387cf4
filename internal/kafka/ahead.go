package kafka

import (
	"context"
	"sync"
)

// ahead reads a log, and where more lies in it already, one fetch ahead of what is
// delivered: settles of one partition follow strictly upon each other, and need
// not wait for a fetch in between. Where nothing lies there yet it does not: a
// fetch that waits would come back with the first record, and what arrives while
// a batch is settled belongs into one batch.
type ahead struct {
	log  *log
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
func (a *ahead) read(ctx context.Context) (fetched, error) {
	r := a.next
	if r == nil {
		return a.log.read(ctx)
	}
	a.next = nil
	<-r.done
	r.cancel()
	return r.found, r.err
}

// start begins to read on, until ctx ends.
func (a *ahead) start(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	r := &reading{cancel: cancel, done: make(chan struct{})}
	a.next = r
	a.wg.Go(func() {
		defer close(r.done)
		r.found, r.err = a.log.read(ctx)
	})
}

// stop breaks off what is under way.
func (a *ahead) stop() {
	if a.next != nil {
		a.next.cancel()
	}
	a.wg.Wait()
}
