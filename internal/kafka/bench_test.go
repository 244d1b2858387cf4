package kafka_test

import (
	"bytes"
	"testing"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
)

// BenchmarkProduce has many callers wait for one record each. The broker runs in
// the same process, so only its ratio to another run on the same machine counts.
func BenchmarkProduce(b *testing.B) {
	broker := kafkatest.Start(b)
	topic := broker.Topic(b, 1)
	p := kafka.NewProducer(broker.Client(b), kafka.NewMetrics(nil))
	b.Cleanup(func() { _ = p.Close() })
	record := processor.Record{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 400)}
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
