package ingest

import (
	"testing"
	"time"
)

func TestParsePrefer(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"":                             0,
		"wait=5":                       5 * time.Second,
		"WAIT=5":                       5 * time.Second,
		"wait = 5":                     5 * time.Second,
		`wait="5"`:                     5 * time.Second,
		"respond-async, wait=7":        7 * time.Second,
		"wait=7; foo=bar, return=full": 7 * time.Second,
		"wait=30":                      30 * time.Second,
		"wait=31":                      30 * time.Second,
		"wait=65536":                   30 * time.Second,
		"wait=99999999999999999999999": 30 * time.Second,
		`foo="a, wait=3", wait=5`:      5 * time.Second,
		`foo="\", wait=3", wait=5`:     5 * time.Second,
		"wait=5, wait=7":               5 * time.Second,
		"foo; wait=5":                  0,
		`wait="5`:                      0,
		"wait=-1":                      0,
		"wait=1.5":                     0,
		"wait=soon":                    0,
		"wait":                         0,
		"wait=0":                       0,
		"waiting=5":                    0,
	} {
		if got := parsePrefer(header); got != want {
			t.Errorf("Prefer: %s is %v, want %v", header, got, want)
		}
	}
}
