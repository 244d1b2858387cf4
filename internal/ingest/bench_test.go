package ingest_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/record"
)

// BenchmarkSubmit has callers submit charges over loopback, each one after the
// other, to a server with the real Kafka client and the real store. CPU time is
// that of this process, in which callers and broker run as well: what counts is
// the difference to [BenchmarkBareSubmit].
func BenchmarkSubmit(b *testing.B) {
	s := newStack(b)
	crowd := s.crowd()
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			storm(b, s.operator.base, callers, crowd.chargeRequest, http.StatusAccepted)
		})
	}
}

// BenchmarkBareSubmit is the least that a submission can cost: a chi handler that
// produces the same bytes through the same producer.
func BenchmarkBareSubmit(b *testing.B) {
	s := newStack(b)
	crowd := s.crowd()
	base := bareSubmit(b, s, crowd[0])
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			storm(b, base, callers, crowd.chargeRequest, http.StatusAccepted)
		})
	}
}

// crowd is enough people that every partition has wallets of some.
type crowd []people

func (s *stack) crowd() crowd {
	var c crowd
	for i := range 32 {
		c = append(c, s.people(fmt.Sprint("Ada ", i)))
	}
	return c
}

func (c crowd) chargeRequest(n int64) []byte { return c[n%int64(len(c))].chargeRequest(n) }

// BenchmarkPoll reads one decided operation again and again.
func BenchmarkPoll(b *testing.B) {
	s := newStack(b)
	s.settle()
	p := s.people("Ada")
	s.fund(p, 1000)
	done := p.shop.post(p.charges(), headers{"Prefer": "wait=30"}, charge).want(b, http.StatusOK)
	for _, callers := range []int{1, 16, 64, 256} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			storm(b, s.operator.base, callers, func(int64) []byte {
				return fmt.Appendf(nil, "GET /v1/operations/%s HTTP/1.1\r\nHost: monedero\r\nAuthorization: Bearer %s\r\n\r\n", done.text("id"), p.shop.key)
			}, http.StatusOK)
		})
	}
}

// BenchmarkHandler is a submission without network, Kafka and Postgres: what the
// service itself allocates and computes for it.
func BenchmarkHandler(b *testing.B) {
	benchHandler(b, &memory{}, http.StatusAccepted)
}

// BenchmarkRefused is one that is refused because its owner has its share of the seats.
func BenchmarkRefused(b *testing.B) {
	held := make(chan struct{})
	defer close(held)
	benchHandler(b, &memory{held: held}, http.StatusServiceUnavailable)
}

func benchHandler(b *testing.B, queue *memory, want int) {
	b.Helper()
	s := newStack(b)
	p := s.people("Ada")
	server, err := ingest.New(ingest.Options{
		Queue: queue, History: &memory{}, Accounts: s.db, Registry: s.db, Direct: s.db, DryRuns: s.db, Minter: s.minter, Partitions: partitions,
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	var n atomic.Int64
	submit := func(r *http.Request, body *bytes.Reader, w *discard) int {
		body.Reset([]byte(benchCharge))
		r.Body = io.NopCloser(body)
		r.Header["Idempotency-Key"][0] = strconv.FormatInt(n.Add(1), 10)
		clear(w.header)
		server.Handler().ServeHTTP(w, r)
		return w.status
	}
	request := func() *http.Request {
		r := httptest.NewRequest(http.MethodPost, p.charges(), nil)
		r.Header = http.Header{
			"Authorization": {"Bearer " + p.shop.key}, "Content-Type": {"application/json"}, "Idempotency-Key": {""},
		}
		return r
	}
	if queue.held != nil {
		for range share {
			go submit(request(), bytes.NewReader(nil), &discard{header: http.Header{}})
		}
		eventually(b, func() bool { return queue.offset.Load() == share })
	}
	before := cpuTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r, body, w := request(), bytes.NewReader(nil), &discard{header: http.Header{}}
		for pb.Next() {
			if got := submit(r, body, w); got != want {
				b.Error("status", got)
				return
			}
		}
	})
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1000/float64(b.N), "cpu-us/req")
}

const benchCharge = `{"amount":1250,"currency":"EUR","invoice":"INV-1001","description":"Monthly plan","metadata":{"order":"8821"}}`

// chargeRequest is the n-th request as it goes over the wire.
func (p people) chargeRequest(n int64) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: monedero\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n"+
		"Idempotency-Key: bench-%d\r\nContent-Length: %d\r\n\r\n%s", p.charges(), p.shop.key, n, len(benchCharge), benchCharge)
}

// bareSubmit starts the bare handler and returns where it is.
func bareSubmit(b *testing.B, s *stack, p people) string {
	b.Helper()
	wallet, err := ledger.ParseWalletID(p.wallet)
	if err != nil {
		b.Fatal(err)
	}
	r := ledger.Request{
		Kind: ledger.KindCharge, Wallet: wallet, Merchant: ledger.MerchantID{1}, Amount: 1250, Currency: "EUR", Invoice: "INV-1001",
		Description: "Monthly plan", Metadata: ledger.NewMetadata(map[string]string{"order": "8821"}), IdempotencyKey: "bench-1000", ReceivedAt: time.Now(),
	}
	r.Asker = ledger.Asker{Party: ledger.AsMerchant(r.Merchant), Key: ledger.KeyID{1}}
	r.ID = s.minter.OperationID(r.Identity())
	value, headers, err := record.Encode(r)
	if err != nil {
		b.Fatal(err)
	}
	record := record.Record{Value: value, Headers: headers}
	producer := kafka.NewProducer(s.cluster, kafka.NewMetrics(nil), 0)
	b.Cleanup(func() { _ = producer.Close() })
	router := chi.NewRouter()
	router.Post("/v1/wallets/{wallet}/charges", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			http.Error(w, "body", http.StatusBadRequest)
			return
		}
		record := record
		record.Key = []byte(chi.URLParam(r, "wallet"))
		wallet, err := ledger.ParseWalletID(string(record.Key))
		if err != nil {
			http.Error(w, "wallet", http.StatusNotFound)
			return
		}
		offset, err := producer.Produce(r.Context(), topicName, wallet.Partition(partitions), record)
		if err != nil {
			http.Error(w, "produce", http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"offset":%d}`, offset)
	})
	server := httptest.NewServer(router)
	b.Cleanup(server.Close)
	return server.URL
}

// storm has callers send b.N requests over a connection each, and reports
// requests and CPU time per second, p99 and allocations per request.
func storm(b *testing.B, base string, callers int, request func(n int64) []byte, want int) {
	b.Helper()
	conns := make([]net.Conn, callers)
	for i := range conns {
		conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		conns[i] = conn
	}
	var next atomic.Int64
	took := make([][]time.Duration, callers)
	before := cpuTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	var group sync.WaitGroup
	for i, conn := range conns {
		group.Go(func() {
			in := bufio.NewReader(conn)
			for next.Add(1) <= int64(b.N) {
				start := time.Now()
				if _, err := conn.Write(request(requests.Add(1))); err != nil {
					b.Error(err)
					return
				}
				if err := readAnswer(in, want); err != nil {
					b.Error(err)
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	group.Wait()
	b.StopTimer()
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-us/req")
	if len(all) > 0 {
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1000, "p99-ms")
	}
}

// requests numbers the requests of all benchmarks.
var requests atomic.Int64

// readAnswer reads an answer and nothing of what it says: who measures a server
// must not be the slower of the two.
func readAnswer(in *bufio.Reader, want int) error {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if status := string(line[9:12]); status != strconv.Itoa(want) {
		rest, _ := in.Peek(in.Buffered())
		return fmt.Errorf("status %s: %s", status, rest)
	}
	length := -1
	for len(line) > 2 {
		if line, err = in.ReadSlice('\n'); err != nil {
			return err
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("the answer has no length")
	}
	_, err = in.Discard(length)
	return err
}

// cpuTime is what this process has used so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// memory is a queue that takes everything and a history that knows nothing.
type memory struct {
	offset atomic.Int64
	held   chan struct{} // nothing is durable until it is closed; nil: everything is at once
}

func (m *memory) Submit(context.Context, ledger.Request) (ingest.Durable, error) {
	at := ingest.Receipt{Offset: m.offset.Add(1)}
	return func() (ingest.Receipt, error) {
		if m.held != nil {
			<-m.held
		}
		return at, nil
	}, nil
}
func (m *memory) End(context.Context, int, int64) (int64, error) { return m.offset.Load(), nil }
func (m *memory) Check(context.Context) error                    { return nil }

func (m *memory) LookUp(context.Context, []ledger.OperationID) (outcomes.Found, error) {
	return outcomes.Found{}, nil
}

func (m *memory) DecidedIDs(context.Context, []ledger.OperationID, []int) ([]ledger.OperationID, map[int]ledger.Place, error) {
	return nil, nil, nil
}

func (m *memory) List(context.Context, ingest.Filter) (ingest.Page, error) { return ingest.Page{}, nil }

// discard is an answer that nobody reads.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }
