package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/monedero/monedero/internal/kafka"
)

const (
	// lagEvery is how often the lag is looked at.
	lagEvery = 100 * time.Millisecond
	// lagSlack is how much the lag may grow and still not count as growing: what
	// arrives in that time. A batch that is on its way when it is looked at, or a
	// collection of garbage, is as large.
	lagSlack = 100 * time.Millisecond
)

// lags are how many records lay in the log and were not settled, over time.
type lags []lagAt

type lagAt struct {
	at      time.Time
	records int64
}

// between is the median of those that were seen in that time; false: none was.
func (l lags) between(from, to time.Time) (float64, bool) {
	var seen series
	for _, x := range l {
		if !x.at.Before(from) && x.at.Before(to) {
			seen = append(seen, float64(x.records))
		}
	}
	return seen.median(), len(seen) > 0
}

// growth is the lag around the middle of a load, and in its last quarter.
func (l lags) growth(began time.Time, lasts time.Duration) (middle, end float64, err error) {
	at := func(eighth int64) time.Time { return began.Add(time.Duration(lasts.Nanoseconds() * eighth / 8)) }
	middle, in := l.between(at(3), at(5))
	end, also := l.between(at(6), at(8))
	if !in || !also {
		return 0, 0, fmt.Errorf("the lag was not seen often enough in %s", lasts)
	}
	return middle, end, nil
}

// lagWatch looks at the lag of a topic until it is ended.
type lagWatch struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
	seen lags
	err  error
}

func (r *run) watchLag(ctx context.Context, w *world, d *database) (*lagWatch, error) {
	cluster, err := kafka.NewCluster(r.brokers, w.topic)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, d.url)
	if err != nil {
		cluster.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	l := &lagWatch{}
	ctx, l.stop = context.WithCancel(ctx)
	l.wg.Go(func() {
		defer cluster.Close()
		defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
		for ctx.Err() == nil {
			if err := l.look(ctx, cluster, conn, w); err != nil && ctx.Err() == nil {
				l.err = fmt.Errorf("watch lag: %w", err)
				return
			}
			_ = pause(ctx, lagEvery) // ctx is asked for next
		}
	})
	return l, nil
}

func (l *lagWatch) look(ctx context.Context, cluster *kafka.Cluster, conn *pgx.Conn, w *world) error {
	seen, err := lagNow(ctx, cluster, conn, w)
	if err != nil {
		return err
	}
	l.seen = append(l.seen, seen)
	return nil
}

// lagNow reads the ends before the progress: what comes and is settled in between is
// no lag.
func lagNow(ctx context.Context, cluster *kafka.Cluster, conn *pgx.Conn, w *world) (lagAt, error) {
	var ends int64
	for partition := range w.partitions {
		_, end, err := cluster.Offsets(ctx, w.topic, partition)
		if err != nil {
			return lagAt{}, err
		}
		ends += end
	}
	s, err := readStand(ctx, conn)
	return lagAt{at: s.at, records: max(0, ends-s.offsets)}, err
}

// end is what was seen.
func (l *lagWatch) end() (lags, error) {
	l.stop()
	l.wg.Wait()
	return l.seen, l.err
}
