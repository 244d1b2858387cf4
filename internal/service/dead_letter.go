package service

import (
	"context"
	"errors"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/repair"
)

// Resubmit writes a dead letter to the topic again, as [repair.Resubmit] says.
func Resubmit(ctx context.Context, c config.Admin, at repair.LetterPlace, by, key string) (_ repair.Resolution, err error) {
	b, err := bindSoon(ctx, c, "dead-letters")
	if err != nil {
		return repair.Resolution{}, err
	}
	defer b.close()
	publisher := kafka.NewPublisher(b.cluster, kafka.NewProducer(b.cluster, kafka.NewMetrics(nil), 0, b.topic),
		map[string]int{b.topic.Name: b.topic.Partitions})
	defer func() { err = errors.Join(err, publisher.Close()) }()
	return repair.Resubmit(ctx, b.store, queue{publisher, b.topic.Name}, b.minter, at, by, key)
}

// queue is a [repair.Queue] and a [processor.Queue] of one topic.
type queue struct {
	publisher *kafka.Publisher
	topic     string
}

// Send is that of both.
func (q queue) Send(ctx context.Context, r record.Record) (partition int, offset int64, err error) {
	return q.publisher.Send(ctx, q.topic, r)
}
