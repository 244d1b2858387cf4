package ingest_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

// Each test here sets one caller against another: none may cost the other one a charge.

// TestHungPartitionsCostTheirOwnWallets: of 16 partitions 4 do not answer, and 600
// charges a second come for all of them. Those of the other 12 are taken, each.
func TestHungPartitionsCostTheirOwnWallets(t *testing.T) {
	t.Parallel()
	const hung, rate, lasts = 4, 600, 8 * time.Second
	s := newStackOf(t, time.Now(), 16)
	wallets := s.walletsOf("Ada", 16)
	for _, w := range wallets.paths { // from now on every partition is known
		wallets.shop.post(w, nil, charge).want(t, http.StatusAccepted)
	}
	s.kafka.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.kafka.KeepControl()
		return nil, nil, r.(*kmsg.ProduceRequest).Topics[0].Partitions[0].Partition < hung
	})
	var wg sync.WaitGroup
	var taken, notTaken, unknown atomic.Int64
	tick := time.NewTicker(time.Second / rate)
	defer tick.Stop()
	for n := range rate * int(lasts/time.Second) {
		<-tick.C
		wg.Go(func() {
			partition := n % 16
			got, err := wallets.shop.try(t.Context(), http.MethodPost, wallets.paths[partition], headers{"Idempotency-Key": fmt.Sprint("k", n)}, charge)
			switch {
			case err == nil && partition >= hung && got.status == http.StatusAccepted:
				taken.Add(1)
			case err == nil && partition < hung && got.text("code") == string(ingest.CodeQueueUnavailable):
				if got.text("detail") == notTakenDetail {
					notTaken.Add(1)
				} else {
					unknown.Add(1)
				}
			default:
				t.Errorf("a charge of partition %d: %d %s, %v", partition, got.status, got.body, err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d taken, %d not taken, %d unknown", taken.Load(), notTaken.Load(), unknown.Load())
	if notTaken.Load() < unknown.Load() {
		t.Errorf("%d charges waited for partitions that are known to hang, %d did not", unknown.Load(), notTaken.Load())
	}
}

// notTakenDetail is what is said of a charge that its partition does not take.
const notTakenDetail = "the wallet's part of the queue takes nothing at present; the request was not taken: send it again under the same idempotency key"

// wallets are one of each partition, of a merchant.
type wallets struct {
	shop  *api
	paths []string // to charge them, by partition
}

// walletsOf opens wallets until each partition has one.
func (s *stack) walletsOf(name string, partitions int) wallets {
	s.t.Helper()
	p := s.people(name)
	w := wallets{shop: p.shop, paths: make([]string, partitions)}
	for n, missing := 0, partitions; missing > 0; n++ {
		id := s.operator.post("/v1/wallets", headers{"Idempotency-Key": fmt.Sprint(name, " ", n)},
			`{"client_id":"`+p.client+`","currency":"EUR"}`).want(s.t, http.StatusCreated).text("id")
		wallet, err := ledger.ParseWalletID(id)
		if err != nil {
			s.t.Fatal(err)
		}
		if at := &w.paths[wallet.Partition(partitions)]; *at == "" {
			*at = "/v1/wallets/" + id + "/charges"
			missing--
		}
	}
	return w
}
