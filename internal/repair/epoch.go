package repair

import "time"

// aheadOfClaims is more epochs than the claims of one partition ever run ahead of the clock.
const aheadOfClaims = 10_000

// NextEpoch is one that was never used: seconds since 1970, as a claim takes it, or one
// more than the last.
func NextEpoch(last int64) int64 { return max(last+1, time.Now().Unix()) }

// FirstEpoch is that of a progress that is made where one was lost. Nobody can hold a claim
// of it, or remember one: claims take an epoch a second, and run ahead of the clock by as
// many as there are in one second.
func FirstEpoch() int64 { return NextEpoch(0) + aheadOfClaims }
