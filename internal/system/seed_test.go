package system

import (
	"flag"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

var seedFlag = flag.Uint64("seed", 0, "what the faults are drawn from; 0: SEED in the environment, or else a new one")

// newRand is where a test draws its faults from. The seed is printed; to give it
// again makes the same draws, not the same scheduling.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if text := os.Getenv("SEED"); seed == 0 && text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SEED: %v", err)
		}
	}
	if seed == 0 {
		seed = rand.Uint64N(1_000_000)
	}
	t.Logf("seed %d (repeat with SEED=%d)", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}
