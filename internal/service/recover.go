package service

import (
	"context"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
)

// Restored compares the database with what the processors left in Kafka: it says which
// partitions are at an earlier moment than what was settled. It changes nothing.
func Restored(ctx context.Context, c config.Admin) (postgres.Recovery, error) {
	b, err := bindSoon(ctx, c, "recover")
	if err != nil {
		return postgres.Recovery{}, err
	}
	defer b.close()
	if err := b.cluster.Check(ctx, b.topic); err != nil {
		return postgres.Recovery{}, err
	}
	known, err := b.copies(ctx)
	if err != nil {
		return postgres.Recovery{}, err
	}
	return b.store.Restored(ctx, known)
}

// Recover lets the restored partitions go on, as [postgres.Recover] says. The URL's
// user is the owner of the schema.
func Recover(ctx context.Context, c config.Admin, r postgres.Recovery) (history int32, err error) {
	return postgres.Recover(ctx, c.DatabaseURL.Reveal(), r)
}

// copies are what the processors left in Kafka of what they know of the progress.
func (b bound) copies(ctx context.Context) (map[int]processor.Memory, error) {
	all := make([]int, b.topic.Partitions)
	for i := range all {
		all[i] = i
	}
	return b.cluster.Copies(ctx, b.group(), b.topic.Name, all)
}
