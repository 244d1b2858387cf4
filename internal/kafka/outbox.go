package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"

	"github.com/monedero/monedero/internal/gather"
)

// The limits of requests that hold the batches of several lanes.
const (
	maxRequestBytes = 8 << 20
	// jointAttempt is how long a request of several lanes may take: where one of their partitions hangs,
	// the others go on after that.
	jointAttempt = time.Second
	// outboxPatience is how long a batch waits for the request in flight. Then it goes in one of its own. It is no
	// shorter than lateAfter: who leaves a request that is not late would only do so again.
	outboxPatience = lateAfter
	// leaderPatience is how long it waits to hear which broker that is.
	leaderPatience = 50 * time.Millisecond
	// lateAfter is how long an answer may take. A lane whose answer took longer, or was an error, travels in
	// requests of its own until it was quick quickTimes: the broker answers when it has all of a request, so
	// one partition whose replicas lag would hold up all others.
	lateAfter  = 100 * time.Millisecond
	quickTimes = 2
)

// parcel is a batch on its way to the broker, once.
type parcel struct {
	key   laneKey
	lane  *lane
	batch []*entry
	base  int64
	err   error
	apart bool          // it was not sent, and goes in a request of its own
	done  chan struct{} // closed once the rest is set
}

func (p *parcel) bytes() (n int) {
	for _, e := range p.batch {
		n += e.size
	}
	return n
}

// post sends the batch once: with those of other lanes that wait for the same broker, or by itself. A request
// costs about the same whatever is in it. When ctx ends it returns, and the batch may be written all the same.
func (p *Producer) post(ctx context.Context, key laneKey, l *lane, batch []*entry) (int64, error) {
	if !l.travelsAlone() {
		c := newParcel(key, l, batch)
		switch gone, err := p.postTogether(ctx, c); {
		case err != nil:
			return 0, err
		case gone:
			return c.base, c.err
		}
	}
	c := newParcel(key, l, batch)
	p.request(ctx, []*parcel{c})
	return c.base, c.err
}

func newParcel(key laneKey, l *lane, batch []*entry) *parcel {
	return &parcel{key: key, lane: l, batch: batch, done: make(chan struct{})}
}

// postTogether sends the parcel with others. It reports whether the parcel is gone, and fails when ctx ends
// before that is known.
func (p *Producer) postTogether(ctx context.Context, c *parcel) (gone bool, err error) {
	broker, known := p.leader(ctx, c.key)
	if !known {
		return false, nil
	}
	made, _ := p.outboxes.LoadOrStore(broker, &outbox{})
	q := made.(*outbox)
	if sent := q.sent.Load(); sent != nil && time.Since(*sent) > outboxPatience {
		return false, nil
	}
	if q.Add(c) {
		p.wg.Go(func() { p.empty(q) })
	}
	patience := time.NewTimer(outboxPatience)
	defer patience.Stop()
	select {
	case <-c.done:
		return !c.apart, nil
	case <-patience.C:
		if q.Withdraw(c) {
			return false, nil
		}
	case <-ctx.Done():
		q.Withdraw(c)
	}
	select {
	case <-c.done:
		return !c.apart, nil
	case <-ctx.Done():
		return false, fmt.Errorf("produce: %w", context.Cause(ctx))
	}
}

// outbox is what waits for one broker.
type outbox struct {
	gather.Queue[*parcel]

	sent atomic.Pointer[time.Time] // when the request in flight was sent; nil: there is none
}

// empty sends request after request until nothing waits: one at a time to this broker.
func (p *Producer) empty(q *outbox) {
	for {
		bytes := 0
		batch := q.Take(func(c *parcel) bool {
			n := c.bytes()
			fits := bytes+n <= maxRequestBytes
			if fits {
				bytes += n
			}
			return fits
		})
		if batch == nil {
			return
		}
		now := time.Now()
		q.sent.Store(&now)
		p.request(p.work, batch)
		q.sent.Store(nil)
	}
}

// request sends the parcels, all to one broker, and tells what became of each.
func (p *Producer) request(ctx context.Context, parcels []*parcel) {
	together, limit := len(parcels) > 1, produceAttempt
	if together {
		limit = jointAttempt
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	sent := time.Now()
	for _, c := range parcels {
		c.lane.sent(sent)
	}
	answer, err := p.cluster.transport.RoundTrip(ctx, p.cluster.addr, produceRequest(parcels, limit/2))
	took := time.Since(sent)
	var before *produce.Error // nothing was sent: the parcels are not all for one broker any more
	if errors.As(err, &before) && together {
		p.forgetLeaders()
	}
	for _, c := range parcels {
		switch {
		case before != nil && together:
			c.apart = true
		case err != nil:
			c.err = fmt.Errorf("produce: %w", err)
		default:
			c.base, c.err = produced(answer, c.key)
		}
		c.lane.answered(took, c.err, together)
		close(c.done)
	}
}

// produceRequest is the request for all of the parcels. The broker waits so long for the replicas.
func produceRequest(parcels []*parcel, wait time.Duration) *produce.Request {
	r := &produce.Request{Acks: int16(kafkago.RequireAll), Timeout: int32(wait.Milliseconds())} //nolint:gosec // a second at most
	at := map[string]int{}
	for _, c := range parcels {
		i, is := at[c.key.topic]
		if !is {
			i = len(r.Topics)
			at[c.key.topic] = i
			r.Topics = append(r.Topics, produce.RequestTopic{Topic: c.key.topic})
		}
		r.Topics[i].Partitions = append(r.Topics[i].Partitions, produce.RequestPartition{
			Partition: int32(c.key.partition), RecordSet: protocol.RecordSet{Records: &batchReader{entries: c.batch}}, //nolint:gosec // 65536 at most
		})
	}
	return r
}

// produced is what the answer says of the lane's batch: where it begins in the log.
func produced(answer kafkago.Response, key laneKey) (base int64, err error) {
	response, is := answer.(*produce.Response)
	if !is {
		return 0, fmt.Errorf("produce: an answer of the kind %T", answer)
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if t.Topic != key.topic || int(p.Partition) != key.partition {
				continue
			}
			switch {
			case p.ErrorCode == 0:
				return p.BaseOffset, nil
			case p.ErrorMessage != "":
				return 0, fmt.Errorf("%w: %s", kafkago.Error(p.ErrorCode), p.ErrorMessage)
			}
			return 0, kafkago.Error(p.ErrorCode)
		}
	}
	return 0, fmt.Errorf("produce: the answer says nothing of partition %d", key.partition)
}

// leader is the number of the broker that leads the lane's partition, as far as is known: it may be a
// metadataTTL old. Where Kafka does not say at once, it is not known.
func (p *Producer) leader(ctx context.Context, key laneKey) (broker int, known bool) {
	since := time.Now().Add(-metadataTTL)
	if forgot := p.forgot.Load(); forgot != nil && forgot.After(since) {
		since = *forgot
	}
	ctx, cancel := context.WithTimeout(ctx, leaderPatience)
	defer cancel()
	last, _ := p.leaders.LoadOrStore(key.topic, &answer[map[int]int]{})
	all, err := last.(*answer[map[int]int]).get(ctx, since, func(ctx context.Context) (map[int]int, error) {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		defer cancel()
		return p.cluster.leaders(ctx, key.topic)
	})
	broker, known = all[key.partition]
	return broker, known && err == nil
}

func (p *Producer) forgetLeaders() {
	now := time.Now()
	p.forgot.Store(&now)
}
