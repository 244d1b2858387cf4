package processor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/monedero/monedero/internal/ledger"
)

// Metrics counts what the processor settles.
type Metrics struct {
	operations *prometheus.CounterVec
	records    *prometheus.CounterVec
	batch      prometheus.Histogram
	duration   prometheus.Histogram
	fenced     prometheus.Counter
	failures   prometheus.Counter
}

// NewMetrics makes the metrics and registers them.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_operations_total", Help: "Operations that got an outcome; reason is empty for accepted ones.",
		}, []string{"kind", "reason"}),
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_offsets_total", Help: "Offsets settled, by what became of them: operation, duplicate, conflict, dead_letter, gap.",
		}, []string{"fate"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_settle_offsets", Help: "Offsets of one slice.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_settle_seconds", Help: "Time until a slice was settled: that of its transaction, and of the one before it where it waited for that.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "monedero_fenced_total", Help: "Settles refused because another owner had claimed the partition.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "monedero_settle_failures_total", Help: "Settles that failed for trouble of the machinery and are retried.",
		}),
	}
	r.MustRegister(m.operations, m.records, m.batch, m.duration, m.fenced, m.failures)
	// Counters that alerts look at begin at 0: a rate needs a start.
	for _, fate := range []string{"operation", "duplicate", "conflict", "dead_letter", "gap"} {
		m.records.WithLabelValues(fate)
	}
	for _, k := range append(ledger.Kinds(), "") { // empty: of a kind that is not known
		if k != "" && !k.Queued() {
			continue
		}
		for _, reason := range append(ledger.Reasons(), "") {
			m.operations.WithLabelValues(string(k), string(reason))
		}
	}
	return m
}

func (m *Metrics) settled(t Tally, took time.Duration) {
	for o, n := range t.Outcomes {
		m.operations.WithLabelValues(string(o.Kind), string(o.Reason)).Add(float64(n))
	}
	m.records.WithLabelValues("operation").Add(float64(t.Settled))
	m.records.WithLabelValues("duplicate").Add(float64(t.Duplicates))
	m.records.WithLabelValues("conflict").Add(float64(t.Conflicts))
	m.records.WithLabelValues("dead_letter").Add(float64(t.Dead))
	m.records.WithLabelValues("gap").Add(float64(t.Gaps))
	m.batch.Observe(float64(t.Settled + t.Duplicates + t.Conflicts + t.Dead + t.Gaps))
	m.duration.Observe(took.Seconds())
}
