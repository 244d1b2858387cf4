package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/kafka"
)

const (
	// takeoverExtra is what may pass beyond the session timeout, in seconds.
	takeoverExtra = 1
	// handoverLimit is how long a partition may stand still where a processor joins
	// or leaves in order, in milliseconds.
	handoverLimit = 300
	// feedEvery is how often each partition gets a charge meanwhile.
	feedEvery = 10 * time.Millisecond
	// steadyFor is how long all partitions move before something is done to them.
	steadyFor = 500 * time.Millisecond
	// busyFor: in that time a steady partition moves.
	busyFor = 100 * time.Millisecond
)

// motions are how long partitions stood still, by round.
type motions struct {
	kill        series // seconds
	join, leave series // milliseconds
}

func takeoverRow() Row {
	return Row{
		Name:    "takeover",
		What:    "kill -9 of one of two processors until all its partitions move again, against the session timeout",
		Unit:    "s",
		Goal:    oursAtMostOver(takeoverExtra, "s"),
		measure: figuresOf((*run).motions, func(m *motions) Figures { return against(m.kill, kafka.SessionTimeout.Seconds()) }),
	}
}

func joinRow() Row {
	return Row{
		Name:    "join",
		What:    "longest time in which a partition stands still while a third processor joins two, against what is allowed",
		Unit:    "ms",
		Goal:    oursAtMost(handoverLimit, "ms"),
		measure: figuresOf((*run).motions, func(m *motions) Figures { return against(m.join, handoverLimit) }),
	}
}

func leaveRow() Row {
	return Row{
		Name:    "leave",
		What:    "longest time in which a partition stands still while one of three processors stops in order, against what is allowed",
		Unit:    "ms",
		Goal:    oursAtMost(handoverLimit, "ms"),
		measure: figuresOf((*run).motions, func(m *motions) Figures { return against(m.leave, handoverLimit) }),
	}
}

// against holds each round against the same limit.
func against(ours series, limit float64) Figures {
	f := Figures{Ours: ours}
	for range ours {
		f.Limit = append(f.Limit, limit)
	}
	return f
}

// motions measures all three in each round, once in a run: charges come all the
// time, 100 a second into each partition; of two processors one is killed, then one
// is started in its place, then a third one joins, then one stops in order.
func (r *run) motions(ctx context.Context) (*motions, error) {
	if r.moved != nil {
		return r.moved, nil
	}
	found, err := onCopy(ctx, r, scale{partitions: 8, wallets: 64}, func(w *world, d *database) (*motions, error) {
		found := &motions{}
		err := r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
			began := time.Now()
			before, err := readBooks(ctx, conn, began)
			if err != nil {
				return err
			}
			fed, err := r.moveAll(ctx, w, d, found)
			if err != nil {
				return err
			}
			after, err := readBooks(ctx, conn, began)
			if err != nil {
				return err
			}
			return after.follow(before, fed)
		})
		return found, errors.Join(err, verified(ctx, d.url))
	})
	if err != nil {
		return nil, err
	}
	r.moved = found
	return found, nil
}

// moveAll runs the rounds, and returns when all that came meanwhile is settled.
func (r *run) moveAll(ctx context.Context, w *world, d *database, found *motions) (came tally, err error) {
	m, err := watchMotion(ctx, d.url)
	if err != nil {
		return came, err
	}
	defer m.stop()
	group, err := r.newGroup(ctx, d)
	if err != nil {
		return came, err
	}
	c := &crew{run: r, motion: m, environ: r.serviceEnviron(w, d.url, group)}
	defer func() { err = errors.Join(err, c.stop()) }()
	f, err := r.feed(ctx, w)
	if err != nil {
		return came, err
	}
	err = errors.Join(c.join(ctx), c.join(ctx))
	for round := 0; err == nil && round < r.longRounds(); round++ {
		err = c.round(ctx, found)
	}
	came, feedErr := f.end()
	if err := errors.Join(err, feedErr); err != nil {
		return came, err
	}
	return came, m.await(ctx, func() bool {
		sum := int64(0)
		for _, p := range m.last {
			sum += p.next
		}
		return sum >= w.before+came.charges
	})
}

// crew are the processors that share the partitions of a database.
type crew struct {
	run     *run
	motion  *motion // of the rounds; nil: nobody watches
	environ []string
	parts   []*part
}

// join starts one more.
func (c *crew) join(ctx context.Context) error {
	p, err := c.run.start(ctx, partProcessor, c.environ...)
	if err == nil {
		c.parts = append(c.parts, p)
	}
	return err
}

// dismiss is the one that has been there for longest. It is none of the crew from
// then on, and the caller ends it.
func (c *crew) dismiss() *part {
	p := c.parts[0]
	c.parts = c.parts[1:]
	return p
}

// stop ends all of them in order.
func (c *crew) stop() (err error) {
	for _, p := range c.parts {
		err = errors.Join(err, p.stop())
	}
	return err
}

// round begins and ends with two of them.
func (c *crew) round(ctx context.Context, found *motions) error {
	if err := c.steady(ctx); err != nil {
		return fmt.Errorf("two processors: %w", err)
	}
	victim := c.dismiss()
	began := time.Now()
	victim.kill()
	last, err := c.motion.moved(ctx, c.motion.all(), victim.pid())
	if err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	found.kill = append(found.kill, last.Sub(began).Seconds())

	if err := errors.Join(c.join(ctx), c.steady(ctx)); err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	began = time.Now()
	if err := errors.Join(c.join(ctx), c.steady(ctx)); err != nil {
		return fmt.Errorf("join: %w", err)
	}
	found.join = append(found.join, milliseconds(c.motion.stall(began, time.Now())))

	began = time.Now()
	leaver := c.dismiss()
	places := c.motion.all()
	if err := leaver.stop(); err != nil {
		return err
	}
	if _, err := c.motion.moved(ctx, places, leaver.pid()); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	if err := c.steady(ctx); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	found.leave = append(found.leave, milliseconds(c.motion.stall(began, time.Now())))
	c.run.options.Log.Info("round measured", "takeover_s", figure(found.kill[len(found.kill)-1]),
		"join_ms", figure(found.join[len(found.join)-1]), "leave_ms", figure(found.leave[len(found.leave)-1]))
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// steady waits until every one of the processors has partitions and all partitions
// have moved for a while.
func (c *crew) steady(ctx context.Context) error {
	var since time.Time
	return c.motion.await(ctx, func() bool {
		owned := map[int]bool{}
		now := time.Now()
		for _, at := range c.motion.last {
			for i, p := range c.parts {
				if owns(at.owner, p.pid()) && now.Sub(at.since) < busyFor {
					owned[i] = true
				}
			}
			if now.Sub(at.since) > busyFor {
				since = time.Time{}
				return false
			}
		}
		if len(c.motion.last) == 0 || len(owned) < len(c.parts) {
			since = time.Time{}
			return false
		}
		if since.IsZero() {
			since = now
		}
		return now.Sub(since) >= steadyFor
	})
}

// feed writes charges until it is ended.
type feed struct {
	stop    context.CancelFunc
	group   errgroup.Group
	charges atomic.Int64
	amount  atomic.Int64
	done    func() error
}

func (r *run) feed(ctx context.Context, w *world) (*feed, error) {
	producer, done, err := r.producer(w)
	if err != nil {
		return nil, err
	}
	f := &feed{done: done}
	stopped, stop := context.WithCancel(ctx)
	f.stop = stop
	for partition := range w.partitions {
		draw := w.draw(partition)
		f.group.Go(func() error {
			for next := time.Now(); stopped.Err() == nil; next = next.Add(feedEvery) {
				q := r.minted(draw())
				record, err := encoded(q)
				if err != nil {
					return err
				}
				// What is begun is written, so that what came is known.
				if _, err := producer.Produce(context.WithoutCancel(ctx), w.topic, partition, record); err != nil {
					return fmt.Errorf("write charges: %w", err)
				}
				f.charges.Add(1)
				f.amount.Add(q.Amount)
				_ = pause(stopped, time.Until(next)) // the loop asks for it
			}
			return nil
		})
	}
	return f, nil
}

// end stops it, and says what was written.
func (f *feed) end() (tally, error) {
	f.stop()
	err := f.group.Wait()
	return tally{charges: f.charges.Load(), amount: f.amount.Load()}, errors.Join(err, f.done())
}
