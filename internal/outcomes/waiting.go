package outcomes

import (
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of waiting for an outcome.
const (
	// lookSoon is from one look at the progress of partitions to the next, while somebody has just begun to wait or something
	// has just moved. It is doubled with each look that finds nothing new, until it is a waitTick.
	lookSoon = 2 * time.Millisecond
	waitTick = 20 * time.Millisecond
	// askAnyway is how often all who wait are asked for, whatever the progress says: it is only a hint.
	askAnyway = 250 * time.Millisecond
)

// waiting are the questions of those who wait for an outcome. They are asked by ID once the progress of their partition says
// that what lies at their offset is settled: so many who wait cost no more than few. It belongs to one goroutine.
type waiting struct {
	partitions map[int]*waitingRoom // those in which somebody waits
	looks      time.Time            // when the progress is to be read next
	pause      time.Duration        // from the last look to that
	asks       time.Time            // when all are to be asked next
}

// waitingRoom are those who wait for operations of one partition.
type waitingRoom struct {
	questions map[*Question]struct{}
	next      ledger.Place // of the partition, when it was seen last
	early     bool         // what has moved may concern somebody who was asked for just before
}

func newWaiting() *waiting { return &waiting{partitions: map[int]*waitingRoom{}} }

// add lets the question, which is being asked now, wait.
func (w *waiting) add(q *Question, now time.Time) {
	if len(w.partitions) == 0 {
		w.asks, w.looks = now.Add(askAnyway), now.Add(lookSoon)
	}
	room := w.partitions[q.partition]
	if room == nil {
		room = &waitingRoom{questions: map[*Question]struct{}{}}
		w.partitions[q.partition] = room
	}
	room.questions[q] = struct{}{}
	q.asked = now
	w.lookBy(now.Add(lookSoon))
	w.pause = lookSoon
}

// lookBy has the progress read then at the latest.
func (w *waiting) lookBy(at time.Time) {
	if at.Before(w.looks) {
		w.looks = at
	}
}

// again has the question asked again soon, since what it was asked with failed.
func (w *waiting) again(q *Question) {
	if room := w.partitions[q.partition]; room != nil {
		q.reached, room.early = false, true
	}
}

// remove ends the question's wait; once is enough.
func (w *waiting) remove(q *Question) {
	room := w.partitions[q.partition]
	if room == nil {
		return
	}
	delete(room.questions, q)
	if len(room.questions) == 0 {
		delete(w.partitions, q.partition)
	}
}

// due is when something is to be done next; false: nobody waits.
func (w *waiting) due() (time.Time, bool) {
	if w.asks.Before(w.looks) {
		return w.asks, len(w.partitions) > 0
	}
	return w.looks, len(w.partitions) > 0
}

// look returns the partitions whose progress is to be read now.
func (w *waiting) look(now time.Time) (partitions []int) {
	if now.Before(w.looks) {
		return nil
	}
	for partition := range w.partitions {
		partitions = append(partitions, partition)
	}
	w.pause = min(2*w.pause, waitTick)
	w.looks = now.Add(w.pause)
	return partitions
}

// ask hands over all questions, if they are to be asked now, and forgets those that were dropped.
func (w *waiting) ask(now time.Time, add func(*Question)) {
	if now.Before(w.asks) {
		return
	}
	w.asks = now.Add(askAnyway)
	for _, room := range w.partitions {
		for q := range room.questions {
			if q.dropped.Load() {
				w.remove(q)
				continue
			}
			q.asked = now
			add(q)
		}
	}
}

// moved takes in where partitions stand, and hands over the questions that have an outcome by that.
func (w *waiting) moved(next map[int]ledger.Place, now time.Time, add func(*Question)) {
	for partition, place := range next {
		room := w.partitions[partition]
		if room == nil {
			continue
		}
		moved := place != room.next
		if !moved && !room.early {
			continue
		}
		room.next, room.early = place, false
		if moved {
			w.pause, w.looks = lookSoon, now.Add(lookSoon)
		}
		for q := range room.questions {
			switch {
			case q.dropped.Load():
				w.remove(q)
			case q.offset >= place.Offset: // not reached
			case !q.reached, now.Sub(q.asked) >= waitTick: // once, and again where that was not the right offset, or none is known
				q.reached, q.asked = true, now
				add(q)
			default:
				room.early = true
				w.lookBy(q.asked.Add(waitTick))
			}
		}
	}
}
