package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/record"
)

// The limits of producing.
const (
	// ProduceDeadline is how long Produce waits at most: a caller that promised an
	// answer within 5 s has time left to give it.
	ProduceDeadline = 4 * time.Second

	produceAttempt      = 2 * time.Second // one request; the broker is told half of it
	produceRetryMin     = 20 * time.Millisecond
	produceRetryMax     = 500 * time.Millisecond
	maxBatchRecords     = 1000
	maxBatchBytes       = 900_000 // below the broker's default limit of 1 MiB for a batch
	recordOverheadBytes = 64      // lengths, offsets and times around a record, generously
)

// Producer writes records, each partition's in the order in which they came. It
// has one batch in flight for each partition, and what comes meanwhile makes the
// next one. The batches for one broker travel together; see outbox.go. It is safe for concurrent use.
type Producer struct {
	cluster *Cluster
	metrics *Metrics
	work    context.Context // ends when Close has waited long enough
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	outboxes sync.Map                  // a broker's number to an *outbox
	leaders  sync.Map                  // by topic: *answer[map[int]int]
	forgot   atomic.Pointer[time.Time] // when the leaders turned out to be others

	lanes  sync.Map   // laneKey to *lane
	mu     sync.Mutex // held to add a lane, and to close
	closed bool

	callers int               // that wait at once
	guards  map[string]*guard // by topic
}

// guard looks at a topic again whenever there is a new connection: what answers on
// it may be another cluster, and what was written there is lost.
type guard struct {
	cluster *Cluster
	known   Topic

	checked atomic.Pointer[time.Time] // the connection after which the topic was last seen to be right
}

// check returns nil if the topic was seen to be right since the last connection.
func (g *guard) check(ctx context.Context) error {
	last := g.cluster.connected.Load()
	if last == nil || g.checked.Load() == last {
		return nil
	}
	asked := time.Now()
	_, err := g.cluster.seen(ctx, g.known, *last)
	if err != nil { // what was wrong a while ago may have been mended
		_, err = g.cluster.seen(ctx, g.known, asked)
	}
	if err != nil {
		return err
	}
	g.checked.Store(last)
	return nil
}

// entry is a record on its way.
type entry struct {
	record   record.Record
	size     int
	deadline time.Time
	waiter   context.Context
	done     chan struct{} // closed once offset and err are set
	offset   int64
	err      error
}

// NewProducer makes a producer. Close ends it. A record of a known topic counts as durable
// only once Kafka was found to be what is known, over each new connection.
//
// Callers is how many wait for their records at once, at most. While a partition of a
// known topic takes long, no more than a share of them may wait for it. Where it stands
// still, records are refused at once. So it costs no other partition. Zero: records wait
// until their deadline.
func NewProducer(c *Cluster, m *Metrics, callers int, known ...Topic) *Producer {
	work, cancel := context.WithCancel(context.Background())
	guards := make(map[string]*guard, len(known))
	for _, t := range known {
		guards[t.Name] = &guard{cluster: c, known: t}
	}
	return &Producer{
		callers: callers,
		guards:  guards,
		cluster: c, metrics: m, work: work, cancel: cancel,
	}
}

// Pending is a record that Enqueue took.
type Pending struct{ entry *entry }

// Produce writes the record and waits for it. When it returns nil, every in-sync
// replica has the record, at the offset. An error means that this is unknown,
// except for ErrQueueFull, ErrQueueStuck and ErrClosed; Produce never takes longer than
// ProduceDeadline. When ctx ends it stops waiting, and the write may go on.
func (p *Producer) Produce(ctx context.Context, topic string, partition int, r record.Record) (int64, error) {
	pending, err := p.Enqueue(ctx, topic, partition, r)
	if err != nil {
		return 0, err
	}
	return pending.Wait()
}

// Enqueue hands the record over and does not wait. It fails with ErrQueueFull,
// ErrQueueStuck or ErrClosed. A record whose ctx ends before its turn comes is not written.
func (p *Producer) Enqueue(ctx context.Context, topic string, partition int, r record.Record) (Pending, error) {
	e := &entry{
		record: r, size: size(r), waiter: ctx, deadline: time.Now().Add(ProduceDeadline), done: make(chan struct{}),
	}
	key := laneKey{topic, partition}
	l := p.laneOf(key)
	drain, err := l.add(e)
	if err != nil {
		p.metrics.refused(err)
		return Pending{}, err
	}
	if drain {
		p.wg.Go(func() { p.drain(key, l) })
	}
	return Pending{e}, nil
}

// laneOf is the lane of the key, made when it is first asked for.
func (p *Producer) laneOf(key laneKey) *lane {
	if l, ok := p.lanes.Load(key); ok {
		return l.(*lane)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	made := &lane{closed: p.closed}
	if g := p.guards[key.topic]; g != nil {
		made.share = laneShare(p.callers, g.known.Partitions)
	}
	l, _ := p.lanes.LoadOrStore(key, made)
	return l.(*lane)
}

// Wait waits until the record is written or has failed, as Produce does, and returns its offset.
func (w Pending) Wait() (int64, error) {
	e := w.entry
	var late <-chan time.Time // stays nil where the waiter's own deadline comes first
	if deadline, ok := e.waiter.Deadline(); !ok || deadline.After(e.deadline) {
		timer := time.NewTimer(time.Until(e.deadline))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-e.done:
		return e.offset, e.err
	case <-e.waiter.Done():
		return 0, fmt.Errorf("produce: %w", context.Cause(e.waiter))
	case <-late:
		return 0, fmt.Errorf("produce: %w", context.DeadlineExceeded)
	}
}

// Close takes nothing more, waits until all that was taken is written or has
// failed, which is no longer than ProduceDeadline and one attempt, and returns.
func (p *Producer) Close() error {
	p.mu.Lock()
	p.closed = true
	p.lanes.Range(func(_, l any) bool {
		l.(*lane).close()
		return true
	})
	p.mu.Unlock()
	timer := time.AfterFunc(ProduceDeadline, p.cancel)
	defer timer.Stop()
	p.wg.Wait()
	p.cancel()
	return nil
}

// drain writes batch after batch until the lane is empty.
func (p *Producer) drain(key laneKey, l *lane) {
	for {
		// Whoever is about to hand over a record is let in first: what a batch costs
		// hangs little on how much it holds.
		runtime.Gosched()
		batch := l.take()
		if batch == nil {
			return
		}
		p.write(key, l, batch)
	}
}

// write writes the batch, leaving out those whose callers gave up before it was
// their turn, and tells the callers.
func (p *Producer) write(key laneKey, l *lane, batch []*entry) {
	alive := batch[:0]
	var deadline time.Time
	now := time.Now()
	for _, e := range batch {
		if e.waiter.Err() != nil || now.After(e.deadline) {
			e.finish(0, context.DeadlineExceeded)
			continue
		}
		alive = append(alive, e)
		if e.deadline.After(deadline) {
			deadline = e.deadline
		}
	}
	if len(alive) == 0 {
		return
	}
	base, err := p.send(key, l, alive, deadline)
	if isolatable(err) && len(alive) > 1 {
		// The broker refused the batch, wrote nothing of it and does not say for
		// which record: in halves, in order, only the culprit fails.
		half := len(alive) / 2
		p.write(key, l, alive[:half:half])
		p.write(key, l, alive[half:])
		return
	}
	// Before the callers hear of it: who goes on at once must find the lane as it is.
	l.written(err != nil && !isolatable(err))
	for i, e := range alive {
		e.finish(base+int64(i), err)
	}
}

func (e *entry) finish(offset int64, err error) {
	if err != nil {
		offset, err = 0, fmt.Errorf("produce: %w", err)
	}
	e.offset, e.err = offset, err
	close(e.done)
}

// send sends the batch again until it is written, refused for good, or too late:
// a batch that were given back and sent again by its callers would come after the
// next one.
func (p *Producer) send(key laneKey, l *lane, batch []*entry, deadline time.Time) (base int64, err error) {
	ctx, cancel := context.WithDeadline(p.work, deadline)
	defer cancel()
	p.metrics.batchRecords.Observe(float64(len(batch)))
	started := time.Now()
	defer func() { p.metrics.batchSeconds.Observe(time.Since(started).Seconds()) }()
	wait := backoff{low: produceRetryMin, high: produceRetryMax}
	for {
		base, err := p.attempt(ctx, key, l, batch)
		if err == nil {
			p.metrics.produced.Add(float64(len(batch)))
			return base, nil
		}
		if !retriable(err) {
			return 0, err
		}
		l.failed()
		if !sleep(ctx, wait.next()) {
			return 0, err
		}
		p.metrics.retries.Inc()
	}
}

// attempt sends the batch once.
func (p *Producer) attempt(ctx context.Context, key laneKey, l *lane, batch []*entry) (int64, error) {
	base, err := p.post(ctx, key, l, batch)
	if err != nil {
		return 0, err
	}
	if g := p.guards[key.topic]; g != nil {
		if err := g.check(ctx); err != nil {
			return 0, err
		}
	}
	return base, nil
}

// retriable reports whether the same batch may get through later. What the
// broker did not say (a lost connection, a timeout) is always tried again.
func retriable(err error) bool {
	if refuses(err) {
		return false
	}
	var code kafkago.Error
	if errors.As(err, &code) {
		return code != kafkago.InvalidMessage && (code.Temporary() || code.Timeout())
	}
	return true
}

// isolatable reports whether the broker refused a batch because of a record. A time
// that is refused is that of the whole batch: our clock is wrong.
func isolatable(err error) bool {
	return errors.Is(err, kafkago.MessageSizeTooLarge) || errors.Is(err, kafkago.InvalidRecord) ||
		errors.Is(err, kafkago.InvalidMessage) || errors.Is(err, kafkago.RecordListTooLarge)
}

func size(r record.Record) int {
	n := recordOverheadBytes + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + 8
	}
	return n
}

// batchReader reads the entries as kafka-go wants them. It serves one attempt.
type batchReader struct {
	entries    []*entry
	record     kafkago.Record
	key, value content
	headers    []kafkago.Header
}

// ReadRecord is the next record. It is valid until the next call.
func (b *batchReader) ReadRecord() (*kafkago.Record, error) {
	if len(b.entries) == 0 {
		return nil, io.EOF
	}
	r := b.entries[0].record
	b.entries = b.entries[1:]
	b.headers = b.headers[:0]
	for _, h := range r.Headers {
		b.headers = append(b.headers, kafkago.Header(h))
	}
	b.record = kafkago.Record{Time: r.Time, Key: b.key.of(r.Key), Value: b.value.of(r.Value), Headers: b.headers}
	return &b.record, nil
}

// content is bytes as kafka-go wants them, for one record after the other.
type content struct{ bytes.Reader }

// of is b; nil stays nil, which is not the same as empty.
func (c *content) of(b []byte) kafkago.Bytes {
	if b == nil {
		return nil
	}
	c.Reset(b)
	return c
}

// Close does nothing: there is nothing to free.
func (c *content) Close() error { return nil }
