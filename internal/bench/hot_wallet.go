package bench

import "context"

// hotWalletRow: what it costs that all charges are of one wallet.
func hotWalletRow() Row {
	return Row{
		Name: "hot_wallet",
		What: "charges settled a second where all are of one wallet, against the same spread over 1,000 wallets, both on one partition",
		Unit: "charges/s",
		Goal: ratioAtLeast(0.90),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			var f Figures
			one, many := r.baseSpec(), r.baseSpec()
			one.wallets = 1
			for _, s := range []*settleSpec{&one, &many} {
				s.partitions = 1
				s.charges = max(s.charges/2, 1) // one partition takes longer
			}
			err := r.byTurns(ctx, one, many, rateOf, &f)
			return f, err
		},
	}
}
