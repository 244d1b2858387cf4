package system

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

const (
	slowBy = 3 * time.Second
	// inTime is how long before a hold's expiry its capture is sent at the latest.
	inTime = 5 * time.Second
	// expiryGrace is how long after its expiry a hold gets its expire at the earliest.
	expiryGrace = 10 * time.Second
)

// TestCapturesInTimeAreHonoured captures holds in time, by the clocks of two ingests of which one is 3 seconds
// slow, while no processor runs. Two owners of the partition, one after the other, send the expires of all holds
// before anything of it is settled. The processor that takes over decides for each capture, and ends the
// holds of which something is left. To settle all of it again changes nothing.
func TestCapturesInTimeAreHonoured(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the expiry of a hold, which is a minute at least")
	}
	t.Parallel()
	p := newPair(t)
	killed := p.processor()
	slow := p.shop.till.at(p.slowIngest())
	h := &heldWallet{pair: p, wallet: p.wallets[0].String()}
	whole, part, late, nobodys := h.hold("whole"), h.hold("part"), h.hold("late"), h.hold("nobody's")
	earliest, latest := h.captureBefore(whole), h.captureBefore(nobodys)
	killed.kill()

	first, second := p.owner("first"), p.owner("second")
	p.claim(first)
	time.Sleep(time.Until(earliest.Add(-inTime)))
	captures := []string{
		h.capture(p.shop.till, whole, map[string]any{"hold": whole}),
		h.capture(p.shop.till, part, map[string]any{"hold": part, "amount": 4, "currency": "EUR", "final": false}),
	}
	_, _, before := p.logOf(0)
	time.Sleep(time.Until(latest.Add(slowBy / 2)))
	p.sweep(first) // they are past their expiry, and a slow ingest does not know yet
	if _, _, end := p.logOf(0); end != before {
		t.Errorf("%d expires are sent while an ingest takes captures in time", end-before)
	}
	captures = append(captures, h.capture(slow, late, map[string]any{"hold": late}))

	time.Sleep(time.Until(latest.Add(expiryGrace)))
	awaitThat(t, "all holds are due", func() bool { return len(p.due(first)) == 4 })
	p.sweep(first)
	p.claim(second)
	p.sweep(second)
	p.sweep(first) // it has lost the partition
	_, _, end := p.logOf(0)
	if sent := end - before - 1; sent != 8 {
		t.Errorf("two owners sent %d expires of 4 holds", sent)
	}

	p.processor()
	p.awaitNext(0, end)
	for _, id := range captures {
		if o, err := p.shop.till.outcome(t.Context(), id); err != nil || o.Status != "accepted" {
			t.Errorf("a capture in time: %s %s, %v", o.Status, o.Failure.Reason, err)
		}
	}
	h.check(whole, "captured 10 0 0")
	h.check(late, "captured 10 0 0")
	h.check(part, "expired 4 6 0")
	h.check(nobodys, "expired 0 10 0")
	for _, id := range []string{part, nobodys} {
		tooLate := h.capture(p.shop.till, id+" again", map[string]any{"hold": id})
		if o, err := p.shop.till.outcome(t.Context(), tooLate); err != nil || o.Failure.Reason != string(ledger.ReasonHoldExpired) {
			t.Errorf("a capture behind the expire: %s %s, %v", o.Status, o.Failure.Reason, err)
		}
	}
	expires := p.column("select concat_ws(' ', count(*), coalesce(reason::text, 'accepted'), sum(moved)) from operations " +
		"where kind = 'expire' group by reason order by reason")
	if diff := cmp.Diff([]string{"2 hold_closed", "2 accepted 16"}, expires); diff != "" {
		t.Errorf("not every hold expires once: %s", diff)
	}
	if n := p.count("select count(*) from operations c join operations h on h.id = c.refers_to where c.kind = 'capture' and c.reason is null " +
		"and c.received_at >= h.decided_at + interval '1 minute'"); n != 0 {
		t.Errorf("%d captures were not in time by their ingest's clock: this test has shown nothing", n)
	}
	t.Log(p.monedero("verify"))

	_, _, end = p.logOf(0)
	p.awaitNext(0, end)
	decided := p.everything()
	p.setProgress("--offset", "0")
	p.awaitNext(0, end)
	if diff := cmp.Diff(decided, p.everything()); diff != "" {
		t.Errorf("settling the topic again changed\n%s", diff)
	}
	t.Log(p.monedero("verify"))
}

// heldWallet is a wallet whose merchant holds 10 at a time.
type heldWallet struct {
	*pair
	wallet string
}

// ask sends a request of the merchant, and wants it to be taken and not yet decided, or decided.
func (h *heldWallet) ask(to *api, what, key, prefer string, body map[string]any) object {
	h.t.Helper()
	headers := map[string]string{"Idempotency-Key": key, "Prefer": prefer}
	status, o, err := to.call(h.t.Context(), http.MethodPost, "/v1/wallets/"+h.wallet+"/"+what, headers, body)
	if err != nil || status != http.StatusAccepted && status != http.StatusOK {
		h.t.Fatalf("%s %s: %d %s, %v", what, key, status, o.Code, err)
	}
	return o
}

// hold holds 10 for a minute.
func (h *heldWallet) hold(key string) string {
	h.t.Helper()
	body := map[string]any{"amount": 10, "currency": "EUR", "expires_in": ledger.MinExpiresIn, "invoice": key}
	o := h.ask(h.shop.till, "holds", "hold "+key, "wait=30", body)
	if o.Status != "accepted" {
		h.t.Fatalf("a hold is %s: %s", o.Status, o.Failure.Reason)
	}
	return o.ID
}

func (h *heldWallet) capture(by *api, key string, body map[string]any) string {
	h.t.Helper()
	return h.ask(by, "captures", "capture "+key, "wait=0", body).ID
}

func (h *heldWallet) holding(id string) holding {
	h.t.Helper()
	o, err := h.shop.till.outcome(h.t.Context(), id)
	h.must(err)
	return o.Holding
}

func (h *heldWallet) captureBefore(id string) time.Time { return h.holding(id).CaptureBefore }

// check compares what became of a hold: its state, what was captured, what expired and what remains.
func (h *heldWallet) check(id, want string) {
	h.t.Helper()
	x := h.holding(id)
	if got := fmt.Sprint(x.State, " ", x.Captured, " ", x.Expired, " ", x.Remaining); got != want {
		h.t.Errorf("a hold is %s, want %s", got, want)
	}
}

// owner owns partitions as a processor does, and settles none.
type owner struct {
	*postgres.Store
	expirer *processor.Expirer
}

func (p *pair) owner(name string) owner {
	p.t.Helper()
	store, err := postgres.Connect(p.t.Context(), p.database, postgres.Options{Owner: name})
	p.must(err)
	p.t.Cleanup(store.Close)
	return owner{store, processor.NewExpirer(store, sender{p.publisher()}, p.minter, slog.New(slog.DiscardHandler), nil)}
}

func (p *pair) claim(o owner) {
	p.t.Helper()
	_, err := o.Claim(p.t.Context(), topicName, 0, processor.Memory{})
	p.must(err)
}

func (p *pair) due(o owner) []ledger.Hold {
	p.t.Helper()
	due, err := o.DueHolds(p.t.Context())
	p.must(err)
	return due
}

func (p *pair) sweep(o owner) {
	p.t.Helper()
	p.must(o.expirer.Sweep(p.t.Context()))
}

// sender puts records into the topic.
type sender struct{ *kafka.Publisher }

func (s sender) Send(ctx context.Context, r record.Record) (partition int, offset int64, err error) {
	return s.Publisher.Send(ctx, topicName, r)
}

func (p *pair) publisher() *kafka.Publisher {
	p.t.Helper()
	cluster, partitions := p.kafka.Client(p.t), len(p.wallets)
	producer := kafka.NewProducer(cluster, kafka.NewMetrics(nil), 0, kafka.Topic{Name: topicName, Partitions: partitions})
	publisher := kafka.NewPublisher(cluster, producer, map[string]int{topicName: partitions})
	p.t.Cleanup(func() { p.must(publisher.Close()) })
	return publisher
}

// slowIngest runs an ingest whose clock is slow, and returns where. The clock of a process of its own cannot be
// set, so it runs in this one.
func (p *pair) slowIngest() (base string) {
	p.t.Helper()
	store, err := postgres.Connect(p.t.Context(), p.database, postgres.Options{})
	p.must(err)
	p.t.Cleanup(store.Close)
	cluster := p.kafka.Client(p.t)
	topic, err := cluster.Describe(p.t.Context(), topicName)
	p.must(err)
	server, err := ingest.New(ingest.Options{
		Queue:   kafka.NewQueue(p.publisher(), cluster, topic, nil),
		History: store, Accounts: store, Registry: store, Direct: store, DryRuns: store, Minter: p.minter, Partitions: topic.Partitions,
		Log: slog.New(slog.DiscardHandler), Clock: func() time.Time { return time.Now().Add(-slowBy) },
	})
	p.must(err)
	l, err := (&net.ListenConfig{}).Listen(p.t.Context(), "tcp", "127.0.0.1:0")
	p.must(err)
	ctx, stop := context.WithCancel(context.WithoutCancel(p.t.Context()))
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, l, stopTimeout) }()
	p.t.Cleanup(func() {
		stop()
		p.must(<-done)
	})
	return "http://" + l.Addr().String()
}
