package ingest_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

const (
	partitions = 4
	topicName  = "charges.requested"
	testSecret = "a secret of the tests of the API, long enough"
	patience   = time.Minute // for what must come, on a busy machine too
)

// TestMain also fails when a goroutine outlives the tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Main{M: m}) }

// clock is a time that moves only when told to; started with the real one.
type clock struct{ now atomic.Pointer[time.Time] }

func newClock(at time.Time) *clock {
	c := &clock{}
	c.now.Store(&at)
	return c
}

func (c *clock) Now() time.Time { return *c.now.Load() }

func (c *clock) advance(d time.Duration) {
	later := c.Now().Add(d)
	c.now.Store(&later)
}

// stack is the real thing: HTTP server, Kafka, Postgres, on a database and a
// broker of its own.
type stack struct {
	t       testing.TB
	url     string // of the database
	kafka   *kafkatest.Kafka
	topic   kafka.Topic
	cluster *kafka.Cluster
	db      *database
	queue   *queue
	direct  *kafka.Publisher // past the API
	minter  *ledger.Minter
	clock   *clock
	log     *slog.Logger

	metrics     *prometheus.Registry // of the first replica
	connections int                  // that a replica serves at once; 0: as many as by default

	operator *api
}

func newStack(t testing.TB) *stack {
	t.Helper()
	return newStackAt(t, time.Now())
}

func newStackAt(t testing.TB, now time.Time) *stack {
	t.Helper()
	return newStackOf(t, now, partitions)
}

// newStackOf makes a stack whose topic has so many partitions.
func newStackOf(t testing.TB, now time.Time, partitions int) *stack {
	t.Helper()
	s := &stack{t: t, url: pgtest.New(t), kafka: kafkatest.Start(t), clock: newClock(now), log: slog.New(slog.DiscardHandler)}
	if testing.Verbose() {
		s.log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	var err error
	if s.minter, err = ledger.NewMinter([]byte(testSecret)); err != nil {
		t.Fatal(err)
	}
	s.topic = s.kafka.Create(t, topicName, partitions)
	if err := postgres.RegisterTopic(t.Context(), s.url, postgres.Deployment{
		Topic: s.topic.Name, Partitions: partitions, ClusterID: s.topic.ClusterID, SecretCheck: s.minter.CheckValue(), Group: "processors",
	}); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Connect(t.Context(), s.url, postgres.Options{Now: s.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	s.db = &database{Store: store}
	s.cluster = s.kafka.Client(t)
	publisher := kafka.NewPublisher(s.cluster, kafka.NewProducer(s.cluster, kafka.NewMetrics(nil), admission.Seats, s.topic), map[string]int{topicName: partitions})
	t.Cleanup(func() { _ = publisher.Close() })
	s.direct = publisher
	s.queue = &queue{Queue: kafka.NewQueue(publisher, s.cluster, s.topic, nil)}
	_, text, err := access.IssueKey(t.Context(), store, s.minter, ledger.Key{Party: ledger.Party{Role: ledger.RoleOperator}, Name: "tests", CreatedAt: now}, ledger.Person("test", ""))
	if err != nil {
		t.Fatal(err)
	}
	s.operator = &api{t: t, base: s.serve(), key: text, http: newHTTPClient(t)}
	return s
}

// serve starts a replica of the API and returns where it is.
func (s *stack) serve() string { return s.serveWith(s.queue) }

// serveWith is serve with another queue.
func (s *stack) serveWith(q ingest.Queue) string {
	base, stop := s.serveQueue(q)
	s.t.Cleanup(func() {
		if err := stop(); err != nil {
			s.t.Error("serve:", err)
		}
	})
	return base
}

func (s *stack) serveUntil() (base string, stop func() error) { return s.serveQueue(s.queue) }

func (s *stack) serveQueue(q ingest.Queue) (base string, stop func() error) {
	s.t.Helper()
	metrics := prometheus.NewRegistry()
	if s.metrics == nil {
		s.metrics = metrics
	}
	server, err := ingest.New(ingest.Options{
		Queue: q, History: s.db, Accounts: s.db, Registry: s.db, Direct: s.db, DryRuns: s.db, Minter: s.minter, Partitions: s.topic.Partitions,
		Log: s.log, Metrics: ingest.NewMetrics(metrics), Clock: s.clock.Now,
		MaxConnections: s.connections,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l, patience) }()
	return "http://" + l.Addr().String(), sync.OnceValue(func() error {
		cancel()
		return <-done
	})
}

// settle runs a real processor until the test ends.
func (s *stack) settle() { s.settleAs(0, func() {}) }

// settleAs is settle with at most so many records in a batch (0: as by default), and something done before each.
func (s *stack) settleAs(maxRecords int, before func()) {
	s.t.Helper()
	subscriber, err := kafka.NewSubscriber(s.cluster, kafka.SubscriberOptions{Group: "test", Claimer: s.db.Store, MaxRecords: maxRecords, Logger: s.log})
	if err != nil {
		s.t.Fatal(err)
	}
	settler := processor.NewSettler(s.db.Store, record.Decode, s.minter, processor.NewMetrics(prometheus.NewRegistry()), s.log, s.clock.Now)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	handle := func(ctx context.Context, b processor.Batch) processor.Result {
		before()
		return settler.Settle(ctx, b)
	}
	go func() { done <- subscriber.Run(ctx, s.topic.Name, handle, patience) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error("process:", err)
		}
	})
}

// metric is the value of a counter of the first replica, named as Prometheus
// writes it.
func (s *stack) metric(series string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			if f.GetName()+"{"+strings.Join(labels, ",")+"}" == series {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// exec changes the database behind the API's back, as its owner.
func (s *stack) exec(sql string, args ...any) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if tag, err := conn.Exec(s.t.Context(), sql, args...); err != nil || tag.RowsAffected() == 0 {
		s.t.Fatalf("%s: %v, %v", sql, tag, err)
	}
}

// produced is how many records the topic holds.
func (s *stack) produced() (n int64) {
	s.t.Helper()
	for p := range s.topic.Partitions {
		_, end, err := s.cluster.Offsets(s.t.Context(), s.topic.Name, p)
		if err != nil {
			s.t.Fatal(err)
		}
		n += end
	}
	return n
}

// people are a client with a wallet, and a merchant, each with a key.
type people struct {
	client, wallet, merchant string
	payer, shop              *api
}

// people creates them, under keys so that their IDs are always the same. Anyone may charge the wallet.
func (s *stack) people(name string) people {
	s.t.Helper()
	return s.peopleOf(name, "anyone")
}

// mandated creates people of whom the merchant may charge the wallet under a mandate without limits.
func (s *stack) mandated(name string) people {
	s.t.Helper()
	p := s.peopleOf(name, "mandated")
	p.payer.do(http.MethodPut, p.mandate(), nil, `{"currency":"EUR"}`).want(s.t, http.StatusOK)
	return p
}

func (s *stack) peopleOf(name, charges string) people {
	s.t.Helper()
	create := func(path, kind, body string) answer {
		return s.operator.post(path, headers{"Idempotency-Key": name + " " + kind}, body).want(s.t, http.StatusCreated)
	}
	p := people{}
	p.client = create("/v1/clients", "client", `{"name":"`+name+`"}`).text("id")
	p.wallet = create("/v1/wallets", "wallet", `{"client_id":"`+p.client+`","currency":"EUR","charges":"`+charges+`"}`).text("id")
	p.merchant = create("/v1/merchants", "merchant", `{"name":"`+name+`'s shop"}`).text("id")
	p.payer = s.operator.with(create("/v1/api-keys", "payer", `{"role":"client","client_id":"`+p.client+`","name":"payer"}`).text("secret"))
	p.shop = s.operator.with(create("/v1/api-keys", "shop", `{"role":"merchant","merchant_id":"`+p.merchant+`","name":"shop"}`).text("secret"))
	return p
}

// fund puts money into the wallet and waits for it.
func (s *stack) fund(p people, amount int) {
	s.t.Helper()
	got := s.operator.post("/v1/wallets/"+p.wallet+"/top-ups", headers{"Idempotency-Key": "fund", "Prefer": "wait=30"},
		fmt.Sprintf(`{"amount":%d,"currency":"EUR"}`, amount)).want(s.t, http.StatusOK)
	if got.text("status") != "accepted" {
		s.t.Fatal("top-up:", got.body)
	}
}

func (p people) mandate() string { return "/v1/wallets/" + p.wallet + "/mandates/" + p.merchant }

func (p people) charges() string { return "/v1/wallets/" + p.wallet + "/charges" }
