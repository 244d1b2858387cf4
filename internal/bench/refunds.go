package bench

import (
	"context"
	"encoding/hex"
	"fmt"
	mathrand "math/rand/v2"

	"github.com/monedero/monedero/internal/ledger"
)

// refundsRow: what it costs that a request refers to an operation that is stored.
func refundsRow() Row {
	return Row{
		Name: "refunds",
		What: "refunds settled a second, each of half of another charge that is stored, in a random order, against charges, both behind as many " +
			"charges (8 partitions, 1,000 wallets, one processor)",
		Unit: "refunds/s",
		Goal: ratioAtLeast(0.80),
		measure: func(ctx context.Context, r *run) (f Figures, err error) {
			err = r.byTurns(ctx, r.behind(ledger.KindRefund), r.behind(ledger.KindCharge), &f)
			return f, err
		},
	}
}

// behind is the spec of requests of a kind behind as many charges.
func (r *run) behind(kind ledger.Kind) settleSpec {
	s := r.baseSpec()
	s.charges = max(s.charges/2, 1) // the charges before them take as long
	s.scale.behind = kind
	return s
}

// byTurns settles ours and the limit by turns.
func (r *run) byTurns(ctx context.Context, ours, limit settleSpec, f *Figures) error {
	for _, s := range []settleSpec{ours, limit} { // before either is measured
		if _, err := r.world(ctx, s.scale); err != nil {
			return err
		}
	}
	for round := range r.rounds() {
		last := round == r.rounds()-1
		a, err := r.drainCopy(ctx, ours, last)
		if err != nil {
			return err
		}
		b, err := r.drainCopy(ctx, limit, last)
		if err != nil {
			return err
		}
		f.Ours, f.Limit = append(f.Ours, a.rate), append(f.Limit, b.rate)
		f.OursCPU, f.LimitCPU = f.OursCPU.plus(a.cpu), f.LimitCPU.plus(b.cpu)
	}
	return nil
}

// fillBehind writes as many charges as the world is to have requests, lets a processor
// settle them, and returns what draws the requests.
func (r *run) fillBehind(ctx context.Context, w *world) (func(partition int) func() ledger.Request, error) {
	draws := make([]func() ledger.Request, w.partitions) // one for all charges: no invoice comes twice
	for partition := range draws {
		draws[partition] = w.draw(partition)
	}
	draw := func(partition int) func() ledger.Request { return draws[partition] }
	w.stored = make([][]ledger.Request, w.partitions)
	if err := r.fill(ctx, w, draw); err != nil {
		return nil, err
	}
	stored := w.stored
	w.stored = nil
	w.before += w.tally.charges
	w.tally = tally{}
	if err := r.settleAll(ctx, w, w.database, w.before); err != nil {
		return nil, err
	}
	if w.behind != ledger.KindRefund {
		return draw, nil
	}
	return func(partition int) func() ledger.Request { return refunds(partition, stored[partition]) }, nil
}

// refunds gives back half of each of the charges once, in a random order.
func refunds(partition int, of []ledger.Request) func() ledger.Request {
	random := mathrand.New(mathrand.NewPCG(uint64(partition), 1))
	random.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	n := 0
	return func() ledger.Request {
		c := of[n]
		n++
		return ledger.Request{
			Kind: ledger.KindRefund, Wallet: c.Wallet, Merchant: c.Merchant, Refers: c.ID, Amount: (c.Amount + 1) / 2, Currency: currency,
			IdempotencyKey: fmt.Sprintf("return %s", hex.EncodeToString(c.ID[:])),
		}
	}
}
