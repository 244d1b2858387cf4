package kafka_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// progress keeps positions as a database does: a claim raises the epoch, and
// settling compares epoch and offset before it moves on.
type progress struct {
	mu      sync.Mutex
	changed chan struct{} // closed at each change
	rows    map[int]*row
}

type row struct {
	claim   processor.Claim
	owner   string
	settled []record.Record
	covered []span // of the batches settled
}

type span struct{ From, To int64 }

func newProgress(topic kafka.Topic) *progress {
	p := &progress{changed: make(chan struct{}), rows: map[int]*row{}}
	for i := range topic.Partitions {
		p.rows[i] = &row{claim: processor.Claim{
			Topic: topic.Name, Partition: i, Partitions: topic.Partitions, ClusterID: topic.ClusterID, Log: 1,
		}}
	}
	return p
}

// edit changes what is stored.
func (p *progress) edit(f func(rows map[int]*row)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p.rows)
	close(p.changed)
	p.changed = make(chan struct{})
}

// await waits until what is stored is as wanted.
func (p *progress) await(t *testing.T, what string, f func(rows map[int]*row) bool) {
	t.Helper()
	timer := time.NewTimer(kafkatest.Patience)
	defer timer.Stop()
	for {
		p.mu.Lock()
		done, changed := f(p.rows), p.changed
		p.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (p *progress) awaitNext(t *testing.T, partition int, next int64) {
	t.Helper()
	p.await(t, "settled up to "+strconv.FormatInt(next, 10), func(rows map[int]*row) bool {
		return rows[partition] != nil && rows[partition].claim.NextOffset == next
	})
}

func (p *progress) settled(partition int) []record.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rows[partition].settled)
}

func (p *progress) covered(partition int) []span {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rows[partition].covered)
}

func (p *progress) values(partition int) []string {
	var values []string
	for _, r := range p.settled(partition) {
		values = append(values, string(r.Value))
	}
	return values
}

func (p *progress) epochs() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var sum int64
	for r := range maps.Values(p.rows) {
		sum += r.claim.Epoch
	}
	return sum
}

// member is the progress as one process sees it.
type member struct {
	*progress
	name string
}

func (m member) Claim(_ context.Context, _ string, partition int, known processor.Memory) (claim processor.Claim, err error) {
	m.edit(func(rows map[int]*row) {
		r := rows[partition]
		switch {
		case r == nil:
			err = processor.ErrNoProgress
			return
		case r.claim.Memory().Behind(known):
			err = &processor.RestoredError{Known: known, Found: r.claim.Memory()}
			return
		}
		r.claim.Epoch++
		r.owner, claim = m.name, r.claim
	})
	return claim, err
}

func (m member) Holds(_ context.Context, known map[int]processor.Memory) (map[int]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lost := map[int]error{}
	for partition, memory := range known {
		if r := m.rows[partition]; r == nil {
			lost[partition] = processor.ErrNoProgress
		} else if err := memory.Check(r.claim.Memory()); err != nil {
			lost[partition] = err
		}
	}
	return lost, nil
}

func (p *progress) settle(b processor.Batch) (err error) {
	p.edit(func(rows map[int]*row) {
		r := rows[b.Claim.Partition]
		switch {
		case r.claim.Epoch != b.Claim.Epoch:
			err = processor.ErrFenced
			return
		case r.claim.NextOffset != b.From:
			err = processor.ErrProgress
			return
		}
		r.claim.NextOffset, r.claim.MovedEpoch, r.claim.LastRecord = b.To, r.claim.Epoch, nil
		if n := len(b.Records); n > 0 && b.Records[n-1].Offset == b.To-1 {
			hash := b.Records[n-1].Hash()
			r.claim.LastRecord = &hash
		}
		r.settled = append(r.settled, b.Records...)
		r.covered = append(r.covered, span{b.From, b.To})
	})
	return err
}

// handle settles a batch as the processor does.
func (p *progress) handle(_ context.Context, b processor.Batch) processor.Result {
	err := p.settle(b)
	switch {
	case err == nil:
		return processor.Settled()
	case errors.Is(err, processor.ErrFenced):
		return processor.Fenced(err)
	}
	return processor.Halt(err)
}

// worker is a subscriber whose positions live in a progress.
type worker struct {
	sub     *kafka.Subscriber
	metrics *prometheus.Registry
	log     *lines
}

// group and the topic are the name of a group: tests share a broker.
const group = "workers-"

// work subscribes and hands every batch to handle, one at a time.
func work(t *testing.T, broker *kafkatest.Kafka, topic kafka.Topic, claimer processor.Claimer, handle processor.Handler) *worker {
	t.Helper()
	w := &worker{metrics: prometheus.NewRegistry(), log: newLines()}
	var err error
	w.sub, err = kafka.NewSubscriber(broker.Client(t), kafka.SubscriberOptions{
		Group: group + topic.Name, Claimer: claimer,
		RetryMin: time.Millisecond, RetryMax: 50 * time.Millisecond,
		HaltRetry: 20 * time.Millisecond, FenceWait: 20 * time.Millisecond, DrainTimeout: time.Second,
		ClaimTimeout: time.Second,
		Logger:       slog.New(w.log), Metrics: kafka.NewMetrics(w.metrics),
	})
	if err != nil {
		t.Fatal(err)
	}
	var one sync.Mutex
	var wg sync.WaitGroup
	wg.Go(func() {
		err := w.sub.Run(t.Context(), topic.Name, func(ctx context.Context, b processor.Batch) processor.Result {
			one.Lock()
			defer one.Unlock()
			return handle(ctx, b)
		}, kafkatest.Patience)
		if err != nil && t.Context().Err() == nil && !strings.Contains(err.Error(), "ended by itself") { // as where a test closes it
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		_ = w.sub.Close()
		wg.Wait()
	})
	return w
}

// metric is the value of a gauge or counter of a partition; 0 if there is none.
func (w *worker) metric(t *testing.T, name string, partition int) float64 {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && m.GetLabel()[0].GetValue() == strconv.Itoa(partition) {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// awaitMetric looks again and again: a metric tells nobody that it changed.
func (w *worker) awaitMetric(t *testing.T, name string, partition int, good func(float64) bool) {
	t.Helper()
	deadline := time.Now().Add(kafkatest.Patience)
	for !good(w.metric(t, name, partition)) {
		if time.Now().After(deadline) {
			t.Fatalf("%s = %v", name, w.metric(t, name, partition))
		}
		<-time.After(10 * time.Millisecond)
	}
}

// lines is a log that can be waited for.
type lines struct {
	slog.Handler

	mu      sync.Mutex
	changed chan struct{}
	lines   []string
}

func newLines() *lines {
	return &lines{Handler: slog.DiscardHandler, changed: make(chan struct{})}
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) WithAttrs([]slog.Attr) slog.Handler       { return l }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	close(l.changed)
	l.changed = make(chan struct{})
	return nil
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(l.lines), func(s string) bool { return !strings.Contains(s, text) }))
}

func (l *lines) await(t *testing.T, text string) {
	t.Helper()
	timer := time.NewTimer(kafkatest.Patience)
	defer timer.Stop()
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if l.count(text) > 0 {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("no line says %q:\n%s", text, strings.Join(l.lines, "\n"))
		}
	}
}
