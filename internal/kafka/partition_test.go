package kafka

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// claims is a claimer that answers what the test says, and notes when it is asked.
type claims struct {
	answer func(context.Context) error
	asked  []time.Duration // since began
	began  time.Time

	metrics prometheus.Gatherer
}

// metric is the value of a metric of partition 0.
func (c *claims) metric(t *testing.T, name string) float64 {
	t.Helper()
	families, err := c.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue() // it is one of them
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

func (c *claims) Claim(ctx context.Context, _ string, _ int, _ processor.Memory) (processor.Claim, error) {
	c.asked = append(c.asked, time.Since(c.began))
	return processor.Claim{}, c.answer(ctx)
}

// newLonePartition is a partition with neither group nor broker.
func newLonePartition(t *testing.T, answer func(context.Context) error) (*partition, *claims) {
	t.Helper()
	c := &claims{answer: answer, began: time.Now()}
	registry := prometheus.NewRegistry()
	o := SubscriberOptions{Group: "g", Claimer: c, Metrics: NewMetrics(registry)}
	c.metrics = registry
	if err := o.complete(); err != nil {
		t.Fatal(err)
	}
	s := &subscription{options: o, topic: "t", log: o.Logger, work: context.Background(), out: make(chan *message.Message)}
	copies := newCopies(nil, nil, "t", o.Logger)
	copies.found = map[int]processor.Memory{}
	return newPartition(s, 0, copies, fetchBytes, time.Now()), c
}

// runFor runs the partition for so long of virtual time.
func runFor(t *testing.T, p *partition, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	started := time.Now()
	p.run(ctx)
	if took := time.Since(started); took != d {
		t.Errorf("it was told to stop after %v, and did after %v", d, took)
	}
}

func TestFailedClaimsAreSpreadOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("connection refused")
		p, c := newLonePartition(t, func(context.Context) error { return down })
		runFor(t, p, 10*time.Minute)
		want := DefaultRetryMin
		for i := 1; i < len(c.asked); i++ {
			if pause := c.asked[i] - c.asked[i-1]; pause < want/2 || pause > want {
				t.Errorf("pause %d is %v, want %v to %v", i, pause, want/2, want)
			}
			want = min(2*want, DefaultRetryMax)
		}
		if n, most := len(c.asked), int(10*time.Minute/(DefaultRetryMax/2))+10; n < 100 || n > most {
			t.Errorf("%d claims in ten minutes, want 100 to %d", n, most)
		}
	})
}

func TestHaltedPartitionLooksAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c *claims
		var p *partition
		p, c = newLonePartition(t, func(context.Context) error {
			if n := len(c.asked); n > 1 && c.metric(t, "monedero_kafka_partition_halted") != 1 {
				t.Errorf("before claim %d the partition is not shown as halted", n)
			}
			return processor.ErrNoProgress
		})
		runFor(t, p, time.Minute-time.Second)
		if n := len(c.asked); n != int(time.Minute/DefaultHaltRetry) {
			t.Errorf("%d claims in a minute", n)
		}
	})
}

func TestClaimsThatAreNeverAnsweredAreGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newLonePartition(t, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		runFor(t, p, 10*time.Minute)
		for i := 1; i < len(c.asked); i++ {
			if after := c.asked[i] - c.asked[i-1]; after < DefaultClaimTimeout || after > DefaultClaimTimeout+DefaultRetryMax {
				t.Errorf("claim %d came %v after the one before", i, after)
			}
		}
		if n := len(c.asked); n < 13 || n > 15 {
			t.Errorf("%d claims in ten minutes", n)
		}
	})
}

func TestNackedBatchComesAgainUnchangedAndSpreadOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newLonePartition(t, nil)
		const nacks = 40
		batch := processor.Batch{From: 7, To: 9, Records: []record.Record{{Offset: 7}, {Offset: 8}}}
		done := make(chan error, 1)
		go func() { done <- p.finish(t.Context(), batch) }()
		want, last := DefaultRetryMin, time.Now()
		for i := range nacks {
			msg := <-p.s.out
			if pause := time.Since(last); i > 0 {
				if pause < want/2 || pause > want {
					t.Errorf("pause %d is %v, want %v to %v", i, pause, want/2, want)
				}
				want = min(2*want, DefaultRetryMax)
			}
			if b := deliveryOf(msg).batch; b.From != 7 || b.To != 9 || len(b.Records) != 2 {
				t.Fatalf("delivery %d holds %d records from %d to %d", i, len(b.Records), b.From, b.To)
			}
			last = time.Now()
			msg.Nack()
		}
		(<-p.s.out).Ack()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := c.metric(t, "monedero_kafka_redeliveries_total"); got != nacks {
			t.Errorf("%v redeliveries are counted", got)
		}
	})
}

func TestFencedBatchEndsTheClaimAndAHaltedOneHalts(t *testing.T) {
	t.Parallel()
	why := errors.New("what halts")
	for name, c := range map[string]struct {
		said processor.Result
		want error
	}{
		"fenced": {processor.Fenced(why), errFenced},
		"halted": {processor.Halt(why), why},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, _ := newLonePartition(t, nil)
				done := make(chan error, 1)
				go func() { done <- p.finish(t.Context(), processor.Batch{To: 1}) }()
				msg := <-p.s.out
				deliveryOf(msg).result = c.said
				started := time.Now()
				msg.Nack()
				if err := <-done; !errors.Is(err, c.want) || time.Since(started) != 0 {
					t.Errorf("after %v: %v", time.Since(started), err)
				}
			})
		})
	}
}

func TestMessageInHandIsWaitedForNoLongerThanTheDrain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		finish time.Duration // by the handler, after the stop; 0: never
		want   time.Duration
	}{
		"finished in time": {DefaultDrainTimeout / 2, DefaultDrainTimeout / 2},
		"never finished":   {0, DefaultDrainTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, _ := newLonePartition(t, nil)
				stop, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- p.finish(stop, processor.Batch{To: 1}) }()
				msg := <-p.s.out
				cancel()
				stopped := time.Now()
				if c.finish > 0 {
					time.Sleep(c.finish)
					if err := msg.Context().Err(); err != nil {
						t.Errorf("the work was cancelled while it was waited for: %v", err)
					}
					msg.Ack()
				}
				err := <-done
				if took := time.Since(stopped); took != c.want {
					t.Errorf("it was waited for %v, want %v", took, c.want)
				}
				if (err == nil) != (c.finish > 0) || msg.Context().Err() == nil {
					t.Errorf("it ended with %v, and its context with %v", err, msg.Context().Err())
				}
			})
		})
	}
}

func TestFencesInARowAreSpreadOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, c := newLonePartition(t, func(context.Context) error { return errFenced })
		runFor(t, p, time.Minute)
		var want []time.Duration
		for _, waits := range []int{0, 1, 3, 7, 15, 23, 31, 39, 47, 55} {
			want = append(want, time.Duration(waits)*DefaultFenceWait)
		}
		if diff := cmp.Diff(want, c.asked); diff != "" {
			t.Errorf("claims (-want +got):\n%s", diff)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p, c := newLonePartition(t, func(context.Context) error {
			time.Sleep(20 * DefaultFenceWait) // it has the partition for that long
			return errFenced
		})
		runFor(t, p, 62*DefaultFenceWait+DefaultFenceWait/2)
		if len(c.asked) != 3 || c.asked[2] != 42*DefaultFenceWait {
			t.Errorf("claims that last, at %v", c.asked)
		}
	})
}
