package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/record"
)

const (
	// answerFor is how long an answer of Kafka about a partition's end, or about
	// the topic, is good.
	answerFor = time.Second
	// freshFor is how long an answer is good for whoever may know better.
	freshFor = 20 * time.Millisecond
	// answerTimeout is how long such an answer is waited for: two connections and four
	// round trips to a Kafka that is far away.
	answerTimeout = 3 * time.Second
)

// Queue is Kafka as ingest sees it: an [ingest.Queue]. It is safe for concurrent
// use.
type Queue struct {
	publisher   *Publisher
	cluster     *Cluster
	topic       Topic
	traceparent func(context.Context) string
	check       answer[struct{}]
	ends        []answer[int64]
}

var _ ingest.Queue = (*Queue)(nil)

// NewQueue makes a queue. The topic is what the database knows of it. Traceparent
// reads the W3C trace context out of a context; nil: there is none.
func NewQueue(p *Publisher, c *Cluster, topic Topic, traceparent func(context.Context) string) *Queue {
	return &Queue{
		publisher: p, cluster: c, topic: topic, traceparent: traceparent,
		ends: make([]answer[int64], topic.Partitions),
	}
}

// Submit hands the request over to its wallet's partition. What it returns answers within
// ProduceDeadline.
func (q *Queue) Submit(ctx context.Context, r ledger.Request) (ingest.Durable, error) {
	value, headers, err := record.Encode(r)
	if err != nil {
		return nil, err
	}
	if q.traceparent != nil {
		if parent := q.traceparent(ctx); parent != "" {
			headers = append(headers, record.Header{Key: record.HeaderTraceparent, Value: []byte(parent)})
		}
	}
	sent, err := q.publisher.Begin(ctx, q.topic.Name, record.Record{Key: []byte(r.Wallet.String()), Value: value, Headers: headers})
	if err != nil {
		return nil, asNotTaken(err)
	}
	return func() (ingest.Receipt, error) {
		partition, offset, err := sent.Wait()
		if err != nil {
			return ingest.Receipt{}, asNotTaken(err)
		}
		return ingest.Receipt{Partition: partition, Offset: offset}, nil
	}, nil
}

// asNotTaken says in ingest's words where nothing was written.
func asNotTaken(err error) error {
	switch {
	case errors.Is(err, ErrQueueFull):
		return fmt.Errorf("%w: %w", ingest.ErrQueueFull, err)
	case notWritten(err):
		return fmt.Errorf("%w: %w", ingest.ErrNotTaken, err)
	}
	return err
}

// End is at most a second old, and 20 ms where it does not lie beyond the offset.
func (q *Queue) End(ctx context.Context, partition int, offset int64) (int64, error) {
	if partition < 0 || partition >= len(q.ends) {
		return 0, fmt.Errorf("there is no partition %d", partition)
	}
	ask := func(ctx context.Context) (int64, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		_, end, err := q.cluster.Offsets(ctx, q.topic.Name, partition)
		return end, err
	}
	now := time.Now()
	end, err := q.ends[partition].get(ctx, now.Add(-answerFor), ask)
	if err == nil && end <= offset {
		return q.ends[partition].get(ctx, now.Add(-freshFor), ask)
	}
	return end, err
}

// Check is at most a second old.
func (q *Queue) Check(ctx context.Context) error {
	_, err := q.check.get(ctx, time.Now(), func(ctx context.Context) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		seen, err := q.cluster.seen(ctx, q.topic, time.Now().Add(-answerFor))
		switch {
		case refuses(err):
			err = fmt.Errorf("%w: %w", ingest.ErrWrongQueue, err)
		case err == nil:
			err = seen.takes(ctx)
		}
		return struct{}{}, err
	})
	return err
}
