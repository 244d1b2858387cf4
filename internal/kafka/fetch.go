package kafka

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"

	"github.com/monedero/monedero/internal/record"
)

const (
	// fetchWait is how long the broker holds a fetch that finds nothing.
	fetchWait = 250 * time.Millisecond
	// fetchTimeout bounds a fetch.
	fetchTimeout = 10 * time.Second
	// fetchBytes is how much a fetch asks for at most, and leastFetchBytes at least;
	// where one record is larger, it doubles up to maxFetchBytes.
	fetchBytes      = 1 << 20
	leastFetchBytes = 64 << 10
	maxFetchBytes   = 64 << 20
	// heldBytes is how much the fetches of all partitions of a member hold together:
	// each holds one that is being settled, and one that was read ahead.
	heldBytes = 16 << 20

	// fetchVersion is understood by every broker from 0.11 on.
	fetchVersion = 4
	// abortedTransaction is the size of one in an answer.
	abortedTransaction = 16
	// limitOfAnswer is how much an answer holds at most beside its batches.
	limitOfAnswer = 1 << 20
)

// fetchSizeFor is how much a fetch of one of so many partitions asks for.
func fetchSizeFor(partitions int) int64 {
	return int64(min(max(heldBytes/(2*max(partitions, 1)), leastFetchBytes), fetchBytes))
}

// fetched is what one fetch found: each offset from the one asked for up to to is
// that of a record, that of a marker, or lies in a hole.
type fetched struct {
	records       []record.Record
	to            int64
	holes         []*hole // unless it salvages: one at most, which begins at to
	highWatermark int64
	sent          time.Time // when the request was: the answer may be read long after it was given
}

// source fetches one partition. It has a connection of its own, made when it is
// needed and given up after every error. It is used by one goroutine at a time.
//
// It speaks the protocol itself: kafka-go's Fetch says nothing of a batch behind
// which something is missing, and drops a record that it cannot read, and all that
// follow in its batch, without an error.
type source struct {
	cluster   *Cluster
	topic     string
	partition int
	salvage   bool // go on behind holes

	conn   *connection
	broker string // the address that conn, or the one before, was made to
}

func (s *source) close() {
	if s.conn != nil {
		_ = s.conn.Close() // nothing is lost with it
		s.conn = nil
	}
}

// fetch reads from an offset. Nothing new yet is no error.
func (s *source) fetch(ctx context.Context, offset, limit int64) (found fetched, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	defer func() {
		if err != nil {
			s.close()
			err = fmt.Errorf("fetch: %w", err)
		}
	}()
	if err := s.connect(ctx); err != nil {
		return fetched{}, err
	}
	answers, err := s.conn.fetch(ctx, s.topic, fetchWait, limit, []fetch.RequestPartition{{
		Partition: int32(s.partition), FetchOffset: offset, PartitionMaxBytes: int32(limit),
	}})
	if err != nil {
		return fetched{}, err
	}
	if len(answers) != 1 || answers[0].partition != s.partition {
		return fetched{}, errors.New("the answer is not one to a fetch of this partition")
	}
	if err := answers[0].err; err != nil {
		return fetched{}, err
	}
	return s.read(answers[0], offset, limit), nil
}

// read is what the answer to a fetch of so many bytes at most holds from the offset on.
func (s *source) read(a answered, offset, limit int64) fetched {
	at := scan{from: offset, next: offset, salvage: s.salvage}
	at.read(a.set)
	if at.next == offset && len(a.set) > 0 && len(at.holes) == 0 && limit >= maxFetchBytes {
		at.miss(offset+1, fmt.Errorf("a batch is larger than %d bytes", limit))
	}
	return fetched{records: at.records, to: at.next, holes: at.holes, highWatermark: a.highWatermark, sent: a.sent}
}

// connect connects to the partition's leader, unless it is connected.
func (s *source) connect(ctx context.Context) (err error) {
	if s.conn != nil {
		return nil
	}
	if s.broker, err = s.cluster.leader(ctx, s.topic, s.partition); err != nil {
		return err
	}
	s.conn, err = s.cluster.connect(ctx, s.broker)
	return err
}

// some reads from an offset that lies in the log until something came, if only that
// nothing is there.
func (s *source) some(ctx context.Context, offset int64) (fetched, error) {
	for limit := int64(fetchBytes); ; limit = min(2*limit, maxFetchBytes) {
		found, err := s.fetch(ctx, offset, limit)
		if err != nil || found.to > offset || len(found.holes) > 0 {
			return found, err
		}
	}
}

// connection carries fetches to one broker, one after the other. It is of no use after an
// error.
type connection struct {
	net.Conn

	asked int32 // how many requests were sent: each bears its number
}

// connect connects to the broker at an address. It is not noted: nothing is produced there.
func (c *Cluster) connect(ctx context.Context, broker string) (*connection, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", broker)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn}, nil
}

// fetch asks for partitions of one topic, for so many bytes of all together at most, and
// returns what the answer says of each. The broker answers once it has anything to say of
// one of them, or has waited.
func (c *connection) fetch(
	ctx context.Context, topic string, wait time.Duration, limit int64, partitions []fetch.RequestPartition,
) ([]answered, error) {
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })()
	c.asked++
	sent := time.Now()
	if err := protocol.WriteRequest(c, fetchVersion, c.asked, "", &fetch.Request{
		ReplicaID: -1, MaxWaitTime: int32(wait.Milliseconds()), MinBytes: 1, MaxBytes: int32(limit),
		Topics: []fetch.RequestTopic{{Topic: topic, Partitions: partitions}},
	}); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxFetchBytes+limitOfAnswer {
		return nil, fmt.Errorf("an answer of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	all, err := readAnswer(body, c.asked)
	for i := range all {
		all[i].sent = sent
	}
	return all, err
}

// answered is what an answer says of one partition.
type answered struct {
	partition     int
	err           error // the broker's
	highWatermark int64
	set           []byte    // of batches
	sent          time.Time // when the request was
}

// readAnswer reads the answer, of fetchVersion, to a request for partitions of one topic.
func readAnswer(body []byte, asked int32) ([]answered, error) {
	at := cursor{b: body}
	if got := at.int32(); got != asked {
		return nil, fmt.Errorf("the answer to request %d instead of %d", got, asked)
	}
	at.int32() // how long we were made to wait
	if at.int32() != 1 {
		at.fail()
	}
	at.skip(int64(at.int16())) // the topic
	var all []answered
	for range at.int32() {
		a := answered{partition: int(at.int32())}
		if code := at.int16(); code != 0 {
			a.err = kafkago.Error(code)
		}
		a.highWatermark = at.int64()
		at.int64() // the offset below which every transaction has ended
		for range at.int32() {
			at.skip(abortedTransaction)
			if at.bad {
				break
			}
		}
		if size := at.int32(); size > 0 {
			a.set = at.skip(int64(size))
		}
		if at.bad {
			break
		}
		all = append(all, a)
	}
	if at.bad {
		return nil, errors.New("the answer is not one to a fetch of one topic")
	}
	return all, nil
}
