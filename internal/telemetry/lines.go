package telemetry

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// The limits of what waits to be written.
const (
	maxLines     = 1024
	flushTimeout = time.Second
)

// Lines writes the lines of a log in the background, so that a reader that does not
// read holds nobody up: so many lines wait for it in memory, and what comes beyond
// is dropped and counted. Close ends it.
type Lines struct {
	to      io.Writer
	waiting chan []byte
	closing chan struct{}
	once    sync.Once
	written sync.WaitGroup
	dropped atomic.Int64
}

// NewLines makes a writer of lines to w.
func NewLines(w io.Writer) *Lines {
	l := &Lines{to: w, waiting: make(chan []byte, maxLines), closing: make(chan struct{})}
	l.written.Go(l.run)
	return l
}

// Write takes one line. It never fails and never blocks.
func (l *Lines) Write(line []byte) (int, error) {
	select {
	case l.waiting <- append([]byte(nil), line...):
	default:
		l.dropped.Add(1)
	}
	return len(line), nil
}

// Dropped is how many lines nobody will read.
func (l *Lines) Dropped() int64 { return l.dropped.Load() }

// Close writes what waits still, for a second at most.
func (l *Lines) Close() {
	l.once.Do(func() { close(l.closing) })
	done := make(chan struct{})
	go func() {
		l.written.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(flushTimeout):
	}
}

func (l *Lines) run() {
	for {
		select {
		case line := <-l.waiting:
			l.write(line)
		case <-l.closing:
			for {
				select {
				case line := <-l.waiting:
					l.write(line)
				default:
					return
				}
			}
		}
	}
}

// write hands a line to whoever reads. One that is gone is no reason to stop.
func (l *Lines) write(line []byte) {
	if _, err := l.to.Write(line); err != nil {
		l.dropped.Add(1)
	}
}
