package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/admission"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/outcomes"
	"github.com/monedero/monedero/internal/throttle"
)

// The limits of one request's steps.
const (
	readTimeout  = 3 * time.Second // of one read from the database
	applyTimeout = 8 * time.Second // of one direct operation or creation
)

// retryAfter is the Retry-After header of a 202, a 429 and a 503, in seconds.
const retryAfter = "1"

// Options are what a server is made of. All of it is required but the last five. Their
// defaults are the default log, unregistered metrics, the real time, 1,640 connections
// and no lame duck.
type Options struct {
	Queue      Queue
	History    History
	Accounts   Accounts
	Registry   Registry
	Direct     Direct
	DryRuns    DryRuns
	Minter     *ledger.Minter
	Partitions int // of the topic, as the database knows it

	Log     *slog.Logger
	Metrics *Metrics
	Clock   func() time.Time

	MaxConnections int           // that Serve serves at once
	LameDuck       time.Duration // for which Serve goes on once it is to stop, no longer ready; none by default
}

// Server is the HTTP API. Its handler needs [Server.Run] beside it;
// [Server.Serve] does both.
type Server struct {
	queue      Queue
	history    History
	accounts   Accounts
	registry   Registry
	direct     Direct
	dryRuns    DryRuns
	minter     *ledger.Minter
	partitions int
	log        *slog.Logger
	metrics    *Metrics
	clock      func() time.Time

	bodies  bodies
	keys    *access.Keys
	reads   *outcomes.Lookup // of operations that mostly have an outcome
	watch   *outcomes.Lookup // of operations that mostly have none yet: submissions, and who waits
	pace    *outcomes.Pace   // at which partitions are settled
	health  *health
	running atomic.Bool

	admission      *admission.Admission
	rates          *admission.Rates
	arrivals       *admission.Arrivals
	unknown        *admission.UnknownWallets
	maxConnections int
	lameDuck       time.Duration

	queueTrouble, databaseTrouble   throttle.Log
	refusedRequests, failedRequests throttle.Log

	drain   chan struct{} // closed: who waits for an outcome waits no longer
	api     huma.API
	handler http.Handler
}

// New makes a server. It fails on options that cannot be right.
func New(o Options) (*Server, error) {
	if o.Queue == nil || o.History == nil || o.Accounts == nil || o.Registry == nil || o.Direct == nil || o.DryRuns == nil || o.Minter == nil {
		return nil, errors.New("an option of the server is missing")
	}
	if !ledger.ValidPartitions(o.Partitions) {
		return nil, fmt.Errorf("%d is not a number of partitions", o.Partitions)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.MaxConnections == 0 {
		o.MaxConnections = admission.MaxConnections
	}
	s := &Server{
		queue: o.Queue, history: o.History, accounts: o.Accounts, registry: o.Registry, direct: o.Direct, dryRuns: o.DryRuns,
		minter: o.Minter, partitions: o.Partitions, log: o.Log, metrics: o.Metrics, clock: o.Clock,
		keys:   access.NewKeys(o.Registry, o.Minter, o.Clock, o.Metrics.key, o.Log),
		reads:  outcomes.OfDecided(o.History, o.Metrics.looked, o.Log),
		watch:  outcomes.OfPending(o.History, o.Metrics.looked, o.Log),
		pace:   outcomes.NewPace(o.Clock),
		health: newHealth(o.Queue, o.Log),
		drain:  make(chan struct{}),

		admission:      admission.New(admission.Usual(), o.Clock),
		rates:          admission.NewRates(o.Clock),
		arrivals:       admission.NewArrivals(func() { o.Metrics.shed("body") }),
		unknown:        admission.NewUnknownWallets(o.Accounts.KnownWallets, o.Clock, o.Log),
		maxConnections: o.MaxConnections,
		lameDuck:       o.LameDuck,
	}
	var err error
	if s.handler, err = s.routes(); err != nil {
		return nil, fmt.Errorf("describe the API: %w", err)
	}
	return s, nil
}

// Handler is the API, the health checks and the OpenAPI document.
func (s *Server) Handler() http.Handler { return s.handler }

// Run does what requests share: checks of Kafka, look-ups, waits, refreshing API
// keys, noting their last use. It blocks until ctx ends and then returns nil. It is to
// outlive the last request, and runs once.
func (s *Server) Run(ctx context.Context) error {
	if s.running.Swap(true) {
		return errors.New("the server already runs")
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.health.run(ctx) })
	g.Go(func() error { return s.reads.Run(ctx) })
	g.Go(func() error { return s.watch.Run(ctx) })
	g.Go(func() error { return s.keys.Run(ctx) })
	g.Go(func() error { return s.unknown.Run(ctx) })
	return g.Wait()
}
