package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	// stormPolls is how many polls come for each submission.
	stormPolls = 10
	// stormPending is how many pending operations are polled for while a topic is settled, and stormPollers over
	// how many connections, each with one poll at a time.
	stormPending = 10_000
	stormPollers = 1_000
	// stormPause is how long a poller waits who was cut off.
	stormPause = 5 * time.Millisecond
)

// pollStormRow: whether clients that poll without pause hold up those that submit.
func pollStormRow() Row {
	return Row{
		Name: "poll_storm",
		What: fmt.Sprintf("99th percentile of the time from POST to 202 at half of the highest rate while each charge brings %d polls, one right after the other, "+
			"of itself and of one before, against the same without polls", stormPolls),
		Unit: "ms",
		Goal: ratioAtMost(1.10),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			highest, err := r.liveRate(ctx)
			if err != nil {
				return Figures{}, err
			}
			var with, without []sent
			if err := r.onOurs(ctx, linePartitions, max(1, highest/2), func(ours *line, t traffic, _ *world) error {
				stormy := t
				stormy.Storm = stormPolls
				return r.sendByTurns(ctx, &leg{stormy, ours, &with}, &leg{t, ours, &without})
			}); err != nil {
				return Figures{}, err
			}
			f := figuresOfLegs(with, without, func(s sent) float64 { return float64(s.Accept.P99) })
			f.Notes = []string{fmt.Sprintf("at %d/s; with polls: %s", max(1, highest/2), describe(with)), "without: " + describe(without)}
			return r.shortly(f), nil
		},
	}
}

// pollDrainRow: whether clients that poll without pause hold up settling.
func pollDrainRow() Row {
	return Row{
		Name: "poll_drain",
		What: fmt.Sprintf("charges settled a second from a full topic while %d of the pending ones are polled for over and over, over %d connections, against the same "+
			"without polls (8 partitions, 1,000 wallets, one processor, one ingest)", stormPending, stormPollers),
		Unit: "charges/s",
		Goal: ratioAtLeast(0.90),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			var f Figures
			for round := range r.rounds() {
				if err := r.pollDrain(ctx, &f, round == r.rounds()-1); err != nil {
					return Figures{}, err
				}
			}
			return f, nil
		},
	}
}

// pollDrain measures a round: a drain without polls, then one with polls for what came last in the first.
func (r *run) pollDrain(ctx context.Context, f *Figures, verify bool) error {
	s := r.baseSpec()
	var pending []pendingCharge
	without, err := onCopy(ctx, r, s.scale, func(w *world, d *database) (drained, error) {
		found, err := r.drain(ctx, w, s, d, false)
		if err != nil {
			return found, err
		}
		pending, err = r.lastCharges(ctx, d)
		return found, err
	})
	if err != nil {
		return err
	}
	var polled stormed
	with, err := onCopy(ctx, r, s.scale, func(w *world, d *database) (found drained, err error) {
		stop, err := r.stormOn(ctx, w, d, pending)
		if err != nil {
			return found, err
		}
		began := time.Now()
		found, err = r.drain(ctx, w, s, d, false)
		polled, err = stop(err)
		polled.Seconds = time.Since(began).Seconds()
		if err == nil && verify {
			err = verified(ctx, d.url)
		}
		return found, err
	})
	if err != nil {
		return err
	}
	f.Ours, f.Limit = append(f.Ours, with.rate), append(f.Limit, without.rate)
	f.OursCPU, f.LimitCPU = f.OursCPU.plus(with.cpu), f.LimitCPU.plus(without.cpu)
	f.Notes = append(f.Notes, fmt.Sprintf("%s polls a second were answered, of which %d in 100 were refused",
		figure(float64(polled.Answered)/polled.Seconds), 100*polled.Refused/max(1, polled.Answered)))
	r.options.Log.Info("round measured", "with_polls", figure(with.rate), "without", figure(without.rate), "polls", polled.Answered, "refused", polled.Refused)
	return nil
}

// pendingCharge is one that is polled for, by whoever submitted it.
type pendingCharge struct {
	id       ledger.OperationID
	merchant ledger.MerchantID
}

// lastCharges are those that were settled last of the topic.
func (r *run) lastCharges(ctx context.Context, d *database) (list []pendingCharge, err error) {
	err = r.withConn(ctx, d.url, func(conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, "select id, merchant_id from operations where kind = 'charge' order by log_offset desc limit $1", stormPending)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c pendingCharge, err error) {
			err = row.Scan((*[16]byte)(&c.id), (*[16]byte)(&c.merchant))
			return c, err
		})
		return err
	})
	return list, err
}

// storm is polls over and over, whatever the answers.
type storm struct {
	Address  string   `json:"address"`
	Pollers  int      `json:"pollers"`
	Requests []string `json:"requests"`
}

// stormed is what came of it until now.
type stormed struct {
	Answered int64 `json:"answered"`
	Refused  int64 `json:"refused"` // of these, with no operation
	Seconds  float64
}

// stormOn starts an ingest, and a storm of polls for the charges. Stop ends both, and joins its errors to the given one.
func (r *run) stormOn(ctx context.Context, w *world, d *database, pending []pendingCharge) (stop func(error) (stormed, error), err error) {
	keys, err := r.merchantKeys(ctx, w, d)
	if err != nil {
		return nil, err
	}
	ingest, at, err := r.startIngest(ctx, w, d)
	if err != nil {
		return nil, err
	}
	todo := storm{Address: at, Pollers: stormPollers}
	for _, c := range pending {
		todo.Requests = append(todo.Requests, getOperation(c.id.String(), keys[c.merchant], ""))
	}
	pollers, err := r.start(ctx, partStorm, partEnviron()...)
	if err != nil {
		return nil, errors.Join(err, ingest.stop())
	}
	counted := func() (s stormed, err error) {
		if err := pollers.tell("how many"); err != nil {
			return s, err
		}
		err = pollers.hear(ctx, &s)
		return s, err
	}
	end := func() error { return errors.Join(pollers.stop(), ingest.stop()) }
	if err := errors.Join(pollers.tell(todo), pause(ctx, warmFor)); err != nil {
		return nil, errors.Join(err, end())
	}
	before, err := counted()
	if err != nil {
		return nil, errors.Join(err, end())
	}
	return func(err error) (stormed, error) {
		after, countErr := counted()
		return stormed{Answered: after.Answered - before.Answered, Refused: after.Refused - before.Refused},
			errors.Join(err, countErr, ingest.check(), end())
	}, nil
}

// runStorm is the part. It says what came of the storm until now as often as it is told anything.
func runStorm(ctx context.Context, c *child) error {
	var s storm
	if err := c.told(ctx, &s); err != nil {
		return err
	}
	w := &wires{address: s.Address}
	var answered, refused atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for p := range s.Pollers {
		group.Go(func() error {
			for i := p; ctx.Err() == nil; i += s.Pollers {
				a, err := w.exchange(ctx, s.Requests[i%len(s.Requests)])
				if err != nil {
					_ = pause(ctx, stormPause) // ctx is asked for next
					continue
				}
				answered.Add(1)
				if !a.operation() {
					refused.Add(1)
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer w.close()
		return obey(ctx, c, func(string) stormed { return stormed{Answered: answered.Load(), Refused: refused.Load()} })
	})
	return group.Wait()
}
