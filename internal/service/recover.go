package service

import (
	"context"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/repair"
)

// Restored compares the database with what the processors left in Kafka: it says which
// partitions are at an earlier moment than what was settled. It changes nothing.
func Restored(ctx context.Context, c config.Admin) (repair.Recovery, error) {
	b, err := bindSoon(ctx, c, "recover")
	if err != nil {
		return repair.Recovery{}, err
	}
	defer b.close()
	if err := b.cluster.Check(ctx, b.topic); err != nil {
		return repair.Recovery{}, err
	}
	known, err := b.copies(ctx)
	if err != nil {
		return repair.Recovery{}, err
	}
	progress, err := b.store.Progress(ctx)
	if err != nil {
		return repair.Recovery{}, err
	}
	return repair.FindRestored(progress, known), nil
}

// Recover lets the restored partitions go on, as [postgres.Recover] says. The URL's
// user is the owner of the schema.
func Recover(ctx context.Context, c config.Admin, r repair.Recovery) (history int32, err error) {
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
