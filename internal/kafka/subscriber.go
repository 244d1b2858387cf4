package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
)

// The settings of the consumer group.
const (
	heartbeatInterval = 100 * time.Millisecond // members learn of a join or leave at their next one
	sessionTimeout    = 6 * time.Second        // the broker's group.min.session.timeout.ms
	rebalanceTimeout  = 5 * time.Second
	groupTimeout      = 20 * time.Second
	joinBackoff       = 500 * time.Millisecond
)

// The defaults of [SubscriberOptions].
const (
	DefaultMaxRecords   = 500
	DefaultDrainTimeout = 4 * time.Second
	DefaultRetryMin     = 50 * time.Millisecond
	DefaultRetryMax     = 5 * time.Second
	DefaultHaltRetry    = 5 * time.Second
	// DefaultFenceWait is longer than a heartbeat, so that a member that lost its
	// generation learns of it before it claims anew.
	DefaultFenceWait = time.Second
)

// SubscriberOptions say what a subscriber does. Their zero values are good but
// for Group.
type SubscriberOptions struct {
	// Group is the consumer group.
	Group string
	// Claimer is where positions live. Nil: in Kafka's committed offsets.
	Claimer processor.Claimer
	// Batch makes each message carry up to MaxRecords records in a
	// [processor.Batch] and no payload. Otherwise it carries one record: as
	// payload and metadata, and in a Batch too.
	Batch bool
	// MaxRecords is at most [ledger.MaxBatch].
	MaxRecords int
	// DrainTimeout is how long the message in hand is waited for when the partition
	// is revoked or the subscriber closed; then its context is cancelled. It is
	// less than the group's rebalance timeout of 5 s, or the others would go on
	// without this member.
	DrainTimeout time.Duration
	// RetryMin and RetryMax bound the wait after a Nack and after an error of
	// Kafka or the Claimer; it doubles from the one to the other.
	RetryMin, RetryMax time.Duration
	// HaltRetry is how long a halted partition waits before it claims anew.
	HaltRetry time.Duration
	// FenceWait is how long a fenced partition waits before it claims anew.
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
	if !o.Batch {
		o.MaxRecords = 1
	}
	if o.Group == "" {
		return errors.New("no consumer group is given")
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
// delivers each partition's records in order. It delivers the next message of a
// partition only after Ack, and after Nack the same again. It never moves a
// position but by Ack.
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
// the subscriber is closed, once the group has been left. Each message's context
// carries the values of ctx, and a [processor.Batch]; it ends with Ack and Nack,
// but not with ctx: the message in hand may be finished within DrainTimeout.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("subscribe: the subscriber is closed")
	}
	group, err := kafkago.NewConsumerGroup(kafkago.ConsumerGroupConfig{
		ID:                    s.options.Group,
		Brokers:               s.cluster.brokers,
		Topics:                []string{topic},
		HeartbeatInterval:     heartbeatInterval,
		SessionTimeout:        sessionTimeout,
		RebalanceTimeout:      rebalanceTimeout,
		Timeout:               groupTimeout,
		JoinGroupBackoff:      joinBackoff,
		StartOffset:           kafkago.FirstOffset,
		WatchPartitionChanges: true,
	})
	if err != nil {
		return nil, fmt.Errorf("join group %s: %w", s.options.Group, err)
	}
	sub := &subscription{
		cluster: s.cluster, options: s.options, topic: topic, group: group,
		log:  s.options.Logger.With("topic", topic),
		work: context.WithoutCancel(ctx),
		out:  make(chan *message.Message),
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
// at once. Waiting for a join that is under way can take up to 25 s.
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
	log     *slog.Logger
	work    context.Context // of the messages: it outlives stop
	out     chan *message.Message
}

// run serves generation after generation until stop ends, and leaves.
func (s *subscription) run(stop context.Context) {
	defer close(s.out)
	var partitions sync.WaitGroup
	defer partitions.Wait()
	// Close sends the leave request; exiting before it returns would leave a ghost
	// behind, and the group would wait a session timeout for it.
	defer s.group.Close() //nolint:errcheck // it never fails
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
		trouble = ""
		s.serve(stop, generation, &partitions)
	}
}

// serve starts the partitions of a generation. A function that returns ends the
// generation for the whole group, so they return when revoked or stopped only.
func (s *subscription) serve(stop context.Context, generation *kafkago.Generation, partitions *sync.WaitGroup) {
	assigned := generation.Assignments[s.topic]
	s.log.Info("partitions assigned", "group", s.options.Group, "generation", generation.ID, "partitions", len(assigned))
	copies := &commits{generation: generation, topic: s.topic, log: s.log, offsets: map[int]int64{}}
	var own sync.WaitGroup
	start := func(f func(context.Context)) {
		partitions.Add(1)
		generation.Start(func(revoked context.Context) {
			defer partitions.Done()
			both, cancel := context.WithCancel(stop)
			defer cancel()
			defer context.AfterFunc(revoked, cancel)()
			f(both)
		})
	}
	all := make([]*partition, len(assigned))
	for i, a := range assigned {
		p := newPartition(s, a, copies)
		all[i] = p
		own.Add(1)
		start(func(stop context.Context) {
			defer own.Done()
			p.run(stop)
		})
	}
	start(func(stop context.Context) { s.watchLag(stop, all) })
	start(func(stop context.Context) { copies.run(stop, &own) })
}
