package bench

import (
	"context"
	"encoding/hex"
	mathrand "math/rand/v2"

	"github.com/monedero/monedero/internal/ledger"
)

// kindRows: what the other kinds that merchants ask for cost beside a charge.
func kindRows() []Row {
	return []Row{
		kindRow("refunds", ledger.KindRefund, 0.80, "refunds settled a second, each of half of another charge that is stored, in a random order, against charges, "+
			"both behind as many charges"),
		kindRow("holds", ledger.KindHold, twoRows, "holds settled a second against charges, both behind as many charges"),
		kindRow("captures", ledger.KindCapture, twoRows, "captures settled a second, each of the whole of another hold that is stored, in a random order, against charges, "+
			"behind as many holds, or charges"),
	}
}

// twoRows is the goal of what writes two rows where a charge writes one: a hold comes and goes in a table of those that are open.
const twoRows = 0.60

func kindRow(name string, kind ledger.Kind, goal float64, what string) Row {
	return Row{
		Name: name,
		What: what + " (8 partitions, 1,000 wallets, one processor)",
		Unit: name + "/s",
		Goal: ratioAtLeast(goal),
		measure: func(ctx context.Context, r *run) (f Figures, err error) {
			err = r.byTurns(ctx, r.behind(kind), r.behind(ledger.KindCharge), rateOf, &f)
			return f, err
		},
	}
}

// behind is the spec of requests of a kind behind as many of what they refer to, or else charges.
func (r *run) behind(kind ledger.Kind) settleSpec {
	s := r.baseSpec()
	s.charges = max(s.charges/r.choose(0, 4, 2), 1) // what is before them takes as long
	s.scale.behind = kind
	return s
}

func rateOf(d drained) float64 { return d.rate }

// byTurns settles ours and the limit by turns. The figure is what is measured of a round.
func (r *run) byTurns(ctx context.Context, ours, limit settleSpec, figure func(drained) float64, f *Figures) error {
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
		f.Ours, f.Limit = append(f.Ours, figure(a)), append(f.Limit, figure(b))
		f.OursCPU, f.LimitCPU = f.OursCPU.plus(a.cpu), f.LimitCPU.plus(b.cpu)
	}
	return nil
}

// fillBehind writes as many requests as the world is to have of its kind: of what that refers to, or else charges. It lets a
// processor settle them, and returns what draws those of the kind.
func (r *run) fillBehind(ctx context.Context, w *world) (func(partition int) func() ledger.Request, error) {
	draws := make([]func() ledger.Request, w.partitions) // one for all: no invoice comes twice
	for partition := range draws {
		draws[partition] = w.draw(partition)
	}
	charges := func(partition int) func() ledger.Request { return draws[partition] }
	holds := func(partition int) func() ledger.Request { return heldBy(draws[partition]) }
	before := charges
	if w.behind == ledger.KindCapture {
		before = holds
	}
	w.stored = make([][]ledger.Request, w.partitions)
	if err := r.fill(ctx, w, before); err != nil {
		return nil, err
	}
	stored := w.stored
	w.stored = nil
	w.before += w.tally.charges
	w.tally = tally{}
	if err := r.settleAll(ctx, w, w.database, w.before); err != nil {
		return nil, err
	}
	switch w.behind {
	case ledger.KindRefund:
		return func(partition int) func() ledger.Request { return refunds(partition, stored[partition]) }, nil
	case ledger.KindCapture:
		return func(partition int) func() ledger.Request { return captures(partition, stored[partition]) }, nil
	case ledger.KindHold:
		return holds, nil
	default:
		return charges, nil
	}
}

// heldBy holds what the charges would take.
func heldBy(charges func() ledger.Request) func() ledger.Request {
	return func() ledger.Request {
		q := charges()
		q.Kind, q.ExpiresIn = ledger.KindHold, ledger.DefaultExpiresIn
		return q
	}
}

// refunds gives back half of each of the charges once, in a random order.
func refunds(partition int, of []ledger.Request) func() ledger.Request {
	return once(partition, of, func(c ledger.Request) ledger.Request {
		return ledger.Request{Kind: ledger.KindRefund, Amount: (c.Amount + 1) / 2, Currency: currency}
	})
}

// captures takes the whole of each of the holds, in a random order.
func captures(partition int, of []ledger.Request) func() ledger.Request {
	return once(partition, of, func(h ledger.Request) ledger.Request {
		return ledger.Request{Kind: ledger.KindCapture, Amount: h.Amount, Currency: currency}
	})
}

// once makes a request of each of those, in a random order.
func once(partition int, of []ledger.Request, request func(ledger.Request) ledger.Request) func() ledger.Request {
	random := mathrand.New(mathrand.NewPCG(uint64(partition), 1))
	random.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	n := 0
	return func() ledger.Request {
		c := of[n]
		n++
		q := request(c)
		q.Wallet, q.Merchant, q.Refers, q.IdempotencyKey = c.Wallet, c.Merchant, c.ID, "part of "+hex.EncodeToString(c.ID[:])
		return q
	}
}
