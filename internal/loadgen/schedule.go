package loadgen

import (
	"context"
	"sync"
	"time"
)

// schedule says when each of the arrivals is to be sent: evenly, so many a second,
// from start on.
type schedule struct {
	start    time.Time
	rate     int
	arrivals int
}

// at is the moment of the i-th arrival, counted from 0. It is computed from i
// alone, so that no error adds up.
func (s schedule) at(i int) time.Time {
	whole, rest := i/s.rate, i%s.rate
	return s.start.Add(time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(s.rate))
}

// keep calls send for every arrival at its moment, or as soon after it as it
// can, and never waits for one to return. An arrival for which there is no place,
// since so many are in flight, is given to overflow instead. It returns when all
// that it sent has returned, and says how long after start the last one was sent;
// when ctx ends, nothing more is sent.
func (s schedule) keep(ctx context.Context, inFlight int, send func(i int, intended time.Time), overflow func(i int)) (took time.Duration) {
	var sent sync.WaitGroup
	defer sent.Wait()
	places := make(chan struct{}, inFlight)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range s.arrivals {
		intended := s.at(i)
		if wait := time.Until(intended); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
		}
		if ctx.Err() != nil {
			return took
		}
		took = time.Since(s.start)
		select {
		case places <- struct{}{}:
		default:
			overflow(i)
			continue
		}
		sent.Go(func() {
			defer func() { <-places }()
			send(i, intended)
		})
	}
	return took
}
