package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

const (
	// submitCallers is how many callers the goals are meant for.
	submitCallers = 64
	// submitRequests is how many different requests the callers have, in turn; what
	// is to be unique in each is numbered besides.
	submitRequests = 500
	// warmFor is how long callers call before anything is measured.
	warmFor = time.Second

	submitAmount      = 1250
	submitDescription = "Monthly plan"

	// maxIngestMemory is what an ingest may take, in MB.
	maxIngestMemory = 100
)

func submitRow() Row {
	return Row{
		Name: "submit",
		What: fmt.Sprintf("charges submitted a second by %d callers, from POST to 202, against a bare chi handler that only produces the same bytes "+
			"through kafka.Client.Produce, in batches", submitCallers),
		Unit: "requests/s",
		Goal: ratioAtLeast(0.70),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			a, err := r.submit(ctx, submitCallers)
			if err != nil {
				return Figures{}, err
			}
			return a.figures(), nil
		},
	}
}

func memoryIngestRow() Row {
	return Row{
		Name: "memory_ingest",
		What: "largest resident size of the ingest in the rounds of submit",
		Unit: "MB",
		Goal: oursAtMost(maxIngestMemory, "MB"),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			a, err := r.submit(ctx, submitCallers)
			if err != nil {
				return Figures{}, err
			}
			if a.peak == 0 {
				return Figures{}, errors.New("this system has no /proc to read it from")
			}
			return against(series{a.peak}, maxIngestMemory), nil
		},
	}
}

// answered are rounds of the same requests, answered by ingest and by the bare
// handlers.
type answered struct {
	ours, limit       []called
	oursCPU, limitCPU CPU
	peak              float64 // of ingest, in MB; 0: the system does not say
}

// figures are requests a second.
func (a *answered) figures() Figures {
	f := Figures{OursCPU: a.oursCPU, LimitCPU: a.limitCPU}
	var ours, limit series // p99 in milliseconds
	for i := range a.ours {
		f.Ours, f.Limit = append(f.Ours, a.ours[i].rate()), append(f.Limit, a.limit[i].rate())
		ours, limit = append(ours, milliseconds(a.ours[i].P99)), append(limit, milliseconds(a.limit[i].P99))
	}
	f.Notes = []string{fmt.Sprintf("p99: ours %s ms, limit %s ms", figure(ours.median()), figure(limit.median()))}
	return f
}

// submit measures the rounds for so many callers, or returns what was measured of
// them before.
func (r *run) submit(ctx context.Context, callers int) (*answered, error) {
	if a := r.submitted[callers]; a != nil {
		return a, nil
	}
	a, err := onCopy(ctx, r, scale{partitions: 8, wallets: 1_000}, func(w *world, d *database) (*answered, error) {
		requests, _, err := r.submissions(ctx, w, d)
		if err != nil {
			return nil, err
		}
		return r.answer(ctx, w, d, calls{Callers: callers, For: r.callFor(), Requests: requests, Status: http.StatusAccepted})
	})
	if err != nil {
		return nil, err
	}
	r.submitted[callers] = a
	return a, nil
}

// callFor is how long callers call in a round.
func (r *run) callFor() time.Duration { return time.Duration(r.choose(0, 4, 8)) * time.Second }

// submissions are charges of the world's wallets, by its merchants, each with a
// key, and for each the poll of whoever sent it.
func (r *run) submissions(ctx context.Context, w *world, d *database) (submissions, polls []string, err error) {
	keys, err := r.merchantKeys(ctx, w, d)
	if err != nil {
		return nil, nil, err
	}
	body := fmt.Sprintf(`{"amount":%d,"currency":"%s","invoice":"INV-%s","description":"%s"}`, submitAmount, currency, numberMark, submitDescription)
	length := len(body) - len(numberMark) + numberDigits
	for i := range submitRequests {
		list := w.wallets[i%w.partitions]
		wallet := list[i/w.partitions%len(list)]
		key := keys[w.merchants[i%len(w.merchants)]]
		submissions = append(submissions, fmt.Sprintf("POST /v1/wallets/%s/charges HTTP/1.1\r\nHost: monedero\r\nAuthorization: Bearer %s\r\n"+
			"Content-Type: application/json\r\nIdempotency-Key: order-%s\r\nContent-Length: %d\r\n\r\n%s",
			wallet, key, numberMark, length, body))
		polls = append(polls, getOperation(idMark, key, ""))
	}
	return submissions, polls, nil
}

// merchantKeys are API keys of the world's merchants.
func (r *run) merchantKeys(ctx context.Context, w *world, d *database) (map[ledger.MerchantID]string, error) {
	parties := make([]ledger.Party, len(w.merchants))
	for i, merchant := range w.merchants {
		parties[i] = ledger.Party{Role: ledger.RoleMerchant, Owner: merchant}
	}
	issued, err := r.issueKeys(ctx, d, parties...)
	if err != nil {
		return nil, err
	}
	keys := map[ledger.MerchantID]string{}
	for i, merchant := range w.merchants {
		keys[merchant] = issued[i]
	}
	return keys, nil
}

// operatorKey is an API key of the operator.
func (r *run) operatorKey(ctx context.Context, d *database) (string, error) {
	keys, err := r.issueKeys(ctx, d, ledger.Party{Role: ledger.RoleOperator})
	if err != nil {
		return "", err
	}
	return keys[0], nil
}

func (r *run) issueKeys(ctx context.Context, d *database, parties ...ledger.Party) (keys []string, err error) {
	store, err := postgres.Connect(ctx, d.url, postgres.Options{Application: "bench"})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	for _, party := range parties {
		_, text, err := access.IssueKey(ctx, store, r.minter, ledger.Key{Party: party, Name: "bench", CreatedAt: time.Now()}, ledger.Person("bench", ""))
		if err != nil {
			return nil, err
		}
		keys = append(keys, text)
	}
	return keys, nil
}

// answer has callers call ingest and the bare handlers, by turns.
func (r *run) answer(ctx context.Context, w *world, d *database, c calls) (_ *answered, err error) {
	callers, err := r.start(ctx, partCallers, partEnviron()...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, callers.stop()) }()
	ours, oursAt, err := r.startIngest(ctx, w, d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	limit, limitAt, err := r.startBare(ctx, partBare, w.partitions, w.topic, d)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, limit.stop()) }()

	a := &answered{}
	call := func(name string, p *part, at string, lasts time.Duration) (called, CPU, error) {
		c := c
		c.Address, c.For = at, lasts
		processes := append(r.metered(name, p), metered{name: "callers", pids: []int{callers.pid()}})
		before := read(processes)
		done, err := callers.call(ctx, c)
		if err := errors.Join(err, p.check()); err != nil {
			return called{}, CPU{}, fmt.Errorf("call %s: %w", name, err)
		}
		return done, between(processes, before, read(processes), int64(done.Requests)), nil
	}
	if _, _, err := call("ingest", ours, oursAt, warmFor); err != nil {
		return nil, err
	}
	if _, _, err := call("bare", limit, limitAt, warmFor); err != nil {
		return nil, err
	}
	for range r.rounds() {
		done, cpu, err := call("ingest", ours, oursAt, c.For)
		if err != nil {
			return nil, err
		}
		a.ours, a.oursCPU = append(a.ours, done), a.oursCPU.plus(cpu)
		if done, cpu, err = call("bare", limit, limitAt, c.For); err != nil {
			return nil, err
		}
		a.limit, a.limitCPU = append(a.limit, done), a.limitCPU.plus(cpu)
		last := len(a.ours) - 1
		r.options.Log.Info("round measured", "callers", c.Callers, "ours_per_second", figure(a.ours[last].rate()),
			"limit_per_second", figure(a.limit[last].rate()))
	}
	if peak, ok := peakMemory(ours.pid()); ok {
		a.peak = float64(peak) / megabyte
	}
	return a, nil
}

// startIngest starts an ingest and returns where it is.
func (r *run) startIngest(ctx context.Context, w *world, d *database, more ...string) (*part, string, error) {
	p, err := r.start(ctx, partIngest, r.serviceEnviron(w, d.url, more...)...)
	if err != nil {
		return nil, "", err
	}
	var at address
	err = p.hear(ctx, &at)
	return p, at.Address, err
}
