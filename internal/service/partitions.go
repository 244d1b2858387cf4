package service

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// Partition is what database and Kafka say of one partition.
type Partition struct {
	postgres.Progress
	End   int64 // of the log; negative: Kafka did not say
	State error // nil: a processor can settle it, as far as the log tells
}

// Lag is how many offsets are not settled; 0 where that is not known.
func (p Partition) Lag() int64 { return max(0, p.End-p.Claim.NextOffset) }

// bindTimeout is how long a person's command waits for Postgres.
const bindTimeout = 10 * time.Second

func bindSoon(ctx context.Context, c config.Admin, application string) (bound, error) {
	ctx, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	return bind(ctx, c.Database, c.Kafka, c.Identity, postgres.Options{Application: application})
}

// Partitions compares the progress of every partition with its log. It claims
// nothing.
func Partitions(ctx context.Context, c config.Admin) ([]Partition, error) {
	b, err := bindSoon(ctx, c, "partitions")
	if err != nil {
		return nil, err
	}
	defer b.close()
	progress, err := b.store.Progress(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Partition, b.topic.Partitions)
	for i := range list {
		list[i] = Partition{End: -1, State: processor.ErrNoProgress}
		list[i].Claim.Partition = i
	}
	var looks errgroup.Group
	looks.SetLimit(looksAtOnce)
	for _, p := range progress {
		if p.Claim.Partition >= len(list) {
			continue // verify says so
		}
		looks.Go(func() error {
			found := &list[p.Claim.Partition]
			end, wrong, err := b.cluster.CheckClaim(ctx, p.Claim)
			if err != nil {
				wrong = fmt.Errorf("the log was not read: %w", err)
			}
			*found = Partition{Progress: p, End: end, State: wrong}
			return nil
		})
	}
	return list, looks.Wait()
}

// looksAtOnce is how many logs are read at once: one that does not answer must not
// hold up the others.
const looksAtOnce = 16

// SetProgress moves the progress of a partition as [postgres.SetProgress] says. It
// refuses a cluster or a topic that is not the one the database belongs to. The
// URL's user is the owner of the schema.
func SetProgress(ctx context.Context, c config.Admin, m postgres.Move) (postgres.Moved, error) {
	b, err := bindSoon(ctx, c, "partitions")
	if err != nil {
		return postgres.Moved{}, err
	}
	defer b.close()
	if err := b.store.Known().Check(m.Partition); err != nil {
		return postgres.Moved{}, err
	}
	log := kafka.NewPartitionLog(b.cluster, b.topic, m.Partition, processor.NewSkipper(kafka.Decode, b.minter))
	return postgres.SetProgress(ctx, c.DatabaseURL.Reveal(), b.store.Known(), m, log)
}
