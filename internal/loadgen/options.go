package loadgen

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// The limits of the options.
const (
	maxRate     = 100_000
	maxFor      = 24 * time.Hour
	maxArrivals = 10_000_000 // each is remembered until the end
	maxWallets  = 100_000
	maxSkew     = 10
	maxInFlight = 60_000 // each is a connection
)

// Options say what load it is to be.
type Options struct {
	API      string // URL of an ingest, or of what stands in front of several
	Operator string // API key

	Rate int           // submissions a second
	For  time.Duration // how long they arrive

	Wallets int
	// Skew says how uneven the traffic is (Zipf): the wallet of rank k, counted
	// from 1, gets a share proportional to 1/k^Skew. 0: all get the same.
	Skew float64
	// Duplicates is the share of submissions that are an earlier one once more,
	// under the same key: one of the last duplicateWindow that arrived.
	Duplicates float64
	// Refunds is the share of first submissions that give back one of the last
	// refundWindow charges: a part, all that is left, or too much. One whose charge was
	// not taken is left out. Withdrawals is the share in which the operator takes out as
	// much as a charge takes.
	Refunds, Withdrawals float64
	// Holds is the share of first submissions that hold as much as a charge takes, or that capture
	// or release one of the last holdWindow holds: a part, all that is left, or too much. One whose hold was not
	// taken is left out. No hold expires in the time of a run.
	Holds float64
	// Poor is the share of wallets that have less available than one charge takes: every second
	// of them has little money, and the others have it held. They are
	// spread evenly over the ranks, and the wallet of rank 1 is not one of them as
	// long as any other is not.
	Poor float64
	// Mandated is the share of wallets that are charged under mandates, spread evenly over the ranks too. What one merchant
	// may take of them runs out halfway, and on some of them another one has no mandate: on no more than Monedero
	// takes from a merchant at once. Grants is the share of first submissions, where there are such wallets, that revoke the mandate of
	// a third merchant or grant it again, up to so much a day, a month or in all, or for one charge.
	Mandated, Grants float64
	// Follow is the share of first submissions that wait for their outcome (Prefer:
	// wait). They make up the latencies of outcomes, all other submissions those of
	// acceptance.
	Follow float64
	// InFlight bounds the requests in flight. An arrival beyond it is not sent, and
	// the run has failed.
	InFlight int
	Seed     uint64 // the same seed makes the same arrivals

	Progress io.Writer // is told how far it is; nil: nobody is
}

// Check lists what is wrong with the options; nil: nothing.
func (o Options) Check() error {
	var faults []error
	within := func(name string, value, least, most int) {
		if value < least || value > most {
			faults = append(faults, fmt.Errorf("%s must be from %d to %d", name, least, most))
		}
	}
	share := func(name string, value, most float64) {
		if math.IsNaN(value) || value < 0 || value > most {
			faults = append(faults, fmt.Errorf("%s must be from 0 to %g", name, most))
		}
	}
	within("rate", o.Rate, 1, maxRate)
	if o.For <= 0 || o.For > maxFor {
		faults = append(faults, fmt.Errorf("for must be above 0 and at most %s", maxFor))
	}
	within("wallets", o.Wallets, 1, maxWallets)
	share("skew", o.Skew, maxSkew)
	share("duplicates", o.Duplicates, maxDuplicates)
	share("refunds", o.Refunds, maxNoCharge)
	share("withdrawals", o.Withdrawals, maxNoCharge)
	share("holds", o.Holds, maxNoCharge)
	share("poor", o.Poor, 1)
	share("mandated", o.Mandated, 1)
	share("grants", o.Grants, maxGrants)
	share("follow", o.Follow, 1)
	within("in-flight", o.InFlight, 1, maxInFlight)
	if len(faults) == 0 {
		if n := o.arrivals(); n < 1 || n > maxArrivals {
			faults = append(faults, fmt.Errorf("rate and for make %d submissions: they must make 1 to %d", n, maxArrivals))
		}
	}
	return errors.Join(faults...)
}

const (
	maxDuplicates = 0.9 // leaves something to repeat
	maxNoCharge   = 0.3 // of each: leaves something to refund
	maxGrants     = 0.05
)

// arrivals is how many submissions the options make.
func (o Options) arrivals() int { return int(int64(o.Rate) * int64(o.For) / int64(time.Second)) }
