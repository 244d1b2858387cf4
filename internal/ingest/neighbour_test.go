package ingest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/ledger"
)

// Each test here sets one caller against another: none may cost the other one a charge.

// TestHungPartitionsCostTheirOwnWallets: of 16 partitions 4 do not answer, and 600
// charges a second come for all of them. Those of the other 12 are taken, each.
func TestHungPartitionsCostTheirOwnWallets(t *testing.T) {
	t.Parallel()
	const hung, rate, lasts = 4, 600 / slowly, 8 * time.Second
	s := newStackOf(t, time.Now(), 16)
	wallets := s.walletsOf("Ada", 16)
	for _, w := range wallets.paths { // from now on every partition is known
		wallets.shop.post(w, nil, charge).want(t, http.StatusAccepted)
	}
	s.kafka.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		s.kafka.KeepControl()
		return nil, nil, slices.ContainsFunc(r.(*kmsg.ProduceRequest).Topics[0].Partitions, func(p kmsg.ProduceRequestTopicPartition) bool {
			return p.Partition < hung
		})
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
			case err == nil && partition < hung && got.status == http.StatusServiceUnavailable:
				if got.text("code") == string(ingest.CodeOverloaded) || got.text("detail") == notTakenDetail {
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
			`{"client_id":"`+p.client+`","currency":"EUR","charges":"anyone"}`).want(s.t, http.StatusCreated).text("id")
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

// TestMadeUpKeysCostNobodyElse: 600 connections send made-up keys again and again, while the
// database takes its time for each look-up; and 40 paying charges, under keys that nobody has seen yet,
// are all taken.
func TestMadeUpKeysCostNobodyElse(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	const strangers, paying, pause = 600, 40, 300 * time.Millisecond
	var shops []people
	for n := range 4 {
		shops = append(shops, s.people(fmt.Sprint("Ada ", n)))
	}
	s.db.keys.Store(int64(50 * time.Millisecond))
	defer s.db.keys.Store(0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var sent atomic.Int64
	for range strangers {
		wg.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.operator.base, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReader(conn)
			for {
				select {
				case <-stop:
					return
				case <-time.After(pause):
				}
				fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
					shops[0].charges(), madeUpKey(), len(charge), charge)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					return // it may be closed in favour of others
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				sent.Add(1)
			}
		})
	}
	eventually(t, func() bool { return sent.Load() > 100 })
	for n := range paying {
		p := shops[n%len(shops)]
		p.shop.post(p.charges(), headers{"Idempotency-Key": fmt.Sprint("k", n)}, charge).want(t, http.StatusAccepted)
	}
	close(stop)
	wg.Wait()
	if n := s.metric(`monedero_api_key_checks_total{result="miss"}`); n > 20 {
		t.Errorf("%v keys were looked up", n)
	}
}

// madeUpKey has the form of a key, and the public checksum that keys once ended in.
func madeUpKey() string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	body := "mon_merchant_" + ledger.KeyID(uuid.New()).String() + "_" + strings.Repeat("x", 43)
	sum := crc32.ChecksumIEEE([]byte(body))
	var tag [6]byte
	for i := len(tag) - 1; i >= 0; i-- {
		tag[i] = digits[sum%62]
		sum /= 62
	}
	return body + string(tag[:])
}

// TestDawdlingBodiesCostNobodyElse: one merchant sends 520 bodies that never end, and all
// others are served.
func TestDawdlingBodiesCostNobodyElse(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	const dawdling = 520
	ada, bob := s.people("Ada"), s.people("Bob")
	bob.shop.post(bob.charges(), headers{"Idempotency-Key": "first"}, charge).want(t, http.StatusAccepted)
	for range dawdling {
		conn := dial(t, s.operator.base)
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
			ada.charges(), ada.shop.key)
	}
	for n := range 40 {
		bob.shop.post(bob.charges(), headers{"Idempotency-Key": fmt.Sprint("k", n)}, charge).want(t, http.StatusAccepted)
		bob.payer.get("/v1/wallets/"+bob.wallet).want(t, http.StatusOK)
		s.operator.post("/v1/wallets/"+bob.wallet+"/top-ups", headers{"Idempotency-Key": fmt.Sprint("k", n)}, `{"amount":1,"currency":"EUR"}`).want(t, http.StatusAccepted)
		time.Sleep(20 * time.Millisecond) // while the bodies come, and after
	}
}

// TestSlowReadersCostNobodyElse: 1,000 callers of one merchant send retries of a charge whose
// answer is large, and read none; all others are served.
func TestSlowReadersCostNobodyElse(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	const callers, each = 1000, 16
	ada, bob := s.people("Ada"), s.people("Bob")
	large := largeCharge()
	ada.shop.post(ada.charges(), headers{"Idempotency-Key": "large", "Prefer": "wait=30"}, large).want(t, http.StatusOK)
	bob.shop.post(bob.charges(), headers{"Idempotency-Key": "first"}, charge).want(t, http.StatusAccepted)
	location := bob.shop.post(bob.charges(), headers{"Idempotency-Key": "first", "Prefer": "wait=30"}, charge).want(t, http.StatusOK).text("id")
	request := fmt.Appendf(nil, "GET /v1/operations?merchant_id=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ada.merchant, ada.shop.key)
	small := slowReader()
	for range callers {
		conn, err := small.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.operator.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write(bytes.Repeat(request, each)); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(time.Second) // until the answers fill what lies between
	for n := range 40 {
		bob.shop.post(bob.charges(), headers{"Idempotency-Key": fmt.Sprint("k", n)}, charge).want(t, http.StatusAccepted)
		bob.shop.get("/v1/operations/"+location).want(t, http.StatusOK)
	}
}

// largeCharge is the body of a charge with much metadata.
func largeCharge() string {
	var metadata []string
	for n := range 20 {
		metadata = append(metadata, fmt.Sprintf(`"k%d":"%s"`, n, strings.Repeat("€", 500)))
	}
	return `{"amount":1,"currency":"EUR","metadata":{` + strings.Join(metadata, ",") + `}}`
}

// slowReader dials connections that take next to nothing before somebody reads.
func slowReader() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 1<<10)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536) // or the loopback holds megabytes
		})
	}}
}

// TestUnreadPagesAreBounded: 270 connections ask for pages of a megabyte and read none.
// So many pages are held as there are places, three quarters of them by their owner;
// another owner's lists are served, and the places come back.
func TestUnreadPagesAreBounded(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.settle()
	const unread, rows = 270, 40 // 30 KB a row
	ada, bob := s.people("Ada"), s.people("Bob")
	large := largeCharge()
	for n := range rows {
		ada.shop.post(ada.charges(), headers{"Idempotency-Key": fmt.Sprint("k", n)}, large).want(t, http.StatusAccepted)
	}
	list := "/v1/operations?limit=200&merchant_id="
	eventually(t, func() bool { return len(ada.shop.get(list+ada.merchant).want(t, http.StatusOK).body) > 1<<20 })
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", list+ada.merchant, ada.shop.key)
	small := slowReader()
	var unreadConns []net.Conn
	for range unread {
		conn, err := small.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.operator.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		unreadConns = append(unreadConns, conn)
		if _, err := conn.Write(request); err != nil {
			t.Fatal(err)
		}
	}
	// What does not hold a place is refused: it had none, or its turn to be read did not come.
	eventually(t, func() bool {
		noPlace, noTurn := s.metric(`monedero_shed_total{what="page"}`), s.metric(`monedero_shed_total{what="read"}`)
		return noPlace+noTurn >= unread-2*admission.MaxPages
	})
	bob.shop.get(list+bob.merchant).want(t, http.StatusOK)
	for _, conn := range unreadConns {
		_ = conn.Close()
	}
	eventually(t, func() bool { return ada.shop.get(list+ada.merchant).status == http.StatusOK })
}

// TestUnknownWalletsCostTheirSender: who charges wallets that do not exist is refused
// after a hundred, and neither its own wallets nor another merchant are.
func TestUnknownWalletsCostTheirSender(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	ada, bob := s.people("Ada"), s.people("Bob")
	ada.shop.post(ada.charges(), headers{"Idempotency-Key": "first"}, charge).want(t, http.StatusAccepted)
	madeUp := func(shop *api) answer {
		return shop.post("/v1/wallets/"+ledger.WalletID(uuid.New()).String()+"/charges", headers{"Idempotency-Key": "k"}, charge)
	}
	const attempts = 2000
	taken := 0
	for range attempts {
		switch got := madeUp(ada.shop); {
		case got.status == http.StatusAccepted:
			taken++
		case got.status != http.StatusTooManyRequests || got.text("code") != string(ingest.CodeRateLimited) || got.header.Get("Retry-After") == "":
			t.Fatalf("a wallet that does not exist: %d %s", got.status, got.body)
		}
	}
	t.Logf("%d of %d were taken", taken, attempts)
	if taken < 50 || taken > 400 { // what comes before anybody could know is taken too
		t.Errorf("%d charges of wallets that do not exist were taken, of %d", taken, attempts)
	}
	ada.shop.post(ada.charges(), headers{"Idempotency-Key": "second"}, charge).want(t, http.StatusAccepted)
	// A wallet that was not seen yet is found, and then taken.
	opened := s.operator.post("/v1/wallets", nil, `{"client_id":"`+ada.client+`","currency":"EUR","charges":"anyone"}`).want(t, http.StatusCreated).text("id")
	eventually(t, func() bool {
		return ada.shop.post("/v1/wallets/"+opened+"/charges", nil, charge).status == http.StatusAccepted
	})
	madeUp(bob.shop).want(t, http.StatusAccepted)
	if n := s.metric(`monedero_shed_total{what="unknown_wallet"}`); n < attempts-400 {
		t.Errorf("%v were shed by the metric", n)
	}
	// With the database away nobody can tell, and nothing is refused.
	s.db.state.Store(down)
	madeUp(bob.shop).want(t, http.StatusAccepted)
}
