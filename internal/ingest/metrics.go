package ingest

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/ledger"
)

// Metrics counts what the API does.
type Metrics struct {
	requests    labelled[prometheus.Counter]
	latency     labelled[prometheus.Observer]
	submissions labelled[prometheus.Counter]
	replays     labelled[prometheus.Counter]
	conflicts   labelled[prometheus.Counter]
	keys        labelled[prometheus.Counter]
	lookups     labelled[prometheus.Counter]
	lookupIDs   prometheus.Histogram
	lookupTime  prometheus.Histogram
	overload    labelled[prometheus.Counter]
}

// labelled finds a metric by its labels, of which there are three at most.
// Prometheus would take a lock to find it; this keeps what was found.
type labelled[T any] struct {
	known *atomic.Pointer[map[[3]string]T]
	find  func(labels ...string) T
}

func newLabelled[T any](find func(labels ...string) T) labelled[T] {
	l := labelled[T]{known: &atomic.Pointer[map[[3]string]T]{}, find: find}
	l.known.Store(&map[[3]string]T{})
	return l
}

func (l labelled[T]) with(labels ...string) T {
	var key [3]string
	copy(key[:], labels)
	known := l.known.Load()
	metric, ok := (*known)[key]
	if !ok {
		metric = l.find(labels...)
		more := maps.Clone(*known)
		more[key] = metric
		l.known.CompareAndSwap(known, &more) // else another one was kept: this one is found again
	}
	return metric
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	f := promauto.With(r)
	seconds := prometheus.ExponentialBuckets(0.0002, 2, 18)
	counter := func(name, help string, labels ...string) labelled[prometheus.Counter] {
		return newLabelled(f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels).WithLabelValues)
	}
	m := &Metrics{
		requests: counter("monedero_http_requests_total", "HTTP requests answered.", "method", "route", "status"),
		latency: newLabelled(f.NewHistogramVec(prometheus.HistogramOpts{
			Name: "monedero_http_seconds", Help: "Time from a request's header to the end of its answer, waits included.",
			Buckets: seconds,
		}, []string{"method", "route"}).WithLabelValues),
		submissions: counter("monedero_submissions_total",
			"Requests submitted to the queue, by result: queued; unknown, or refused where nothing of it was taken, for a 503.", "kind", "result"),
		replays:   counter("monedero_replays_total", "Retries answered with what was already decided.", "kind"),
		conflicts: counter("monedero_key_conflicts_total", "Requests refused because their idempotency key belongs to another one.", "kind"),
		keys: counter("monedero_api_key_checks_total",
			"API keys verified, by where they came from: hit, miss, stale, or unavailable; malformed: not issued by this deployment; unknown: just seen not to exist.", "result"),
		lookups: counter("monedero_lookups_total", "Queries for outcomes, by result: ok or error.", "result"),
		lookupIDs: f.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_lookup_operations", Help: "Operations in one query for outcomes.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		lookupTime: f.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_lookup_seconds", Help: "Time of one query for outcomes.", Buckets: seconds,
		}),
		overload: counter("monedero_shed_total",
			"What was shed: a request (no seat) or its owner's share, a connection or a key look-up, answered 503; a read that others came before, or a batch, answered 503; a rate or an unknown_wallet, answered 429; a body, cut off; a stranger, closed for another connection; a wait, not applied.", "what"),
	}
	m.begin()
	return m
}

// begin makes the counters that alerts look at, at 0: a rate needs a start.
func (m *Metrics) begin() {
	for _, k := range ledger.Kinds() {
		if !k.Queued() {
			continue
		}
		for _, result := range []string{"queued", "unknown", "refused"} {
			m.submissions.with(string(k), result)
		}
		m.replays.with(string(k))
		m.conflicts.with(string(k))
	}
	for _, result := range access.Results() {
		m.keys.with(result)
	}
	for _, result := range []string{"ok", "error"} {
		m.lookups.with(result)
	}
	for _, what := range []string{"request", "share", "connection", "stranger", "key", "rate", "body", "unknown_wallet", "wait", "page", "batch", "queue"} {
		m.overload.with(what)
	}
}

func (m *Metrics) answered(method, route string, status int, took time.Duration) {
	if !slices.Contains(methods(), method) {
		method = "other"
	}
	if route == "" {
		route = "unknown"
	}
	m.requests.with(method, route, strconv.Itoa(status)).Inc()
	m.latency.with(method, route).Observe(took.Seconds())
}

func (m *Metrics) submitted(k ledger.Kind, err error) {
	result := "queued"
	switch {
	case errors.Is(err, ErrNotTaken):
		result = "refused"
	case err != nil:
		result = "unknown"
	}
	m.submissions.with(string(k), result).Inc()
}

func (m *Metrics) replayed(k ledger.Kind)   { m.replays.with(string(k)).Inc() }
func (m *Metrics) conflicted(k ledger.Kind) { m.conflicts.with(string(k)).Inc() }
func (m *Metrics) key(result string)        { m.keys.with(result).Inc() }

// shed counts a request or a wait for which there was no room.
func (m *Metrics) shed(what string) { m.overload.with(what).Inc() }

func (m *Metrics) looked(operations int, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.lookups.with(result).Inc()
	m.lookupIDs.Observe(float64(operations))
	m.lookupTime.Observe(took.Seconds())
}

// methods are those that a request may be counted under.
func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}
