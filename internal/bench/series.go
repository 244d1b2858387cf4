package bench

import "slices"

// series is one figure, round by round.
type series []float64

// median is the middle one, or the mean of the middle two; 0 of none.
func (s series) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// quantile is the one that such a part is below; 0 of none.
func (s series) quantile(part float64) float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(s))[min(int(part*float64(len(s))), len(s)-1)]
}

// largest is 0 of none.
func (s series) largest() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Max(s)
}

// smallest is 0 of none.
func (s series) smallest() float64 {
	if len(s) == 0 {
		return 0
	}
	return slices.Min(s)
}

// over divides round by round; a round whose divisor is 0 is left out.
func (s series) over(limit series) series {
	var ratios series
	for i := range min(len(s), len(limit)) {
		if limit[i] != 0 {
			ratios = append(ratios, s[i]/limit[i])
		}
	}
	return ratios
}
