package kafka_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/record/recordtest"
)

// BenchmarkProduce has many callers wait for one record each. The broker runs in
// the same process, so only its ratio to another run on the same machine counts.
func BenchmarkProduce(b *testing.B) {
	broker := kafkatest.Start(b)
	topic := broker.Topic(b, 1)
	p := kafka.NewProducer(broker.Client(b), kafka.NewMetrics(nil), 0)
	b.Cleanup(func() { _ = p.Close() })
	record := record.Record{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 400)}
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := p.Produce(b.Context(), topic.Name, 0, record); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkConsume reads charges as the processor does, in batches of 500, and
// acknowledges them without doing anything.
func BenchmarkConsume(b *testing.B) {
	broker := kafkatest.Start(b)
	topic := broker.Topic(b, 1)
	p := kafka.NewProducer(broker.Client(b), kafka.NewMetrics(nil), 0)
	b.Cleanup(func() { _ = p.Close() })
	value, headers, err := record.Encode(recordtest.Charge(b))
	if err != nil {
		b.Fatal(err)
	}
	var callers sync.WaitGroup
	for c := range 64 {
		callers.Go(func() {
			for n := c; n < b.N; n += 64 {
				r := record.Record{Key: []byte(recordtest.Charge(b).Wallet.String()), Value: value, Headers: headers}
				if _, err := p.Produce(b.Context(), topic.Name, 0, r); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	c := broker.Client(b)
	s, err := kafka.NewSubscriber(c, kafka.SubscriberOptions{Group: fmt.Sprint(b.Name(), b.N), Claimer: inKafka{c}, MaxRecords: 500})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	ctx, cancel := context.WithCancel(b.Context())
	n := 0
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Run(ctx, topic.Name, func(_ context.Context, batch processor.Batch) processor.Result {
		if n += len(batch.Records); n >= b.N {
			b.StopTimer()
			cancel()
		}
		return processor.Settled()
	}, kafkatest.Patience); err != nil {
		b.Error(err)
	}
}
