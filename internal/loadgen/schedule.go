package loadgen

import (
	"context"
	"sync"
	"time"
)

// Schedule says when each of the arrivals is to be sent: evenly, so many a second,
// from Start on.
type Schedule struct {
	Start    time.Time
	Rate     int // arrivals a second, above 0
	Arrivals int
}

// at is the moment of the i-th arrival, counted from 0. It is computed from i
// alone, so that no error adds up.
func (s Schedule) at(i int) time.Time {
	whole, rest := i/s.Rate, i%s.Rate
	return s.Start.Add(time.Duration(whole)*time.Second + time.Duration(rest)*time.Second/time.Duration(s.Rate))
}

// Keep calls send for every arrival at its moment, or as soon after it as it
// can, and never waits for one to return. An arrival for which there is no place,
// since so many are in flight, is given to overflow instead. It returns when all
// that it sent has returned, and says how long after Start the last one was sent;
// when ctx ends, nothing more is sent.
func (s Schedule) Keep(ctx context.Context, inFlight int, send func(i int, intended time.Time), overflow func(i int)) (took time.Duration) {
	var sent sync.WaitGroup
	defer sent.Wait()
	places := make(chan struct{}, inFlight)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range s.Arrivals {
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
		took = time.Since(s.Start)
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
