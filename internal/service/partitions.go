package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/repair"
)

// Partition is what the database, Kafka, the consumer group and the owner say of one
// partition.
type Partition struct {
	processor.Progress
	End   int64   // of the log; negative: Kafka did not say
	Owned bool    // a processor that lives has it, and has claimed it
	Halts bool    // it settles nothing, or would not if somebody claimed it, until a person acts
	Gone  bool    // its owner is in the group no more
	Wrong []error // empty: it is settled, as far as anybody can tell
}

// Lag is how many offsets are not settled; 0 where that is not known.
func (p Partition) Lag() int64 { return max(0, p.End-p.Claim.NextOffset) }

// Partitions are all of them, and what is wrong with more than one.
type Partitions struct {
	Partitions []Partition
	Wrong      []error
	Settings   []string // what is wrong with the settings of the topic
}

// OK reports whether nothing is wrong.
func (p Partitions) OK() bool {
	return len(p.Wrong) == 0 && !slices.ContainsFunc(p.Partitions, func(p Partition) bool { return len(p.Wrong) > 0 })
}

// bindTimeout is how long a person's command waits for Postgres.
const bindTimeout = 10 * time.Second

func bindSoon(ctx context.Context, c config.Admin, application string) (bound, error) {
	ctx, cancel := context.WithTimeout(ctx, bindTimeout)
	defer cancel()
	return bind(ctx, c.Database, c.Kafka, c.Identity, postgres.Options{Application: application})
}

// PartitionsLook looks at all partitions, as often as it is asked to.
type PartitionsLook struct{ b bound }

// LookAtPartitions opens a look at the partitions. Close ends it.
func LookAtPartitions(ctx context.Context, c config.Admin) (*PartitionsLook, error) {
	b, err := bindSoon(ctx, c, "partitions")
	if err != nil {
		return nil, err
	}
	return &PartitionsLook{b}, nil
}

// Close ends the look.
func (l *PartitionsLook) Close() { l.b.close() }

// Look compares the progress of every partition with its log and with the consumer
// group. It claims nothing.
func (l *PartitionsLook) Look(ctx context.Context) (Partitions, error) {
	b := l.b
	progress, err := b.store.Progress(ctx)
	if err != nil {
		return Partitions{}, err
	}
	found := Partitions{Partitions: make([]Partition, b.topic.Partitions)}
	for i := range found.Partitions {
		found.Partitions[i] = Partition{End: -1, Halts: true, Wrong: []error{processor.ErrNoProgress}}
		found.Partitions[i].Claim.Partition = i
	}
	members, unread := b.cluster.Members(ctx, b.group(), b.topic.Name)
	if unread != nil {
		found.Wrong = append(found.Wrong, fmt.Errorf("who owns the partitions is not known: %w", unread))
	}
	for _, m := range members {
		if m.Foreign(b.topic.Name) {
			found.Wrong = append(found.Wrong, fmt.Errorf("the group %s has a member that is no processor of ours: %s", b.group(), m))
		}
	}
	copies, err := b.copies(ctx)
	if err != nil {
		found.Wrong = append(found.Wrong, fmt.Errorf("whether the database was restored is not known: %w", err))
	}
	if found.Settings, err = b.cluster.Concerns(ctx, b.topic.Name); err != nil {
		found.Wrong = append(found.Wrong, err)
	}
	var looks errgroup.Group
	looks.SetLimit(looksAtOnce)
	for _, p := range progress {
		if p.Claim.Partition >= len(found.Partitions) {
			continue // verify says so
		}
		looks.Go(func() error {
			at := &found.Partitions[p.Claim.Partition]
			*at = Partition{Progress: p}
			end, wrong, err := b.cluster.CheckClaim(ctx, p.Claim)
			at.Halts = wrong != nil || p.Claim.Halt != ""
			if at.End = end; err != nil {
				wrong = fmt.Errorf("the log was not read: %w", err)
			}
			if known, now := copies[p.Claim.Partition], p.Claim.Memory(); now.Behind(known) {
				wrong = &processor.RestoredError{Known: known, Found: now}
			}
			at.judge(wrong, members, unread == nil)
			return nil
		})
	}
	return found, looks.Wait()
}

// judge says what is wrong: in the log, as the owner noted it, and with the owner,
// where the group's members are known.
func (p *Partition) judge(log error, members []kafka.Member, known bool) {
	if log != nil {
		p.Wrong = append(p.Wrong, log)
	}
	if cause := p.Claim.Halt; cause != "" && (log == nil || log.Error() != cause) {
		p.Wrong = append(p.Wrong, fmt.Errorf("halted since %s: %s", p.HaltedAt.Format(time.RFC3339), cause))
	}
	if !known {
		return
	}
	p.Gone = p.Owner != "" && !slices.ContainsFunc(members, func(m kafka.Member) bool {
		owner, ours := m.Owner()
		return ours && owner == p.Owner
	})
	var why error
	if p.Owned, why = owned(p.Progress, members); why != nil {
		p.Wrong = append(p.Wrong, why)
	}
}

var errUnowned = errors.New("no processor has it")

// owned reports whether a member of the group has the partition and has claimed it;
// and if not, why it is not settled.
func owned(p processor.Progress, members []kafka.Member) (bool, error) {
	for _, m := range members {
		if !slices.Contains(m.Partitions, p.Claim.Partition) {
			continue
		}
		owner, ours := m.Owner()
		switch {
		case !ours:
			return false, fmt.Errorf("the group gives it to a member that is no processor of ours: %s", m)
		case owner != p.Owner:
			return false, fmt.Errorf("the processor %s, which was given it, has not claimed it", owner)
		}
		return true, nil
	}
	return false, errUnowned
}

// looksAtOnce is how many logs are read at once: one that does not answer must not
// hold up the others.
const looksAtOnce = 16

// SetProgress moves the progress of a partition as [repair.SetProgress] says. It
// refuses a cluster or a topic that is not the one the database belongs to. The
// URL's user is the owner of the schema.
func SetProgress(ctx context.Context, c config.Admin, m repair.Move) (repair.Moved, error) {
	b, err := bindSoon(ctx, c, "partitions")
	if err != nil {
		return repair.Moved{}, err
	}
	defer b.close()
	if err := b.store.Known().Check(m.Partition); err != nil {
		return repair.Moved{}, err
	}
	setter, err := postgres.NewProgressSetter(ctx, c.DatabaseURL.Reveal(), b.store.Known())
	if err != nil {
		return repair.Moved{}, err
	}
	defer setter.Close(ctx)
	log := kafka.NewPartitionLog(b.cluster, b.topic, m.Partition, processor.NewSkipper(record.Decode, b.minter))
	return repair.SetProgress(ctx, setter, log, m)
}
