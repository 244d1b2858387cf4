package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/record"
)

const (
	// adminTimeout bounds each administrative request: create, describe, offsets.
	adminTimeout = 10 * time.Second
	// metadataTTL is how long produce and fetch may go by an old leader. Every
	// process asks for the metadata of its topics about this often.
	metadataTTL = time.Second
	// dialTimeout bounds the making of a connection.
	dialTimeout = 3 * time.Second
)

// Cluster is a client of the brokers. One is enough for a process; it is safe
// for concurrent use.
type Cluster struct {
	brokers   []string
	addr      net.Addr
	transport *kafkago.Transport
	client    *kafkago.Client

	told   *told    // nil: nobody
	sights sync.Map // by topic: *answer[sight]

	connected atomic.Pointer[time.Time] // when the last connection of the transport was made; nil: none was
}

// NewCluster makes a client. It connects when it is first used. The topics are
// those that it produces to and fetches from; without any it keeps the metadata
// of every topic of the cluster.
func NewCluster(brokers []string, topics ...string) (*Cluster, error) {
	if len(brokers) == 0 {
		return nil, errors.New("no Kafka brokers are given")
	}
	c := &Cluster{brokers: brokers, addr: kafkago.TCP(brokers...)}
	c.transport = &kafkago.Transport{Dial: c.dial, MetadataTopics: topics, MetadataTTL: metadataTTL}
	c.client = &kafkago.Client{Addr: c.addr, Transport: c.transport}
	return c, nil
}

// dial notes when it made a connection.
func (c *Cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err == nil {
		now := time.Now()
		for last := c.connected.Load(); last == nil || last.Before(now); last = c.connected.Load() {
			if c.connected.CompareAndSwap(last, &now) {
				break
			}
		}
	}
	return conn, err
}

// Close closes the connections. Publishers and subscribers are closed first.
func (c *Cluster) Close() { c.transport.CloseIdleConnections() }

// fresh calls f with a client that knows nothing from before: kafka-go answers
// metadata from a cache, and goes on to do so after the brokers are gone. The
// transport has no list of topics: with one, creating another topic would wait
// for its metadata for ever.
func (c *Cluster) fresh(ctx context.Context, f func(context.Context, *kafkago.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	transport := &kafkago.Transport{}
	defer transport.CloseIdleConnections()
	return f(ctx, &kafkago.Client{Addr: c.addr, Transport: transport, Timeout: adminTimeout})
}

// Ends are the offsets that the next records of the topic's partitions will have,
// asked for in one request; -1 where a partition was not told.
func (c *Cluster) Ends(ctx context.Context, topic string, partitions int) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	ends := make([]int64, partitions)
	asked := make([]kafkago.OffsetRequest, partitions)
	for p := range ends {
		ends[p], asked[p] = -1, kafkago.LastOffsetOf(p)
	}
	answer, err := c.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{topic: asked}})
	if err != nil {
		return ends, fmt.Errorf("list offsets: %w", err)
	}
	for _, p := range answer.Topics[topic] {
		if p.Error == nil && p.Partition >= 0 && p.Partition < partitions {
			ends[p.Partition] = p.LastOffset
		}
	}
	return ends, nil
}

// ReceivedAt is when the first record at or behind the offset was received, as it
// says itself: its append time is the broker's business. Zero where none is there, or
// none of ours.
func (c *Cluster) ReceivedAt(ctx context.Context, topic string, partition int, offset int64) (time.Time, error) {
	source := &source{cluster: c, topic: topic, partition: partition, salvage: true}
	defer source.close()
	found, err := source.fetch(ctx, offset, leastFetchBytes)
	if err != nil || len(found.records) == 0 {
		return time.Time{}, err
	}
	first := found.records[0]
	if d, err := record.Decode(first); err == nil && !d.Request.ReceivedAt.IsZero() {
		return d.Request.ReceivedAt, nil
	}
	for _, h := range first.Headers {
		if h.Key == record.HeaderTime {
			if at, err := time.Parse(time.RFC3339Nano, string(h.Value)); err == nil {
				return at.UTC(), nil
			}
		}
	}
	return time.Time{}, nil
}

// Offsets are the first offset of the partition's log and the one that its next
// record will have.
func (c *Cluster) Offsets(ctx context.Context, topic string, partition int) (start, end int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	answer, err := c.client.ListOffsets(ctx, &kafkago.ListOffsetsRequest{Topics: map[string][]kafkago.OffsetRequest{
		topic: {kafkago.FirstOffsetOf(partition), kafkago.LastOffsetOf(partition)},
	}})
	if err != nil {
		return 0, 0, fmt.Errorf("list offsets: %w", err)
	}
	for _, p := range answer.Topics[topic] {
		if p.Partition != partition {
			continue
		}
		if p.Error != nil {
			return 0, 0, fmt.Errorf("list offsets: %w", p.Error)
		}
		return p.FirstOffset, p.LastOffset, nil
	}
	return 0, 0, fmt.Errorf("list offsets: no answer for partition %d", partition)
}

// leaders are the numbers of the brokers that lead the topic's partitions, of those that have a leader, as far
// as is known: an answer may be a metadataTTL old.
func (c *Cluster) leaders(ctx context.Context, topic string) (map[int]int, error) {
	answer, err := c.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, err
	}
	all := map[int]int{}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			if p.Leader.Host != "" {
				all[p.ID] = p.Leader.ID
			}
		}
	}
	return all, nil
}

// leader is the address of the broker that has the partition, as far as is known: an
// answer may be a metadataTTL old.
func (c *Cluster) leader(ctx context.Context, topic string, partition int) (string, error) {
	answer, err := c.client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return "", err
	}
	for _, t := range answer.Topics {
		if t.Error != nil {
			return "", t.Error
		}
		for _, p := range t.Partitions {
			switch {
			case p.ID != partition:
			case p.Leader.Host == "":
				return "", kafkago.LeaderNotAvailable
			default:
				return net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port)), nil
			}
		}
	}
	return "", kafkago.UnknownTopicOrPartition
}
