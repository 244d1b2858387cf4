package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
)

// mandatesRow: what a mandate costs a charge. The limit is a charge of a wallet without holds and mandates.
func mandatesRow() Row {
	return Row{
		Name: "mandates",
		What: "CPU time of a charge under a mandate with every limit, against one of a wallet without holds and mandates; " +
			"each of 1,000 wallets gave a merchant one (8 partitions, one processor)",
		Unit: "µs",
		Goal: ratioAtMost(1.15),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			var f Figures
			without := r.baseSpec()
			without.charges, without.warm = max(without.charges/2, 1), true // two worlds are made
			with := without
			with.mandated = true
			if err := r.byTurns(ctx, with, without, func(d drained) float64 { return d.cpu.Micros() }, &f); err != nil {
				return Figures{}, err
			}
			if min(series(f.Ours).smallest(), series(f.Limit).smallest()) == 0 {
				return Figures{}, errors.New("this system has no /proc to read CPU time from")
			}
			return f, nil
		},
	}
}

// mandatedMerchants is to how many merchants each wallet gives a mandate. To give them takes longer than to use them. With one, a
// batch writes as many mandates as it writes wallets.
const mandatedMerchants = 1

// grant gives merchants mandates of the wallet, which let all charges of a run through.
func (r *run) grant(ctx context.Context, w *world, store *postgres.Store, wallet ledger.WalletID) error {
	for _, merchant := range w.merchants[:mandatedMerchants] {
		o, _, err := store.Apply(ctx, r.minted(ledger.Request{
			Kind: ledger.KindGrant, Wallet: wallet, Merchant: merchant, Currency: currency, IdempotencyKey: "mandate of " + merchant.String(),
			Terms: ledger.Terms{MaxAmount: maxCharge, PerDay: topUp, PerMonth: topUp, Total: topUp, ValidUntil: time.Now().Add(24 * time.Hour)},
		}))
		if err != nil {
			return err
		}
		if o.Reason != "" {
			return fmt.Errorf("a mandate is not given: %s", o.Reason)
		}
	}
	return nil
}
