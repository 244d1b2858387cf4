package ingest_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
)

var errShut = errors.New("the test shut the queue")

const charge = `{"amount":1,"currency":"EUR","invoice":"i"}`

// within ends the test if do takes longer.
func within(t *testing.T, limit time.Duration, do func() answer) answer {
	t.Helper()
	start := time.Now()
	got := do()
	if took := time.Since(start); took > limit {
		t.Errorf("the answer took %v, want at most %v", took, limit)
	}
	return got
}

func TestKafkaDown(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted)
	s.kafka.Stop()
	got := within(t, 5*time.Second, func() answer { return p.shop.post(p.charges(), nil, charge) }).want(t, http.StatusServiceUnavailable)
	if got.header.Get("Retry-After") == "" || got.text("retryable") != "true" || got.text("id") != "" {
		t.Errorf("the 503: %v %s", got.header, got.body)
	}
	eventually(t, func() bool { return s.operator.get("/readyz").status == http.StatusServiceUnavailable })
	eventually(t, func() bool { // known to be down: nobody waits for it any more
		start := time.Now()
		return p.shop.post(p.charges(), nil, charge).status == http.StatusServiceUnavailable && time.Since(start) < time.Second
	})
	s.operator.get("/livez").want(t, http.StatusOK)
	s.kafka.Restart(t)
	eventually(t, func() bool { return s.operator.get("/readyz").status == http.StatusOK })
	eventually(t, func() bool { return p.shop.post(p.charges(), nil, charge).status == http.StatusAccepted })
}

func TestKafkaSlow(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	s.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		s.kafka.KeepControl()
		s.kafka.SleepControl(func() { <-release })
		return nil, nil, false
	})
	got := within(t, 5*time.Second, func() answer { return p.shop.post(p.charges(), nil, charge) }).want(t, http.StatusServiceUnavailable)
	if got.text("code") != "queue_unavailable" {
		t.Error(got.body)
	}
}

// TestQueueFull holds the broker back and submits charges of one wallet until its partition
// holds its share of those who wait: more are refused at once, and all others are taken once
// the broker goes on.
func TestQueueFull(t *testing.T) {
	t.Parallel()
	const callers = 40 // more than the share of one of 64 partitions
	s := newStackOf(t, time.Now(), 64)
	p := s.people("Ada")
	held, asked := make(chan struct{}), make(chan bool, 100)
	release := sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	s.kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		s.kafka.KeepControl()
		asked <- true
		s.kafka.SleepControl(func() { <-held })
		return nil, nil, false
	})
	var taken, refused atomic.Int64
	var wg sync.WaitGroup
	submit := func(i int) {
		got, err := p.shop.try(t.Context(), http.MethodPost, p.charges(), headers{"Idempotency-Key": fmt.Sprint("k", i)}, charge)
		switch {
		case err == nil && got.status == http.StatusAccepted:
			taken.Add(1)
		case err == nil && got.text("code") == "overloaded" && got.header.Get("Retry-After") != "":
			refused.Add(1)
			release()
		case err == nil && got.text("code") == "queue_unavailable": // on a slow machine it may have waited in vain
			release()
		default:
			t.Errorf("a charge: %d %s, %v", got.status, got.body, err)
		}
	}
	wg.Go(func() { submit(0) })
	kafkatest.Receive(t, asked)
	<-time.After(150 * time.Millisecond) // from then on the partition is slow
	for i := range callers - 1 {
		wg.Go(func() { submit(i + 1) })
	}
	wg.Wait()
	if refused.Load() == 0 {
		t.Error("the queue took everything")
	}
	// The records of those who waited in vain count as well.
	if n := s.produced(); taken.Load() == 0 || n < taken.Load() || n == callers {
		t.Errorf("%d charges were taken, %d records were produced", taken.Load(), n)
	}
}

// TestAnotherTopic gives the topic more partitions than the database knows: the
// wallets' places would no longer be theirs.
func TestAnotherTopic(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted)
	admin := kafkago.Client{Addr: kafkago.TCP(s.kafka.Brokers...), Transport: &kafkago.Transport{}}
	t.Cleanup(admin.Transport.(*kafkago.Transport).CloseIdleConnections)
	if _, err := admin.CreatePartitions(t.Context(), &kafkago.CreatePartitionsRequest{
		Topics: []kafkago.TopicPartitionsConfig{{Name: topicName, Count: 2 * partitions}},
	}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.operator.get("/readyz").status == http.StatusServiceUnavailable })
	eventually(t, func() bool { return p.shop.post(p.charges(), nil, charge).status == http.StatusServiceUnavailable })
}

// firstLimit is for the first of several answers, on a machine however busy: one that
// waits for a timeout of the database comes later.
const firstLimit = 4 * time.Second

// answersWithin ends the test unless do gives the status within the limit. A busy machine
// may delay one answer, but not all of five: what waits where it must not is late
// each time. The first one may not take longer than firstLimit either.
func answersWithin(t *testing.T, limit time.Duration, status int, do func() answer) {
	t.Helper()
	var took time.Duration
	for i := range 5 {
		start := time.Now()
		do().want(t, status)
		if took = time.Since(start); took <= limit {
			return
		}
		if i == 0 && took > firstLimit {
			t.Errorf("the first answer took %v", took)
		}
	}
	t.Errorf("five answers took longer than %v, the last one %v", limit, took)
}

// TestPostgresDown shuts the database in both ways: charges go on under keys
// already verified, and are not delayed; reads are 503.
func TestPostgresDown(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted)
	p.payer.get("/v1/wallets/"+p.wallet).want(t, http.StatusOK)
	for _, state := range []int32{down, hanging} {
		s.db.state.Store(state)
		answersWithin(t, 1500*time.Millisecond, http.StatusAccepted, func() answer { return p.shop.post(p.charges(), nil, charge) })
		// The keys are stale by now, and good all the same.
		s.clock.advance(6 * time.Second)
		for range 3 {
			answersWithin(t, 1500*time.Millisecond, http.StatusAccepted, func() answer { return p.shop.post(p.charges(), nil, charge) })
		}
		h := headers{"Prefer": "wait=1"}
		answersWithin(t, 3*time.Second, http.StatusAccepted, func() answer { return p.shop.do(http.MethodPost, p.charges(), h, charge) })
		answersWithin(t, 5*time.Second, http.StatusServiceUnavailable, func() answer { return p.payer.get("/v1/wallets/" + p.wallet) })
	}
	s.db.state.Store(down)
	id := p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted).text("id")
	for _, path := range []string{"/v1/operations/" + id, "/v1/operations?wallet_id=" + p.wallet, "/v1/clients/" + p.client + "/wallets"} {
		p.payer.get(path).want(t, http.StatusServiceUnavailable)
	}
	s.operator.post("/v1/clients", nil, `{"name":"x"}`).want(t, http.StatusServiceUnavailable)
	s.operator.post("/v1/wallets/"+p.wallet+"/freeze", nil, "").want(t, http.StatusServiceUnavailable)
	s.operator.get("/readyz").want(t, http.StatusOK)
	s.clock.advance(15 * time.Minute)
	if got := p.shop.post(p.charges(), nil, charge).want(t, http.StatusServiceUnavailable); got.text("code") != "database_unavailable" {
		t.Error(got.body)
	}
	s.db.state.Store(up)
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusAccepted)
	p.payer.get("/v1/wallets/"+p.wallet).want(t, http.StatusOK)
}

// TestUnknownKeyWhilePostgresIsDown is 503: nobody can tell whether the key is
// good.
func TestUnknownKeyWhilePostgresIsDown(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	p := s.people("Ada")
	s.db.state.Store(down)
	p.shop.post(p.charges(), nil, charge).want(t, http.StatusServiceUnavailable)
}

// eventually ends the test unless the condition comes to hold.
func eventually(t testing.TB, condition func() bool) {
	t.Helper()
	if !holds(condition) {
		t.Fatalf("it does not hold within %v", patience)
	}
}

// holds asks again until the condition holds, or patience ends.
func holds(condition func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !condition(); <-tick.C {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
