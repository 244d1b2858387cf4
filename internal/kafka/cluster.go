package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	kafkago "github.com/segmentio/kafka-go"
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

	connections atomic.Int64 // how many were made, fresh's not counted
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

// dial counts the connections that were made.
func (c *Cluster) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err == nil {
		c.connections.Add(1)
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
