package bench

import (
	"os"
	"strings"
	"testing"
	"time"
)

func newRun(t *testing.T) *run {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r := &run{executable: executable}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestPartThatEnds: whoever waits for a part that ends hears what it said last.
func TestPartThatEnds(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	p, err := r.start(t.Context(), "dance")
	if err != nil {
		t.Fatal(err)
	}
	var answer string
	if err := p.hear(t.Context(), &answer); err == nil || !strings.Contains(err.Error(), `no part \"dance\"`) {
		t.Errorf("heard %q, %v", answer, err)
	}
	if p.check() == nil {
		t.Error("it has ended, and nobody knows")
	}
	if err := p.tell("go"); err == nil {
		t.Error("it has ended, and was told something")
	}
}

// TestPartEndsWithUs: a part ends when nobody can tell it anything any more.
func TestPartEndsWithUs(t *testing.T) {
	t.Parallel()
	r := newRun(t)
	p, err := r.start(t.Context(), partKafka, partEnviron()...)
	if err != nil {
		t.Fatal(err)
	}
	var brokers []string
	if err := p.hear(t.Context(), &brokers); err != nil || len(brokers) != 1 {
		t.Fatal(brokers, err)
	}
	if err := p.check(); err != nil {
		t.Fatal(err)
	}
	if err := p.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
		if p.err != nil {
			t.Errorf("it did not end in order: %v", p.err)
		}
	case <-time.After(partStopTimeout):
		t.Error("it runs on")
	}
}

func TestBooksThatAreWrong(t *testing.T) {
	t.Parallel()
	before := books{accepted: 5, failed: 1, charged: 500, inWallets: 9_500}
	came := tally{charges: 3, amount: 300}
	right := books{accepted: 8, failed: 1, charged: 800, inWallets: 9_200}
	if err := right.follow(before, came); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(*books){
		"a charge is missing":        func(b *books) { b.accepted-- },
		"a charge failed":            func(b *books) { b.failed++ },
		"a record came again":        func(b *books) { b.duplicates++ },
		"a record is no operation":   func(b *books) { b.other++ },
		"an amount is another":       func(b *books) { b.charged++ },
		"a wallet has too much":      func(b *books) { b.inWallets++ },
		"money came from nowhere":    func(b *books) { b.anywhere++ },
		"one was counted twice, too": func(b *books) { b.accepted++; b.charged += 100; b.inWallets -= 100 },
	} {
		wrong := right
		change(&wrong)
		if err := wrong.follow(before, came); err == nil || !strings.Contains(err.Error(), "money came out wrong") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
