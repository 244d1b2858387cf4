package processor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/processor"
)

func TestMemoryChecksTheProgress(t *testing.T) {
	t.Parallel()
	known := processor.Memory{History: 1, Log: 1, Epoch: 20, MovedEpoch: 10, NextOffset: 5}
	for name, c := range map[string]struct {
		now  processor.Memory
		want error
	}{
		"as it was":              {known, nil},
		"further, in this claim": {processor.Memory{Epoch: 20, MovedEpoch: 20, NextOffset: 7}, nil},
		"further, in this claim, and set back before": {processor.Memory{Epoch: 20, MovedEpoch: 20, NextOffset: 1}, nil},
		"claimed by another one":                      {processor.Memory{Epoch: 21, MovedEpoch: 10, NextOffset: 5}, processor.ErrFenced},
		"set back by a person":                        {processor.Memory{Epoch: 21, MovedEpoch: 21, NextOffset: 0}, processor.ErrFenced},
		"restored to before the claim":                {processor.Memory{Epoch: 19, MovedEpoch: 10, NextOffset: 5}, processor.ErrRestored},
		"restored to a lower offset":                  {processor.Memory{Epoch: 20, MovedEpoch: 10, NextOffset: 4}, processor.ErrRestored},
		"restored to before a move that went back":    {processor.Memory{Epoch: 20, MovedEpoch: 9, NextOffset: 50}, processor.ErrRestored},
		"restored, and then claimed by another one":   {processor.Memory{Epoch: 30, MovedEpoch: 10, NextOffset: 4}, processor.ErrRestored},
	} {
		if err := known.Check(c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	err := known.Check(processor.Memory{Log: 1, Epoch: 20, MovedEpoch: 10, NextOffset: 4})
	if err == nil || !strings.HasPrefix(err.Error(), "restored: ") {
		t.Errorf("the message is %v", err)
	}
}

func TestMemoriesAddUp(t *testing.T) {
	t.Parallel()
	a := processor.Memory{History: 2, Log: 1, Epoch: 20, MovedEpoch: 10, NextOffset: 5}
	b := processor.Memory{History: 1, Log: 2, Epoch: 19, MovedEpoch: 19, NextOffset: 1}
	want := processor.Memory{History: 2, Log: 2, Epoch: 20, MovedEpoch: 19, NextOffset: 1}
	for _, got := range []processor.Memory{a.With(b), b.With(a), want.With(processor.Memory{})} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
