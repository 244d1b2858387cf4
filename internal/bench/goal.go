package bench

import "fmt"

// Goal says what a row is to reach.
type Goal struct {
	// Text for people: ">= 0.80".
	Text string
	met  func(ours, limit, ratio float64) bool
}

func ratioAtLeast(least float64) Goal {
	return Goal{fmt.Sprintf(">= %.2f", least), func(_, _, ratio float64) bool { return ratio >= least }}
}

func ratioAtMost(most float64) Goal {
	return Goal{fmt.Sprintf("<= %.2f", most), func(_, _, ratio float64) bool { return ratio <= most }}
}

// oursAtMost is a goal that needs no peer.
func oursAtMost(most float64, unit string) Goal {
	return Goal{fmt.Sprintf("<= %g %s", most, unit), func(ours, _, _ float64) bool { return ours <= most }}
}

// oursAtMostOver allows so much more than the limit.
func oursAtMostOver(extra float64, unit string) Goal {
	return Goal{fmt.Sprintf("<= limit + %g %s", extra, unit), func(ours, limit, _ float64) bool { return ours <= limit+extra }}
}
