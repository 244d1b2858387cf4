package demo

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// play carries out the plan and reports what came of it.
func (s *stage) play(ctx context.Context, today plan) (Report, error) {
	t := &traffic{api: s.api, plan: today, callers: s.options.Callers}
	dead, err := s.deadLetters(ctx)
	if err != nil {
		return Report{}, err
	}
	ups, err := s.payIn(ctx, t)
	if err != nil {
		return Report{}, err
	}
	report := Report{Sent: today.counts()}
	if report.Took, err = s.trade(ctx, t); err != nil {
		return Report{}, err
	}
	report.Answered, report.Visible = t.answers.spread(), t.visible.spread()
	j, err := s.compare(ctx, t, ups, dead)
	if err != nil {
		return Report{}, err
	}
	report.Rows, report.Early, report.Open, report.CaptureBefore, report.Mismatches = j.table(), j.early, j.open, j.captureBefore, j.mismatches
	report.Verified, err = s.verify(ctx)
	return report, err
}

func (s *stage) payIn(ctx context.Context, t *traffic) (ups []string, err error) {
	err = s.console.step(func() (string, error) {
		done := s.console.tally("top-ups", len(t.plan.topUps))
		defer done.end()
		if ups, err = t.fund(ctx, s.state.Operator, done); err != nil {
			return "", fmt.Errorf("top up: %w", err)
		}
		return fmt.Sprintf("topped up %d wallets", len(ups)), nil
	})
	return ups, err
}

// trade sends the day's requests and waits until the last of them is decided. It
// returns the time from the first POST until then.
func (s *stage) trade(ctx context.Context, t *traffic) (took time.Duration, err error) {
	err = s.console.step(func() (string, error) {
		busiest, err := ledger.ParseWalletID(s.world.rich[0].id)
		if err != nil {
			return "", fmt.Errorf("read a wallet's ID: %w", err)
		}
		if err := putForeign(ctx, s.stack.Brokers(), busiest.Partition(partitions), t.plan.malformed); err != nil {
			return "", err
		}
		done := s.console.tally("requests", t.plan.requests())
		defer done.end()
		start := time.Now()
		if err := t.submit(ctx, done); err != nil {
			return "", fmt.Errorf("send the requests: %w", err)
		}
		if err := s.settled(ctx); err != nil {
			return "", fmt.Errorf("wait for the last outcomes: %w", err)
		}
		took = time.Since(start)
		return fmt.Sprintf("sent %d requests by %d callers, and every one is decided", t.plan.requests(), s.options.Callers), nil
	})
	return took, err
}

// compare reads every operation, every balance and the count of dead letters,
// and holds them against the plan.
func (s *stage) compare(ctx context.Context, t *traffic, ups []string, dead int64) (j *judge, err error) {
	err = s.console.step(func() (string, error) {
		found, err := s.outcomes(ctx, t)
		if err != nil {
			return "", fmt.Errorf("read the outcomes: %w", err)
		}
		j = newJudge(found)
		for i, st := range t.plan.stories {
			j.story(st, t.results[i])
		}
		if err := s.topUps(ctx, j, t.plan.topUps, ups); err != nil {
			return "", fmt.Errorf("read the top-ups: %w", err)
		}
		now, err := s.readBooks(ctx)
		if err != nil {
			return "", err
		}
		j.books(s.before.after(t.plan), now, t.plan.expiring())
		deadNow, err := s.deadLetters(ctx)
		if err != nil {
			return "", err
		}
		j.count(rowDead, len(t.plan.malformed), int(deadNow-dead))
		return fmt.Sprintf("read %d outcomes and %d balances over HTTP", len(found), len(now.wallets)+len(now.merchants)), nil
	})
	return j, err
}

// outcomes reads every operation of the day's fresh steps that the API shows.
func (s *stage) outcomes(ctx context.Context, t *traffic) (map[string]client.Operation, error) {
	type reading struct{ id, key string }
	var readings []reading
	for i, st := range t.plan.stories {
		for k, step := range st.steps {
			if id := t.results[i][k].operation.ID; step.want.what == fresh && id != "" {
				readings = append(readings, reading{id, step.key})
			}
		}
	}
	found := make(map[string]client.Operation, len(readings))
	var mu sync.Mutex
	return found, client.Each(ctx, s.options.Callers, len(readings), func(ctx context.Context, i int) error {
		a, err := s.api.Do(ctx, client.Call{Method: http.MethodGet, Path: "/v1/operations/" + readings[i].id, Key: readings[i].key})
		if err != nil || a.Status != http.StatusOK {
			return err // what is not shown is missing to the judge
		}
		op, err := a.Operation()
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		found[readings[i].id] = op
		return nil
	})
}

// topUps holds what is on record of the top-ups, which have these IDs, against what was asked.
func (s *stage) topUps(ctx context.Context, j *judge, asked []topUp, ids []string) error {
	var mu sync.Mutex
	return client.Each(ctx, s.options.Callers, len(ids), func(ctx context.Context, i int) error {
		var op client.Operation
		if err := s.api.Expect(ctx, client.Call{Method: http.MethodGet, Path: "/v1/operations/" + ids[i], Key: s.state.Operator}, &op, http.StatusOK); err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		accepted := outcomeLabel(ledger.KindTopUp, "")
		j.equal(accepted, "top-up "+op.ID, [...]string{accepted, asked[i].reference}, [...]string{label(op), op.Reference})
		return nil
	})
}
