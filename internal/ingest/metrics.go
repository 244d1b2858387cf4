package ingest

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/ledger"
)

// Metrics counts what the API does.
type Metrics struct {
	requests    *prometheus.CounterVec
	latency     *prometheus.HistogramVec
	submissions *prometheus.CounterVec
	replays     *prometheus.CounterVec
	conflicts   *prometheus.CounterVec
	keys        *prometheus.CounterVec
	lookups     *prometheus.CounterVec
	lookupIDs   prometheus.Histogram
	lookupTime  prometheus.Histogram
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	seconds := prometheus.ExponentialBuckets(0.0002, 2, 18)
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_http_requests_total", Help: "HTTP requests answered.",
		}, []string{"method", "route", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "monedero_http_seconds", Help: "Time from a request's header to the end of its answer, waits included.",
			Buckets: seconds,
		}, []string{"method", "route"}),
		submissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_submissions_total", Help: "Requests submitted to the queue, by result: queued, or unknown for a 503.",
		}, []string{"kind", "result"}),
		replays: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_replays_total", Help: "Retries answered with what was already decided.",
		}, []string{"kind"}),
		conflicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_key_conflicts_total", Help: "Requests refused because their idempotency key belongs to another one.",
		}, []string{"kind"}),
		keys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_api_key_checks_total",
			Help: "API keys verified, by where they came from: hit, miss, stale, or unavailable.",
		}, []string{"result"}),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_lookups_total", Help: "Queries for outcomes, by result: ok or error.",
		}, []string{"result"}),
		lookupIDs: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_lookup_operations", Help: "Operations in one query for outcomes.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		lookupTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_lookup_seconds", Help: "Time of one query for outcomes.", Buckets: seconds,
		}),
	}
	r.MustRegister(m.requests, m.latency, m.submissions, m.replays, m.conflicts, m.keys, m.lookups, m.lookupIDs, m.lookupTime)
	return m
}

func (m *Metrics) answered(method, route string, status int, took time.Duration) {
	if !slices.Contains(methods(), method) {
		method = "other"
	}
	if route == "" {
		route = "unknown"
	}
	m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
	m.latency.WithLabelValues(method, route).Observe(took.Seconds())
}

func (m *Metrics) submitted(k ledger.Kind, err error) {
	result := "queued"
	if err != nil {
		result = "unknown"
	}
	m.submissions.WithLabelValues(string(k), result).Inc()
}

func (m *Metrics) replayed(k ledger.Kind)   { m.replays.WithLabelValues(string(k)).Inc() }
func (m *Metrics) conflicted(k ledger.Kind) { m.conflicts.WithLabelValues(string(k)).Inc() }
func (m *Metrics) key(result string)        { m.keys.WithLabelValues(result).Inc() }

func (m *Metrics) looked(operations int, took time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.lookups.WithLabelValues(result).Inc()
	m.lookupIDs.Observe(float64(operations))
	m.lookupTime.Observe(took.Seconds())
}

// methods are those that a request may be counted under.
func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}
