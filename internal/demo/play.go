package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

// The limits of waiting for what comes a moment after an answer.
const (
	settleTimeout = 2 * time.Minute // for the outcomes of all that was answered 202
	traceTimeout  = 10 * time.Second
	tracePause    = 50 * time.Millisecond
)

// play carries out the plan and reports what came of it.
func (s *stage) play(ctx context.Context, today plan) (Report, error) {
	t := &traffic{api: s.api, plan: today, callers: s.options.Callers, last: map[int]receipt{}}
	dead, err := s.deadLetters(ctx)
	if err != nil {
		return Report{}, err
	}
	ups, err := s.payIn(ctx, t)
	if err != nil {
		return Report{}, err
	}
	report := Report{Requests: today.requests()}
	if report.Took, err = s.trade(ctx, t); err != nil {
		return Report{}, err
	}
	report.Answered, report.Visible = t.answers.spread(), t.visible.spread()
	j, err := s.compare(ctx, t, ups, dead)
	if err != nil {
		return Report{}, err
	}
	report.Rows, report.Mismatches = j.table(), j.mismatches
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

// trade sends the day's charges and waits until the last of them is decided. It
// returns the time from the first POST until then.
func (s *stage) trade(ctx context.Context, t *traffic) (took time.Duration, err error) {
	err = s.console.step(func() (string, error) {
		busiest, err := ledger.ParseWalletID(s.world.rich[0].id)
		if err != nil {
			return "", fmt.Errorf("read a wallet's ID: %w", err)
		}
		if err := putForeign(ctx, s.stack.Brokers(), topicName, busiest.Partition(partitions), t.plan.malformed); err != nil {
			return "", err
		}
		done := s.console.tally("charges", t.plan.requests())
		defer done.end()
		start := time.Now()
		if err := t.submit(ctx, done); err != nil {
			return "", fmt.Errorf("charge: %w", err)
		}
		patient, cancel := context.WithTimeoutCause(ctx, settleTimeout, fmt.Errorf("charges are still pending after %s", settleTimeout))
		defer cancel()
		if err := t.drain(patient); err != nil {
			return "", fmt.Errorf("wait for the last outcomes: %w", errors.Join(err, context.Cause(patient)))
		}
		took = time.Since(start)
		return fmt.Sprintf("sent %d charges by %d callers, and every one is decided", t.plan.requests(), s.options.Callers), nil
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
		if err := s.topUps(ctx, j, t, ups); err != nil {
			return "", fmt.Errorf("read the top-ups: %w", err)
		}
		now, err := s.readBooks(ctx)
		if err != nil {
			return "", err
		}
		j.books(s.before.after(t.plan), now)
		aside := 0
		if err := eventually(ctx, func() (bool, error) {
			now, err := s.deadLetters(ctx)
			aside = int(now - dead)
			return aside >= len(t.plan.malformed), err
		}); err != nil {
			return "", err
		}
		j.count(rowDead, len(t.plan.malformed), aside)
		return fmt.Sprintf("read %d outcomes and %d balances over HTTP", len(found), len(now.wallets)+len(now.merchants)), nil
	})
	return j, err
}

// outcomes reads every operation of the day's fresh steps.
func (s *stage) outcomes(ctx context.Context, t *traffic) (map[string]operation, error) {
	type reading struct {
		id, key   string
		conflicts int
	}
	var readings []reading
	for i, st := range t.plan.stories {
		for k, step := range st.steps {
			if id := t.results[i][k].operation.ID; step.want.what == fresh && id != "" {
				readings = append(readings, reading{id, step.key, st.conflicts(k)})
			}
		}
	}
	found := make(map[string]operation, len(readings))
	var mu sync.Mutex
	return found, each(ctx, s.options.Callers, len(readings), func(ctx context.Context, i int) error {
		r := readings[i]
		op, shown, err := s.readTraced(ctx, r.id, r.key, r.conflicts)
		if err != nil || !shown {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		found[r.id] = op
		return nil
	})
}

// readTraced reads an operation, and whether the API shows it. A conflicting
// request that was refused at once is recorded a moment later: it is given that
// moment.
func (s *stage) readTraced(ctx context.Context, id, key string, conflicts int) (op operation, shown bool, err error) {
	err = eventually(ctx, func() (bool, error) {
		a, err := s.api.do(ctx, call{Method: http.MethodGet, Path: "/v1/operations/" + id, Key: key})
		if shown = err == nil && a.Status == http.StatusOK; !shown {
			return true, err
		}
		if err := json.Unmarshal(a.Body, &op); err != nil {
			return false, fmt.Errorf("decode operation %s: %w", id, err)
		}
		return op.ConflictingRequests >= conflicts, nil
	})
	return op, shown, err
}

// eventually tries until it is done or traceTimeout is over: then what was seen
// last is what there is.
func eventually(ctx context.Context, try func() (done bool, err error)) error {
	deadline := time.Now().Add(traceTimeout)
	for {
		if done, err := try(); done || err != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(tracePause):
		}
	}
}

func (s *stage) topUps(ctx context.Context, j *judge, t *traffic, ups []string) error {
	var mu sync.Mutex
	return each(ctx, s.options.Callers, len(ups), func(ctx context.Context, i int) error {
		op, err := t.operation(ctx, ups[i], s.state.Operator)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		j.equal(rowTopUps, "top-up "+op.ID, outcomeLabel(""), label(op))
		return nil
	})
}
