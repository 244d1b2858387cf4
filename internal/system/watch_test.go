package system

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/record"
)

// awaitAtLeast waits until the service's metric is as large.
func (p *process) awaitAtLeast(series string, least float64) {
	p.t.Helper()
	deadline := time.Now().Add(awaitTimeout)
	for p.metric(series) < least {
		if time.Now().After(deadline) {
			p.t.Fatalf("after %v the metric %s of %s is %v, want %v at least", awaitTimeout, series, p.name, p.metric(series), least)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// whyNotReady is the body of /readyz; empty where the service is ready.
func (p *process) whyNotReady() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/readyz", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return ""
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// awaitNotReady waits until the service is not ready for a reason that says so.
func (p *process) awaitNotReady(why string) {
	p.t.Helper()
	deadline := time.Now().Add(awaitTimeout)
	for {
		found := p.whyNotReady()
		if strings.Contains(found, why) {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is not ready because of %q, and not of %q", p.name, found, why)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// TestIngestTellsWhatNobodySettles: with every processor gone some service says that
// charges wait, how many and for how long; that a partition had halted; that the topic
// is gone.
func TestIngestTellsWhatNobodySettles(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	ingest, _ := p.ingest()
	for _, line := range []string{
		`monedero_submissions_total{kind="charge",result="unknown"} 0`, `monedero_shed_total{what="request"} 0`,
		"monedero_ready 1", "monedero_topic_partitions 2", `monedero_group_members{kind="foreign"} 0`,
		"monedero_verify_timestamp_seconds 0",
	} {
		ingest.await(line)
	}
	for deadline := time.Now().Add(awaitTimeout); ingest.metric("monedero_schema_version") < 10; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the schema has version %v", ingest.metric("monedero_schema_version"))
		}
	}
	if n := ingest.metric("monedero_pgxpool_max_conns"); n < 1 {
		t.Errorf("the pool has %v connections", n)
	}
	settler := p.processor()
	settler.await(`monedero_offsets_total{fate="dead_letter"} 0`)
	settler.await("monedero_ready 1")
	ingest.await(`monedero_partition_owned{partition="0"} 1`)
	ingest.await(`monedero_partition_undecided_records{partition="0"} 0`)
	ingest.await(`monedero_partition_undecided_age_seconds{partition="0"} 0`)
	ingest.await(`monedero_partition_halted{partition="0"} 0`)
	settler.kill()
	id, err := p.shop.till.charge(t.Context(), p.wallets[0].String(), "waits", 7)
	p.must(err)
	ingest.await(`monedero_partition_owned{partition="0"} 0`)
	ingest.await(`monedero_group_members{kind="processor"} 0`)
	ingest.await(`monedero_partition_undecided_records{partition="0"} 1`)
	ingest.await(`monedero_partition_undecided_records{partition="1"} 0`)
	ingest.awaitAtLeast(`monedero_partition_undecided_age_seconds{partition="0"}`, 3)
	if age := ingest.metric(`monedero_partition_undecided_age_seconds{partition="0"}`); age > 60 {
		t.Errorf("a charge of just now is %v seconds old", age)
	}

	newer := p.record(p.charge(p.wallets[0], "newer"))
	newer.Value = inVersion(newer.Value, record.Version+1)
	p.produce(0, notOurs, newer)
	p.processor().await(`monedero_kafka_partition_halted{partition="0"} 1`)
	if o, err := p.shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
		t.Errorf("the charge that waited is %s, %v", o.Status, err)
	}
	ingest.await(`monedero_partition_halted{partition="0"} 1`)

	p.monedero("verify", "--partition", "0")
	p.monedero("verify")
	second, _ := p.ingest()
	second.awaitAtLeast("monedero_verify_timestamp_seconds", float64(time.Now().Add(-time.Minute).Unix()))
	second.await("monedero_verify_violations 0")
	second.await("monedero_dead_letters_open 1")
	p.kafka.DeleteTopic(t, topicName)
	ingest.await("monedero_topic_partitions 0")
	ingest.awaitNotReady("0 partitions instead of 2")
	ingest.await("monedero_ready 0")
}

// TestEvery503ForKafkaIsCounted, also where ingest refuses before it asks Kafka.
func TestEvery503ForKafkaIsCounted(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	ingest, operator := p.ingest()
	settler := p.processor()
	till := operator.as(p.shop.till.key)
	p.kafka.Kill()
	ingest.awaitNotReady("queue")
	settler.awaitNotReady("group")
	const n = 20
	refused := 0
	for i := range n {
		status, _, err := till.submit(t.Context(), p.wallets[0].String(), fmt.Sprint("refused ", i), 1)
		p.must(err)
		if status == http.StatusServiceUnavailable {
			refused++
		}
	}
	counted := ingest.metric(`monedero_submissions_total{kind="charge",result="unknown"}`) +
		ingest.metric(`monedero_submissions_total{kind="charge",result="refused"}`)
	if refused != n || int(counted) != n {
		t.Errorf("%d of %d charges were answered 503, and %v counted", refused, n, counted)
	}
	p.kafka.Restart(t)
	ingest.waitReady()
	settler.waitReady()
}

// TestIngestIsNotReadyWhereNoBrokerAnswersAtItsName: brokers answer where ingest begins,
// and lead it to a name that does not.
func TestIngestIsNotReadyWhereNoBrokerAnswersAtItsName(t *testing.T) {
	t.Parallel()
	var wrong atomic.Bool
	broker := kafkatest.Start(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := (&net.ListenConfig{}).Listen(context.Background(), network, address)
		return renamed{l, &wrong}, err
	}))
	s := newStackWith(t, pgtest.New(t), broker, 2)
	ingest, _ := s.ingest()
	wrong.Store(true)
	ingest.awaitNotReady("broker.invalid")
	wrong.Store(false)
	ingest.waitReady()
}

// renamed is a listener who says at times that it has another address.
type renamed struct {
	net.Listener
	wrong *atomic.Bool
}

func (l renamed) Addr() net.Addr {
	if l.wrong.Load() {
		return name("broker.invalid:9092")
	}
	return l.Listener.Addr()
}

type name string

func (name) Network() string  { return "tcp" }
func (n name) String() string { return string(n) }
