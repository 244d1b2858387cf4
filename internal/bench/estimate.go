package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	// estimatePause is how long those who watch wait from one look at every operation to the next.
	estimatePause = 100 * time.Millisecond
	// estimateLeast is how much time an operation has still to take for what is said of it to count: answers
	// are in whole seconds, rounded up.
	estimateLeast = 2 * time.Second
	// estimateBatch makes settling slow enough that there is something to estimate, on any machine.
	// Where a round comes to fewer than leastEstimates, it is measured again with half of it.
	estimateBatch  = 10
	leastEstimates = 100
	// maxEstimateError is how far off half of the estimates may be, in percent of the time that it really took.
	maxEstimateError = 25
)

// estimateRow: how well a pending operation knows how long it takes.
func estimateRow() Row {
	return Row{
		Name: "estimate",
		What: fmt.Sprintf("median error of decided_in_seconds, in percent of the time from the answer until the outcome is seen, for charges spread over a full "+
			"topic while it is settled (8 partitions, 1,000 wallets, one processor, %d charges in a transaction or fewer, so that it lasts); "+
			"answers within the last %.0f seconds do not count", estimateBatch, estimateLeast.Seconds()),
		Unit:    "%",
		Goal:    oursAtMost(maxEstimateError, "%"),
		measure: func(ctx context.Context, r *run) (Figures, error) { return r.estimates(ctx) },
	}
}

// estimates measures the rounds.
func (r *run) estimates(ctx context.Context) (Figures, error) {
	s := r.baseSpec()
	s.batch = estimateBatch
	var medians series
	var notes []string
	for len(medians) < r.choose(r.options.Rounds, 1, 3) {
		seen, err := onCopy(ctx, r, s.scale, func(w *world, d *database) (estimated, error) { return r.estimate(ctx, w, s, d) })
		switch {
		case err != nil:
			return Figures{}, err
		case len(seen.off) >= leastEstimates:
		case s.batch > 1: // this machine is fast
			s.batch /= 2
			continue
		default:
			return Figures{}, fmt.Errorf("%d estimates: there are too few charges", len(seen.off))
		}
		medians = append(medians, seen.off.median())
		notes = append(notes, fmt.Sprintf("%s charges/s, %d in a transaction: %d of %d answers had an estimate; a tenth is off by more than %s %%; the median is %s %% of the time too much",
			figure(seen.rate), s.batch, len(seen.off), seen.answers, figure(seen.off.quantile(0.9)), figure(seen.over.median())))
	}
	f := against(medians, maxEstimateError)
	f.Notes = notes
	return f, nil
}

// mark is a charge whose place in the topic is known.
type mark struct {
	id     ledger.OperationID
	offset int64
}

// estimated is what was said while a topic was settled.
type estimated struct {
	off     series // of each estimate: how far it is off, in percent of the real time
	over    series // likewise, and negative where it is too little
	answers int    // of pending operations that had estimateLeast left, or more
	rate    float64
}

// estimate settles the topic, and has an ingest asked of its marks all the while.
func (r *run) estimate(ctx context.Context, w *world, s settleSpec, d *database) (found estimated, err error) {
	key, err := r.operatorKey(ctx, d)
	if err != nil {
		return found, err
	}
	ingest, at, err := r.startIngest(ctx, w, d)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, ingest.stop()) }()
	var watches []*watched
	for _, marks := range w.marks {
		for _, m := range marks {
			watches = append(watches, &watched{url: fmt.Sprintf("http://%s/v1/operations/%s?offset=%d", at, m.id, m.offset)})
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		settled, err := r.drain(ctx, w, s, d, false)
		found.rate = settled.rate
		return err
	})
	group.Go(func() error { return watchAll(ctx, key, watches) })
	if err := group.Wait(); err != nil {
		return found, err
	}
	for _, x := range watches {
		found.add(x)
	}
	return found, nil
}

// watched is an operation that is asked for until it is decided.
type watched struct {
	url     string
	said    []said
	decided time.Time // when its outcome was seen; zero: it is pending
}

// said is one answer while an operation was pending.
type said struct {
	at time.Time
	in *int64 // seconds; nil: not known
}

// watchAll asks for all that are pending in turn, over and over, until none is.
func watchAll(ctx context.Context, key string, watches []*watched) error {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for pending := true; pending; {
		pending = false
		for _, x := range watches {
			if !x.decided.IsZero() {
				continue
			}
			if err := x.ask(ctx, client, key); err != nil {
				return err
			}
			pending = pending || x.decided.IsZero()
		}
		if err := pause(ctx, estimatePause); err != nil {
			return err
		}
	}
	return nil
}

func (x *watched) ask(ctx context.Context, client *http.Client, key string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, x.url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+key)
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusServiceUnavailable: // it is crowded for a moment
		return nil
	default:
		return fmt.Errorf("ask for an operation: %s", answer.Status)
	}
	var body struct {
		Done      bool   `json:"done"`
		DecidedIn *int64 `json:"decided_in_seconds"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return fmt.Errorf("ask for an operation: %w", err)
	}
	if now := time.Now(); body.Done {
		x.decided = now
	} else {
		x.said = append(x.said, said{now, body.DecidedIn})
	}
	return nil
}

// add compares what was said of an operation with how long it took.
func (e *estimated) add(x *watched) {
	for _, s := range x.said {
		took := x.decided.Sub(s.at)
		if took < estimateLeast {
			continue
		}
		e.answers++
		if s.in == nil {
			continue
		}
		over := 100 * (float64(*s.in)/took.Seconds() - 1)
		e.off, e.over = append(e.off, math.Abs(over)), append(e.over, over)
	}
}
