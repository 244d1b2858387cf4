package demo

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/ledger"
)

// patience is how long a caller waits for an outcome: as long as the API lets
// it wait.
const patience = "wait=30"

// result is what HTTP answered to a step.
type result struct {
	status    int
	code      string // of a problem
	operation client.Operation
}

// traffic sends a day's stories and keeps what was answered.
type traffic struct {
	api     *client.Client
	plan    plan
	callers int

	results [][]result // by story and step
	answers latencies  // from POST to 202
	visible latencies  // from POST to the outcome, where the step waited
}

// fund pays in what the plan wants. It waits for no outcome: a charge that comes
// later to the same wallet is decided later.
func (t *traffic) fund(ctx context.Context, operator string, done *tally) ([]string, error) {
	ids := make([]string, len(t.plan.topUps))
	err := client.Each(ctx, t.callers, len(t.plan.topUps), func(ctx context.Context, i int) error {
		up := t.plan.topUps[i]
		a, err := t.api.Do(ctx, client.Request{
			Kind: ledger.KindTopUp, Wallet: up.wallet.id, Amount: up.amount, Currency: up.wallet.currency, Reference: up.reference,
		}.Call(operator, up.idempotencyKey))
		if err != nil {
			return err
		}
		if !client.Taken(a.Status) {
			return fmt.Errorf("top up wallet %s: %w", up.wallet.id, a.Err())
		}
		r, err := newResult(a)
		ids[i] = r.operation.ID
		done.add(1)
		return err
	})
	return ids, err
}

// submit sends all stories, by many callers at once, each taking the next.
func (t *traffic) submit(ctx context.Context, done *tally) error {
	t.results = make([][]result, len(t.plan.stories))
	return client.Each(ctx, t.callers, len(t.plan.stories), func(ctx context.Context, i int) error {
		results, err := t.tell(ctx, t.plan.stories[i])
		t.results[i] = results
		done.add(len(results))
		return err
	})
}

func (t *traffic) tell(ctx context.Context, st story) ([]result, error) {
	results := make([]result, len(st.steps))
	send := func(ctx context.Context, i int) (err error) {
		s := st.steps[i]
		if client.Refers(s.body.Kind) {
			s.body = s.body.Of(results[s.of].operation.ID)
		}
		results[i], err = t.send(ctx, s)
		return err
	}
	alone := len(st.steps) - st.together
	for i := range alone {
		if err := send(ctx, i); err != nil {
			return nil, err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := alone; i < len(st.steps); i++ {
		g.Go(func() error { return send(ctx, i) })
	}
	return results, g.Wait()
}

func (t *traffic) send(ctx context.Context, s step) (result, error) {
	request := s.body.Call(s.key, s.idempotencyKey)
	if s.wait {
		request.Prefer = patience
	}
	start := time.Now()
	a, err := t.api.Do(ctx, request)
	if err != nil {
		return result{}, err
	}
	took := time.Since(start)
	r, err := newResult(a)
	switch {
	case err != nil:
		return result{}, err
	case r.operation.Final():
		if s.wait {
			t.visible.add(took)
		}
	case a.Status == http.StatusAccepted:
		t.answers.add(took)
	}
	return r, nil
}

// newResult takes the answer apart.
func newResult(a client.Answer) (r result, err error) {
	r.status = a.Status
	if a.Status >= http.StatusBadRequest {
		r.code = a.Problem().Code
		return r, nil
	}
	r.operation, err = a.Operation()
	return r, err
}
