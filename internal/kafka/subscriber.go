package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// SessionTimeout is after how long without a heartbeat the group gives a member's
// partitions to the others: the least that brokers allow (group.min.session.timeout.ms).
const SessionTimeout = 6 * time.Second

// ClientIDPrefix begins the client ID of a processor of ours; the owner that the
// progress names follows. By it a group's member is told from somebody else's.
const ClientIDPrefix = "monedero-processor/"

// The settings of the consumer group.
const (
	heartbeatInterval = 50 * time.Millisecond // members learn of a join or leave at their next one
	rebalanceTimeout  = 5 * time.Second
	groupTimeout      = 20 * time.Second
	joinBackoff       = 500 * time.Millisecond
	leaveTimeout      = time.Second // for kafka-go, and again for ourselves: see LeaveTimeout

	// watchEvery is how often a member looks whether the topic is still as large as
	// it was.
	watchEvery = 5 * time.Second
)

// LeaveTimeout is how much longer than DrainTimeout it takes to close a subscriber at
// most.
const LeaveTimeout = 2 * leaveTimeout

// The defaults of [SubscriberOptions].
const (
	DefaultMaxRecords   = 500
	DefaultDrainTimeout = 4 * time.Second
	DefaultRetryMin     = 50 * time.Millisecond
	DefaultRetryMax     = 5 * time.Second
	DefaultHaltRetry    = 5 * time.Second
	// DefaultClaimTimeout is longer than a database lets a statement wait for a lock
	// or run.
	DefaultClaimTimeout = 40 * time.Second
	// DefaultFenceWait is longer than a heartbeat, so that a member that lost its
	// generation learns of it before it claims anew, where the coordinator answers.
	DefaultFenceWait = time.Second
)

// SubscriberOptions say what a subscriber does. Their zero values are good but
// for Group and Claimer.
type SubscriberOptions struct {
	// Group is the consumer group.
	Group string
	// ClientID is the name under which Kafka shows this member; empty: kafka-go's.
	ClientID string
	// Claimer hands out claims, which say where each partition goes on.
	Claimer processor.Claimer
	// MaxRecords is how many records a batch has at most: up to [ledger.MaxBatch].
	MaxRecords int
	// DrainTimeout is how long the message in hand is waited for when the partition
	// is revoked or the subscriber closed; then its context is cancelled. It is
	// less than the group's rebalance timeout of 5 s, or the others would go on
	// without this member.
	DrainTimeout time.Duration
	// RetryMin and RetryMax bound the wait after a Nack and after an error of
	// Kafka or the Claimer; it doubles from the one to the other.
	RetryMin, RetryMax time.Duration
	// ClaimTimeout bounds one claim: a database that is gone without a word would
	// else be waited for as long as TCP tries.
	ClaimTimeout time.Duration
	// HaltRetry is how long a halted partition waits before it claims anew.
	HaltRetry time.Duration
	// FenceWait is how long a fenced partition waits before it claims anew. It
	// doubles up to eight times FenceWait while claims do not last.
	FenceWait time.Duration
	Logger    *slog.Logger // nil: none
	Metrics   *Metrics     // nil: none
}

func (o *SubscriberOptions) complete() error {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&o.DrainTimeout, DefaultDrainTimeout)
	def(&o.RetryMin, DefaultRetryMin)
	def(&o.RetryMax, DefaultRetryMax)
	def(&o.ClaimTimeout, DefaultClaimTimeout)
	def(&o.HaltRetry, DefaultHaltRetry)
	def(&o.FenceWait, DefaultFenceWait)
	if o.MaxRecords == 0 {
		o.MaxRecords = DefaultMaxRecords
	}
	if o.MaxRecords < 1 || o.MaxRecords > ledger.MaxBatch {
		return fmt.Errorf("a batch of %d records: want 1 to %d", o.MaxRecords, ledger.MaxBatch)
	}
	if o.DrainTimeout >= rebalanceTimeout {
		return fmt.Errorf("a drain timeout of %s: want less than %s", o.DrainTimeout, rebalanceTimeout)
	}
	if o.Group == "" {
		return errors.New("no consumer group is given")
	}
	if o.Claimer == nil {
		return errors.New("no claimer is given")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	return nil
}

// Subscriber is a Watermill subscriber: a member of a consumer group that
// delivers each partition's records in order. It delivers the next batch of a
// partition only after Ack, and after Nack the same again, unless the handler said
// that this would be in vain. Nothing but Ack leads to the next batch.
type Subscriber struct {
	cluster *Cluster
	options SubscriberOptions
	wg      sync.WaitGroup
	stop    context.Context
	cancel  context.CancelFunc

	mu     sync.Mutex
	closed bool
}

var _ message.Subscriber = (*Subscriber)(nil)

// NewSubscriber makes a subscriber. Close ends it.
func NewSubscriber(c *Cluster, o SubscriberOptions) (*Subscriber, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	stop, cancel := context.WithCancel(context.Background())
	return &Subscriber{cluster: c, options: o, stop: stop, cancel: cancel}, nil
}

// Subscribe joins the group for the topic. The channel is closed after ctx ends or
// the subscriber is closed, once the group has been left. Each message stands for a
// batch, which [Subscriber.Run] hands to a handler. Its context carries the values of
// ctx; it ends with Ack and Nack, but not with ctx: the message in hand may be finished
// within DrainTimeout.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("subscribe: the subscriber is closed")
	}
	lines := newLifelines()
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID:                s.options.Group,
		Brokers:           s.cluster.brokers,
		Topics:            []string{topic},
		HeartbeatInterval: heartbeatInterval,
		SessionTimeout:    SessionTimeout,
		RebalanceTimeout:  rebalanceTimeout,
		Timeout:           groupTimeout,
		JoinGroupBackoff:  joinBackoff,
		StartOffset:       kafkago.FirstOffset,
		Dialer:            &kafkago.Dialer{ClientID: s.options.ClientID, Timeout: dialTimeout, DialFunc: lines.dial},
	})
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", s.options.Group, err)
	}
	sub := &subscription{
		cluster: s.cluster, options: s.options, topic: topic, group: group, lines: lines,
		log:  s.options.Logger.With("topic", topic),
		work: context.WithoutCancel(ctx),
		out:  make(chan *message.Message),

		watches: newWatches(s.cluster, topic, s.options.Metrics.watched),
	}
	stop, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(s.stop, cancel)
	s.wg.Go(func() {
		defer cancel()
		defer release()
		sub.run(stop)
	})
	return sub.out, nil
}

// Close stops delivering, waits for the messages in hand (DrainTimeout at most),
// and returns when every group has been left, so that the other members take over
// at once. A join that is under way, or a broker that does not answer, is waited for
// LeaveTimeout at most; then the others may have to wait for the session timeout.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	return nil
}

// subscription is the membership in one group for one topic.
type subscription struct {
	cluster *Cluster
	options SubscriberOptions
	topic   string
	group   *kafkago.ConsumerGroup
	lines   *lifelines // of the group
	log     *slog.Logger
	work    context.Context // of the messages: it outlives stop
	out     chan *message.Message
	held    map[int]*held
	watches *watches
	size    atomic.Int64 // how many partitions the topic had when it was last looked at
}

// run serves generation after generation until stop ends, and leaves.
func (s *subscription) run(stop context.Context) {
	defer close(s.out)
	defer s.watches.wait()
	var partitions sync.WaitGroup
	defer partitions.Wait()
	// Exiting before the leave request is answered would leave a ghost behind, and
	// the group would wait a session timeout for it.
	member := ""
	defer func() {
		// kafka-go waits for a join that is under way, up to 25 s.
		late := time.AfterFunc(s.options.DrainTimeout+leaveTimeout, s.lines.cut)
		_ = s.group.Close() // it never fails
		late.Stop()
		s.lines.cut()
		s.leave(member)
	}()
	trouble := ""
	for {
		generation, err := s.group.Next(stop)
		if stop.Err() != nil || errors.Is(err, kafkago.ErrGroupClosed) {
			return
		}
		if err != nil {
			// kafka-go has waited already.
			if trouble != err.Error() {
				trouble = err.Error()
				s.log.Warn("join the group", "group", s.options.Group, "err", err)
			}
			continue
		}
		trouble, member = "", generation.MemberID
		s.serve(stop, generation, &partitions)
	}
}

// leave leaves the group. kafka-go's Close does so too, but not when it is called
// while a rebalance is being joined. To leave twice is harmless.
func (s *subscription) leave(member string) {
	if member == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	if err := s.cluster.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		_, err := client.LeaveGroup(ctx, &kafkago.LeaveGroupRequest{
			GroupID: s.options.Group, Members: []kafkago.LeaveGroupRequestMember{{ID: member}},
		})
		return err
	}); err != nil {
		s.log.Warn("leave the group", "group", s.options.Group, "err", err)
	}
}

// serve starts the partitions of a generation. A function that returns ends the
// generation, and its member joins the next one. So they return when revoked only, and
// the watch of the topic where the group has to share it out anew. When stop ends, it is
// the group's Close that revokes: a member that joins once more before it leaves would
// make the others stop and begin twice.
func (s *subscription) serve(stop context.Context, generation *kafkago.Generation, partitions *sync.WaitGroup) {
	began := time.Now()
	assigned := generation.Assignments[s.topic]
	numbers := make([]int, len(assigned))
	for i, a := range assigned {
		numbers[i] = a.ID
	}
	slices.Sort(numbers)
	s.log.Info("partitions assigned", "group", s.options.Group, "generation", generation.ID, "partitions", numbers)
	copies := newCopies(s.cluster, generation, s.topic, s.log)
	var own sync.WaitGroup
	values := context.WithoutCancel(stop)
	start := func(f func(context.Context)) {
		partitions.Add(1)
		generation.Start(func(revoked context.Context) {
			defer partitions.Done()
			ctx, cancel := context.WithCancel(values)
			defer cancel()
			defer context.AfterFunc(revoked, cancel)()
			f(ctx)
		})
	}
	start(func(stop context.Context) { s.watchTopic(stop, began, len(assigned) > 0) })
	all := make([]*partition, len(assigned))
	for i, a := range assigned {
		p := newPartition(s, a.ID, copies, fetchSizeFor(len(assigned)), began)
		all[i] = p
		own.Add(1)
		start(func(stop context.Context) {
			defer own.Done()
			p.run(stop)
		})
	}
	start(func(stop context.Context) { s.watchLag(stop, all) })
	if holder, can := s.options.Claimer.(processor.Holder); can {
		start(func(stop context.Context) { s.watchClaims(stop, holder, all) })
	}
	start(func(stop context.Context) { copies.run(stop, &own) })
}

// watchTopic returns when the topic has come, or has another number of partitions
// than before. While there is none it stays, and so do the partitions that this
// halted: kafka-go's own watcher ends the generation then, and each one after it
// at once. Whoever was assigned nothing cannot tell whether there was no topic to
// share out or too many members, and asks once for another generation. What it asks
// first serves the claims of the generation, which began then, too.
func (s *subscription) watchTopic(stop context.Context, began time.Time, assigned bool) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	since := began
	for first := true; ; since = time.Now() {
		// Trouble with Kafka is told by the fetches.
		if seen, err := s.cluster.look(stop, s.topic, since); err == nil {
			now := int64(seen.topic.Partitions)
			before := s.size.Swap(now)
			switch {
			case now == 0 && (first || before != 0):
				s.log.Error("the topic does not exist")
			case now != 0 && now != before && !(first && assigned):
				return
			}
			first = false
		}
		select {
		case <-stop.Done():
			return
		case <-tick.C:
		}
	}
}
