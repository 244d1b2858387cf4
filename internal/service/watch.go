package service

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/processor"
)

// The limits of the watch.
const (
	watchEvery    = 3 * time.Second
	watchTimeout  = 10 * time.Second // one look
	recordsEvery  = time.Minute      // what costs more: dead letters, the last verification, the schema
	recordsAtOnce = 4                // of the oldest ones, read from the topic at once
)

// watch looks at every partition from outside, whoever owns it: what its owner would
// say of it nobody says once that is gone. Each ingest has one, since some ingest
// lives as long as charges are taken.
type watch struct {
	b   bound
	m   *watchMetrics
	log *slog.Logger

	oldest  map[int]undecided // by partition; none where nothing is undecided
	records time.Time         // when what costs more was read last
	trouble string            // what was logged last and still holds
}

// undecided is the first record of a partition that has no outcome.
type undecided struct {
	log    int32
	offset int64
	since  time.Time // when it was received, as far as it says so
}

type watchMetrics struct {
	records, age, owned, halted *prometheus.GaugeVec // by partition
	looked, members             *prometheus.GaugeVec
	partitions, letters, schema prometheus.Gauge
	verified, violations        prometheus.Gauge
}

func newWatchMetrics(r prometheus.Registerer) *watchMetrics {
	f := promauto.With(r)
	gauge := func(name, help string) prometheus.Gauge {
		return f.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	labelled := func(name, label, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{label})
	}
	m := &watchMetrics{
		records: labelled("monedero_partition_undecided_records", "partition", "Offsets between the progress and the end of the log, seen from outside."),
		age:     labelled("monedero_partition_undecided_age_seconds", "partition", "How long ago the oldest record without an outcome was received; 0: there is none."),
		owned:   labelled("monedero_partition_owned", "partition", "1 while a processor that is in the consumer group has the partition and has claimed it."),
		halted: labelled("monedero_partition_halted", "partition",
			"1 while the partition's owner, or the last one before he went, says that its state cannot be right; or there is no progress; or the log ends before it."),
		looked:     labelled("monedero_watch_timestamp_seconds", "of", "When the database, the log and the group were last seen for the gauges about partitions; 0: not yet."),
		members:    labelled("monedero_group_members", "kind", "Members of the processors' consumer group: processor, or foreign."),
		partitions: gauge("monedero_topic_partitions", "Partitions of the topic, as Kafka says; 0: the topic is gone."),
		letters:    gauge("monedero_dead_letters_open", "Dead letters that nobody did anything about yet, 10,000 at most."),
		schema:     gauge("monedero_schema_version", "The last migration that the database had."),
		verified:   gauge("monedero_verify_timestamp_seconds", "When monedero verify last looked at everything; 0: never."),
		violations: gauge("monedero_verify_violations", "What monedero verify found then that must not be."),
	}
	for _, of := range []string{"database", "log", "group"} {
		m.looked.WithLabelValues(of)
	}
	return m
}

func newWatch(b bound, r prometheus.Registerer, log *slog.Logger) *watch {
	return &watch{b: b, m: newWatchMetrics(r), log: log, oldest: map[int]undecided{}}
}

// run looks until ctx ends.
func (w *watch) run(ctx context.Context) error {
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// look is one look. What could not be read keeps the value that it had, and ages.
func (w *watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	progress, err := w.b.store.Progress(ctx)
	if err == nil {
		w.m.looked.WithLabelValues("database").SetToCurrentTime()
		err = errors.Join(w.topic(ctx), w.owners(ctx, progress), w.ends(ctx, progress), w.kept(ctx))
	}
	for p, o := range w.oldest {
		w.m.age.WithLabelValues(strconv.Itoa(p)).Set(max(0, time.Since(o.since).Seconds()))
	}
	w.tell(ctx, err)
}

// tell logs trouble when it changes.
func (w *watch) tell(ctx context.Context, err error) {
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != w.trouble && ctx.Err() == nil {
		w.log.LogAttrs(ctx, slog.LevelWarn, "the partitions are not all seen", slog.Any("err", err))
	}
	w.trouble = trouble
}

func (w *watch) topic(ctx context.Context) error {
	found, err := w.b.cluster.Describe(ctx, w.b.topic.Name)
	if err == nil {
		w.m.partitions.Set(float64(found.Partitions))
	}
	return err
}

// owners shows who has which partition, and which has halted.
func (w *watch) owners(ctx context.Context, progress []processor.Progress) error {
	known := make([]processor.Progress, w.b.topic.Partitions)
	for _, p := range progress {
		if p.Claim.Partition < len(known) {
			known[p.Claim.Partition] = p
		}
	}
	for i, p := range known {
		w.m.halted.WithLabelValues(strconv.Itoa(i)).Set(number(p.Claim.Log == 0 || p.Claim.Halt != ""))
	}
	members, err := w.b.cluster.Members(ctx, w.b.group(), w.b.topic.Name)
	if err != nil {
		return err
	}
	foreign := 0
	for _, m := range members {
		if m.Foreign(w.b.topic.Name) {
			foreign++
		}
	}
	w.m.members.WithLabelValues("foreign").Set(float64(foreign))
	w.m.members.WithLabelValues("processor").Set(float64(len(members) - foreign))
	for i, p := range known {
		p.Claim.Partition = i
		is, _ := owned(p, members)
		w.m.owned.WithLabelValues(strconv.Itoa(i)).Set(number(is))
	}
	w.m.looked.WithLabelValues("group").SetToCurrentTime()
	return nil
}

// ends shows how much is undecided, and for how long.
func (w *watch) ends(ctx context.Context, progress []processor.Progress) error {
	ends, err := w.b.cluster.Ends(ctx, w.b.topic.Name, w.b.topic.Partitions)
	if err != nil {
		return err
	}
	whole := true
	var reads errgroup.Group
	reads.SetLimit(recordsAtOnce)
	found := make([]undecided, len(ends))
	for _, p := range progress {
		i, next := p.Claim.Partition, p.Claim.NextOffset
		if i >= len(ends) || ends[i] < 0 {
			whole = false
			continue
		}
		label := strconv.Itoa(i)
		w.m.records.WithLabelValues(label).Set(float64(max(0, ends[i]-next)))
		before, had := w.oldest[i]
		switch {
		case ends[i] < next:
			w.m.halted.WithLabelValues(label).Set(1)
		case ends[i] == next:
			delete(w.oldest, i)
			w.m.age.WithLabelValues(label).Set(0)
		case !had || before.log != p.Claim.Log || before.offset != next:
			reads.Go(func() error {
				at, err := w.b.cluster.ReceivedAt(ctx, w.b.topic.Name, i, next)
				if err == nil { // else the one before it still stands for it
					found[i] = undecided{log: p.Claim.Log, offset: next, since: at}
				}
				return err
			})
		}
	}
	err = reads.Wait()
	for i, o := range found {
		if o.log == 0 {
			continue
		}
		if now := time.Now(); o.since.IsZero() || o.since.After(now) {
			o.since = now // it does not say: it is as old as we know of it
		}
		w.oldest[i] = o
	}
	if err == nil && whole {
		w.m.looked.WithLabelValues("log").SetToCurrentTime()
	}
	return err
}

// kept shows what is on record about the whole database.
func (w *watch) kept(ctx context.Context) error {
	if time.Since(w.records) < recordsEvery {
		return nil
	}
	kept, err := w.b.store.DatabaseState(ctx)
	if err != nil {
		return err
	}
	w.records = time.Now()
	w.m.letters.Set(float64(kept.OpenLetters))
	w.m.schema.Set(float64(kept.SchemaVersion))
	if !kept.VerifiedAt.IsZero() {
		w.m.verified.Set(float64(kept.VerifiedAt.UnixMilli()) / 1000)
	}
	w.m.violations.Set(float64(kept.Violations))
	return nil
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// member fails unless the processor is a member of the group, as Kafka says.
func (b bound) member(ctx context.Context) error {
	members, err := b.cluster.Members(ctx, b.group(), b.topic.Name)
	if err != nil {
		return err
	}
	for _, m := range members {
		if owner, ours := m.Owner(); ours && owner == b.store.Owner() {
			return nil
		}
	}
	return errNoMember
}

var errNoMember = errors.New("it is no member of the processors' consumer group")
