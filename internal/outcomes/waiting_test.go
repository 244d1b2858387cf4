package outcomes

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// played is a look-up of which every millisecond may bring a query, of operations that have no outcome.
type played struct {
	*Lookup
	start time.Time
	looks []int // when the progress was read, in ms
}

func play() *played {
	return &played{Lookup: newLookup(nil, uncounted, slog.New(slog.DiscardHandler)), start: time.Now()}
}

// run plays the milliseconds, in each of which the partition stands at an offset, and returns those in which the
// question was asked.
func (p *played) run(t *testing.T, q *Question, from, to int, at func(millisecond int) int64) (asked []int) {
	t.Helper()
	for millisecond := from; millisecond < to; millisecond++ {
		now := p.start.Add(time.Duration(millisecond) * time.Millisecond)
		round := map[ledger.OperationID]*Question{}
		if partitions := p.take(round, now); len(partitions) > 0 {
			p.looks = append(p.looks, millisecond)
			p.waiting.moved(map[int]ledger.Place{3: {Offset: at(millisecond)}}, now, func(q *Question) { p.woken = append(p.woken, q) })
		}
		if found := round[q.id]; found == q {
			asked = append(asked, millisecond)
			if q.next != nil {
				t.Errorf("after %d ms it is asked for twice", millisecond)
			}
		}
	}
	return asked
}

// count is how many wait.
func (w *waiting) count() (n int) {
	for _, room := range w.partitions {
		n += len(room.questions)
	}
	return n
}

func standing(offset int64) func(int) int64 { return func(int) int64 { return offset } }

// TestWhoWaitsIsAskedForOnceItIsReached: the progress is looked at soon, and then less and less often, and who waits is
// asked for only when it says that the record is settled.
func TestWhoWaitsIsAskedForOnceItIsReached(t *testing.T) {
	t.Parallel()
	p := play()
	q := p.Await([16]byte{1}, 3, 100)
	if asked := p.run(t, q, 0, 91, standing(100)); !slices.Equal(asked, []int{0}) {
		t.Errorf("not reached, and asked for after %v ms", asked)
	}
	if want := []int{2, 4, 8, 16, 32, 52, 72}; !slices.Equal(p.looks, want) {
		t.Errorf("looked after %v ms, want %v", p.looks, want)
	}
	if asked := p.run(t, q, 91, 120, standing(101)); !slices.Equal(asked, []int{93}) {
		t.Errorf("reached at the look after 92 ms, and asked for after %v ms", asked)
	}
	p.reply(q, Answer{})
	if p.waiting.count() != 1 {
		t.Error("an outcome that is not there yet ended the wait")
	}
	p.reply(q, Answer{Found: true})
	p.reply(q, Answer{Found: true})
	if _, due := p.waiting.due(); due || p.waiting.count() != 0 || len(p.waiting.partitions) != 0 {
		t.Error("it is answered, and waits")
	}
}

// TestWhoseOffsetIsWrongIsAskedForAnyway: the progress is a hint.
func TestWhoseOffsetIsWrongIsAskedForAnyway(t *testing.T) {
	t.Parallel()
	for _, step := range []struct {
		what   string
		offset int64
		at     func(millisecond int) int64
		want   []int
	}{
		{"beyond the log", 1 << 62, standing(100), []int{0, 250, 500}},
		{"reached, and not on record", 0, standing(100), []int{0, 3, 250, 500}},
		{"not known, and nothing moves", UnknownOffset, standing(0), []int{0, 250, 500}},
		{"not known, and it moves once, just after it was asked for", UnknownOffset, func(ms int) int64 { return int64(min(ms, 3)) }, []int{0, 3, 23, 250, 500}},
	} {
		p := play()
		asked := p.run(t, p.Await([16]byte{1}, 3, step.offset), 0, 501, step.at)
		if !slices.Equal(asked, step.want) {
			t.Errorf("%s: asked for after %v ms, want %v", step.what, asked, step.want)
		}
	}
	p := play()
	asked := p.run(t, p.Await([16]byte{1}, 3, UnknownOffset), 0, 201, func(ms int) int64 { return int64(ms) })
	if len(asked) < 7 || len(asked) > 11 {
		t.Errorf("not known, and it moves all the time: asked for after %v ms, want once in %v", asked, waitTick)
	}
}

// TestWhatFailsIsAskedAgain: an answer that did not come is no outcome that is not there.
func TestWhatFailsIsAskedAgain(t *testing.T) {
	t.Parallel()
	p := play()
	q := p.Await([16]byte{1}, 3, 100)
	if asked := p.run(t, q, 0, 4, standing(101)); !slices.Equal(asked, []int{0, 3}) {
		t.Fatalf("asked for after %v ms", asked)
	}
	p.reply(q, Answer{Err: errors.New("down")})
	if asked := p.run(t, q, 4, 60, standing(101)); len(asked) == 0 {
		t.Error("not asked for again")
	}
}

// TestWhoJoinsDelaysNoLook: many who come one after the other do not put off the look that all wait for.
func TestWhoJoinsDelaysNoLook(t *testing.T) {
	t.Parallel()
	p := play()
	first := p.Await([16]byte{1}, 3, 100)
	for millisecond := range 10 {
		p.Await([16]byte{2, byte(millisecond)}, 3, 1000)
		p.run(t, first, millisecond, millisecond+1, standing(100))
	}
	if want := []int{2, 4, 6, 8}; !slices.Equal(p.looks, want) {
		t.Errorf("looked after %v ms, want %v", p.looks, want)
	}
}

// TestWhoIsGoneIsForgotten: dropped questions are asked for no more, and do not stay.
func TestWhoIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	p := play()
	gone := p.Await([16]byte{2}, 3, 100)
	p.run(t, gone, 0, 10, standing(100))
	p.Drop(gone)
	if asked := p.run(t, gone, 10, 300, standing(100)); len(asked) > 0 {
		t.Errorf("asked for after %v ms, when nobody waits any more", asked)
	}
	if p.waiting.count() != 0 || p.open.Load() != 0 {
		t.Errorf("%d wait, %d are open", p.waiting.count(), p.open.Load())
	}
}
