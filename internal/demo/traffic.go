package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/ledger"
)

// patience is how long a caller waits for an outcome: as long as the API lets
// it wait.
const patience = "wait=30"

// result is what HTTP answered to a step.
type result struct {
	status    int
	code      string // of a problem
	operation operation
}

// receipt is the last place in a partition that a caller was told of.
type receipt struct {
	operation, key string
	offset         int64
}

// traffic sends a day's stories and keeps what was answered.
type traffic struct {
	api     *client
	plan    plan
	callers int

	results [][]result // by story and step
	answers latencies  // from POST to 202
	visible latencies  // from POST to the outcome, where the step waited

	mu   sync.Mutex
	last map[int]receipt // by partition
}

// fund pays in what the plan wants. It waits for no outcome: a charge that comes
// later to the same wallet is decided later.
func (t *traffic) fund(ctx context.Context, operator string, done *tally) ([]string, error) {
	ids := make([]string, len(t.plan.topUps))
	err := each(ctx, t.callers, len(t.plan.topUps), func(ctx context.Context, i int) error {
		up := t.plan.topUps[i]
		a, err := t.api.do(ctx, call{
			Method: http.MethodPost, Path: "/v1/wallets/" + up.wallet.id + "/top-ups", Key: operator,
			IdempotencyKey: up.idempotencyKey, Body: charge{Amount: up.amount, Currency: up.wallet.currency},
		})
		if err != nil {
			return err
		}
		if a.Status != http.StatusAccepted {
			return fmt.Errorf("top up wallet %s: %w", up.wallet.id, a.err())
		}
		r, err := t.read(a, operator)
		ids[i] = r.operation.ID
		done.add(1)
		return err
	})
	return ids, err
}

// submit sends all stories, by many callers at once, each taking the next.
func (t *traffic) submit(ctx context.Context, done *tally) error {
	t.results = make([][]result, len(t.plan.stories))
	return each(ctx, t.callers, len(t.plan.stories), func(ctx context.Context, i int) error {
		results, err := t.tell(ctx, t.plan.stories[i])
		t.results[i] = results
		done.add(len(results))
		return err
	})
}

func (t *traffic) tell(ctx context.Context, st story) ([]result, error) {
	results := make([]result, len(st.steps))
	g, ctx := errgroup.WithContext(ctx)
	if !st.atOnce {
		g.SetLimit(1)
	}
	for i, s := range st.steps {
		g.Go(func() (err error) {
			results[i], err = t.send(ctx, s)
			return err
		})
	}
	return results, g.Wait()
}

func (t *traffic) send(ctx context.Context, s step) (result, error) {
	request := call{
		Method: http.MethodPost, Path: "/v1/wallets/" + s.wallet + "/charges", Key: s.key,
		IdempotencyKey: s.idempotencyKey, Body: s.body,
	}
	if s.wait {
		request.Prefer = patience
	}
	start := time.Now()
	a, err := t.api.do(ctx, request)
	if err != nil {
		return result{}, err
	}
	took := time.Since(start)
	r, err := t.read(a, s.key)
	switch {
	case err != nil:
		return result{}, err
	case r.operation.final():
		if s.wait {
			t.visible.add(took)
		}
	case a.Status == http.StatusAccepted:
		t.answers.add(took)
	}
	return r, nil
}

// read takes the answer apart and notes how far in its partition it lies.
func (t *traffic) read(a answer, key string) (result, error) {
	r := result{status: a.Status}
	if a.Status >= http.StatusBadRequest {
		r.code = a.problem().Code
		return r, nil
	}
	var at struct {
		operation
		Partition int   `json:"partition"`
		Offset    int64 `json:"offset"`
	}
	if err := json.Unmarshal(a.Body, &at); err != nil {
		return result{}, fmt.Errorf("decode an operation: %w", err)
	}
	r.operation = at.operation
	if a.Status != http.StatusAccepted {
		return r, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if last, known := t.last[at.Partition]; !known || at.Offset > last.offset {
		t.last[at.Partition] = receipt{operation: r.operation.ID, key: key, offset: at.Offset}
	}
	return r, nil
}

// drain waits until every operation that was answered 202 is decided. It waits
// for the last one of each partition: partitions are settled in order.
func (t *traffic) drain(ctx context.Context) error {
	for _, last := range t.last {
		for {
			op, err := t.operation(ctx, last.operation, last.key)
			if err != nil {
				return err
			}
			if op.final() {
				break
			}
		}
	}
	return nil
}

// operation reads an operation, and waits for its outcome as long as the API
// lets it wait.
func (t *traffic) operation(ctx context.Context, id, key string) (operation, error) {
	var op operation
	err := t.api.expect(ctx, call{
		Method: http.MethodGet, Path: "/v1/operations/" + url.PathEscape(id), Key: key, Prefer: patience,
	}, &op, http.StatusOK)
	return op, err
}

func (o operation) final() bool {
	return o.Status == string(ledger.StatusAccepted) || o.Status == string(ledger.StatusFailed)
}
