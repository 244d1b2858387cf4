package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/monedero/monedero/internal/processor"
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
)

// fetchShare is how much a fetch of one of so many partitions asks for.
func fetchShare(partitions int) int64 {
	return int64(min(max(heldBytes/(2*max(partitions, 1)), leastFetchBytes), fetchBytes))
}

// fetched is what one fetch found: every record from the offset asked for up to
// to, and nothing else lies there.
type fetched struct {
	records       []processor.Record
	to            int64
	highWatermark int64
}

// fetch reads from an offset. Nothing new yet is no error.
func (c *Cluster) fetch(ctx context.Context, topic string, partition int, offset int64, limit int64) (fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	answer, err := c.client.Fetch(ctx, &kafkago.FetchRequest{
		Topic: topic, Partition: partition, Offset: offset, MinBytes: 1, MaxBytes: limit, MaxWait: fetchWait,
	})
	if err != nil {
		return fetched{}, fmt.Errorf("fetch: %w", err)
	}
	if answer.Error != nil {
		return fetched{}, fmt.Errorf("fetch: %w", answer.Error)
	}
	found := fetched{to: offset, highWatermark: answer.HighWatermark}
	stream, ok := answer.Records.(*protocol.RecordStream)
	if !ok {
		return found, nil // no batch
	}
	for _, batch := range stream.Records {
		if err := found.add(batch, offset); err != nil {
			return fetched{}, fmt.Errorf("fetch: %w", err)
		}
	}
	if found.to == offset && len(stream.Records) > 0 {
		// The broker answers with the batch that holds the offset; that nothing at
		// or after it is in there means that compaction removed it.
		found.to++
	}
	return found, nil
}

// fetchSome reads from an offset that lies in the log until something came, if only
// that nothing is there.
func (c *Cluster) fetchSome(ctx context.Context, topic string, partition int, offset int64) (fetched, error) {
	for limit := int64(fetchBytes); ; limit = min(2*limit, maxFetchBytes) {
		found, err := c.fetch(ctx, topic, partition, offset, limit)
		if err != nil || found.to > offset {
			return found, err
		}
	}
}

// add reads one batch. kafka-go's own reader leaves out the markers of
// transactions, and with them the offsets that they take: behind a tail of
// markers a consumer would wait for ever.
func (f *fetched) add(batch kafkago.RecordReader, offset int64) error {
	if b, ok := batch.(interface{ Offset() int64 }); ok {
		f.to = max(f.to, b.Offset())
	}
	_, marker := batch.(*protocol.ControlBatch)
	for {
		r, err := batch.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		record, err := copyRecord(r)
		if err != nil {
			return err
		}
		f.to = max(f.to, record.Offset+1)
		if !marker && record.Offset >= offset {
			f.records = append(f.records, record)
		}
	}
}

// copyRecord takes a record out of kafka-go's pages and gives those back.
func copyRecord(r *kafkago.Record) (processor.Record, error) {
	record := processor.Record{Offset: r.Offset, Time: r.Time}
	var err error
	if record.Key, err = copyBytes(r.Key); err != nil {
		return record, err
	}
	if record.Value, err = copyBytes(r.Value); err != nil {
		return record, err
	}
	if len(r.Headers) > 0 {
		record.Headers = make([]processor.Header, len(r.Headers))
		for i, h := range r.Headers {
			record.Headers[i] = processor.Header(h)
		}
	}
	return record, nil
}

func copyBytes(b kafkago.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close() //nolint:errcheck // it only gives the page back
	return kafkago.ReadAll(b)
}
