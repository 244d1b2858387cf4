package kafka

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are what the package counts. A nil registerer makes metrics that
// nobody reads.
type Metrics struct {
	halted      *prometheus.GaugeVec
	lag         *prometheus.GaugeVec
	lastAck     *prometheus.GaugeVec
	fetchErrors *prometheus.CounterVec
	claims      *prometheus.CounterVec
	fences      *prometheus.CounterVec
	redelivered *prometheus.CounterVec
	watched     prometheus.Gauge

	produced     prometheus.Counter
	batchRecords prometheus.Histogram
	batchSeconds prometheus.Histogram
	retries      prometheus.Counter
	refusals     *prometheus.CounterVec
	settings     *prometheus.GaugeVec
}

// NewMetrics makes the metrics and registers them. The label partition is the
// number of a partition.
func NewMetrics(r prometheus.Registerer) *Metrics {
	f := promauto.With(r)
	gauge := func(name, help string) *prometheus.GaugeVec {
		return f.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"partition"})
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"partition"})
	}
	m := &Metrics{
		halted:      gauge("monedero_kafka_partition_halted", "1 while the partition settles nothing because its state cannot be right."),
		lag:         gauge("monedero_kafka_partition_lag_records", "Offsets between the position and the end of the partition."),
		lastAck:     gauge("monedero_kafka_partition_acknowledged_timestamp_seconds", "When a message was acknowledged last; 0: not since the partition was assigned."),
		fetchErrors: counter("monedero_kafka_fetch_errors_total", "Fetches and checks of the log that failed and are tried again."),
		claims:      counter("monedero_kafka_claims_total", "Claims of the partition."),
		fences:      counter("monedero_kafka_fences_total", "Claims that were given up because another owner has the partition."),
		redelivered: counter("monedero_kafka_redeliveries_total", "Messages that are delivered again after a Nack."),
		watched: f.NewGauge(prometheus.GaugeOpts{
			Name: "monedero_kafka_watched_partitions", Help: "Idle partitions that are watched together: they have no connection of their own.",
		}),

		produced: f.NewCounter(prometheus.CounterOpts{
			Name: "monedero_kafka_produced_records_total", Help: "Records that are durable.",
		}),
		batchRecords: f.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_kafka_produce_batch_records", Help: "Records in a produced batch.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 6),
		}),
		batchSeconds: f.NewHistogram(prometheus.HistogramOpts{
			Name: "monedero_kafka_produce_batch_seconds", Help: "Time from a batch's turn to its end: its wait for the request before it, and retries, included.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		retries: f.NewCounter(prometheus.CounterOpts{
			Name: "monedero_kafka_produce_retries_total", Help: "Batches that were sent once more.",
		}),
		refusals: f.NewCounterVec(prometheus.CounterOpts{
			Name: "monedero_kafka_produce_refused_total",
			Help: "Records refused, not written, since their partition had too much to write (full), or since its last batch failed or took too long (stuck).",
		}, []string{"why"}),
		settings: f.NewGaugeVec(prometheus.GaugeOpts{
			Name: "monedero_kafka_topic_setting_wrong", Help: "1 while the topic's setting is not as it should be; replicas are one too.",
		}, []string{"setting"}),
	}
	for _, why := range []string{"full", "stuck"} { // alerts want them at zero
		m.refusals.WithLabelValues(why)
	}
	return m
}

// refused counts a record that was not added to a queue.
func (m *Metrics) refused(err error) {
	switch {
	case errors.Is(err, ErrQueueFull):
		m.refusals.WithLabelValues("full").Inc()
	case errors.Is(err, ErrQueueStuck):
		m.refusals.WithLabelValues("stuck").Inc()
	}
}

// forget removes the gauges of a partition that is no longer ours.
func (m *Metrics) forget(partition int) {
	label := strconv.Itoa(partition)
	m.halted.DeleteLabelValues(label)
	m.lag.DeleteLabelValues(label)
	m.lastAck.DeleteLabelValues(label)
}
