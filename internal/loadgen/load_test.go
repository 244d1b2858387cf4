package loadgen

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/access"
	"github.com/monedero/monedero/internal/client"
	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/postgres"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/service"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main{M: kafkatest.Runner{M: m}}.Run()) }

const testSecret = "a secret of the load tests, long enough"

// start starts an ingest and a processor, on a database and a Kafka of the test's
// own, and returns where the API is, and an operator's key.
func start(t *testing.T) (api, operator string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	database, broker := pgtest.New(t), kafkatest.Start(t)
	minter, err := ledger.NewMinter([]byte(testSecret))
	must(err)
	const topic = "charges.requested"
	_, err = service.CreateTopic(t.Context(), service.Topic{
		Name: topic, Group: "monedero-processor", Partitions: 4, Replication: 1, DatabaseURL: database, Brokers: broker.Brokers, Minter: minter,
	})
	must(err)
	store, err := postgres.Connect(t.Context(), database, postgres.Options{Application: "test"})
	must(err)
	defer store.Close()
	_, operator, err = access.IssueKey(t.Context(), store, minter, ledger.Key{
		Party: ledger.Party{Role: ledger.RoleOperator}, Name: "test", CreatedAt: time.Now().UTC().Truncate(time.Microsecond),
	}, ledger.Person("test", ""))
	must(err)
	environ := []string{
		"DATABASE_URL=" + database, "KAFKA_BROKERS=" + strings.Join(broker.Brokers, ","), "KAFKA_TOPIC=" + topic,
		"OPERATION_ID_SECRET=" + testSecret, "ADMIN_ADDR=", "LAME_DUCK=0",
	}
	forIngest, err := config.Load[config.Ingest](environ)
	must(err)
	forProcessor, err := config.Load[config.Processor](environ)
	must(err)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var services errgroup.Group
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	services.Go(func() error { return service.RunIngest(ctx, forIngest, log, listener) })
	services.Go(func() error { return service.RunProcessor(ctx, forProcessor, log) })
	t.Cleanup(func() {
		cancel()
		if err := services.Wait(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String(), operator
}

func lowLoad(api, operator string) Options {
	return Options{
		API: api, Operator: operator, Rate: 150, For: 4 * time.Second, Wallets: 120, Skew: 1,
		Duplicates: 0.2, Refunds: 0.15, Withdrawals: 0.1, Holds: 0.25, Poor: 0.25, Mandated: 0.3, Grants: 0.05, Follow: 0.5, InFlight: 1000, Seed: 6,
	}
}

// TestLoad puts a load on a real system.
func TestLoad(t *testing.T) {
	t.Parallel()
	o := lowLoad(start(t))
	var progress bytes.Buffer
	o.Progress = &progress
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Errorf("%v: %q", err, report.Violations)
	}
	for _, outcome := range []string{
		"charge accepted", "charge insufficient_funds", "withdraw accepted", "withdraw insufficient_funds",
		"refund accepted", "refund refund_exceeds_charge", "refund charge_not_accepted",
		"hold accepted", "hold insufficient_funds", "capture accepted", "capture hold_closed", "release accepted",
		"charge mandate_limit_exceeded", "charge mandate_required", "grant accepted", "revoke accepted",
	} {
		if report.Outcomes[outcome] == 0 {
			t.Errorf("there is no %s: %v", outcome, report.Outcomes)
		}
	}
	// A refund that is due before its charge was answered is left out, and not all of its submissions have to be.
	sent := 600 - report.LeftOut
	if n := report.Requests.Sum(); n >= 600 || report.Submissions != 600 || report.Outcomes.Sum() > n || report.Outcomes.Sum() < n-report.LeftOut {
		t.Errorf("%d submissions of %v came to %v, %d left out", report.Submissions, report.Requests, report.Outcomes, report.LeftOut)
	}
	if n := report.Accept.Count + report.Outcome.Count + report.Direct.Count; n != sent || sent < 500 || report.Direct.Count < 10 || report.Outcome.Count < 50 || report.Accept.Count < 50 || report.Late.Count != 600 {
		t.Errorf("%d submissions were measured: %+v", n, report)
	}
	for name, s := range map[string]Spread{"accept": report.Accept, "outcome": report.Outcome} {
		if s.P50 <= 0 || s.P50 > s.P90 || s.P90 > s.P99 || s.P99 > s.P999 || s.P999 > s.Max {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if report.Answers["202"]+report.Answers["200"] != sent || len(report.Answers) != 2 {
		t.Errorf("the answers are %v", report.Answers)
	}
	if !strings.Contains(progress.String(), "send 600 submissions") {
		t.Errorf("it said %q", &progress)
	}
	var text, object bytes.Buffer
	err = report.Write(&text)
	for _, want := range []string{"to the outcome", "to decided at once", " revocations", "add up"} {
		if err != nil || !strings.Contains(text.String(), want) {
			t.Errorf("%v, no %q in\n%s", err, want, &text)
		}
	}
	t.Log(&text)
	var again Report
	if err := report.WriteJSON(&object); err != nil || json.Unmarshal(object.Bytes(), &again) != nil || again.Accept != report.Accept {
		t.Errorf("%v\n%s", err, &object)
	}
}

// loaded is a load that ran and was as it should be.
func loaded(t *testing.T, o Options) *load {
	t.Helper()
	l := newLoad(o)
	t.Cleanup(l.api.Close)
	for _, step := range []func(context.Context) error{l.found, l.drive, l.check} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if r := l.report(); r.Err() != nil {
		t.Fatalf("%v: %q", r.Err(), r.Violations)
	}
	return l
}

// mostLoads are tried until one has every case.
const mostLoads = 5

// cases are what a load has of each kind that can be tampered with.
type cases struct {
	rich                            int // a charge that neither the wallet's money nor a mandate stands against
	part, tooMuch, out, taken, held *request
	mandated                        int32                 // a wallet, the mandate of which by ends has run out
	lets, lacks, ends               map[int]client.Limits // the mandates of a wallet
	revoked                         int                   // a revocation that was accepted
	granted                         int32                 // a grant behind which, and before another of the wallet's, a charge was accepted
}

// casesOf finds them, or says what there is none of.
func casesOf(l *load) (c *cases, lacks string) {
	// free says that neither the wallet's money nor a mandate stands against the request.
	free := func(i int) bool {
		m, _ := l.plan.merchant(int32(i))
		w := l.plan.requests[i].wallet
		return !l.plan.poor[w] && l.plan.mandates[w][m].Total == 0 && l.plan.lets(int32(i)) && !l.plan.hangsOnOrder(int32(i))
	}
	lack := func(format string, args ...any) {
		if lacks == "" {
			lacks = fmt.Sprintf(format, args...)
		}
	}
	// of finds a request that is free, and the first that refers to what it refers to: that is all there.
	of := func(kind ledger.Kind, amount int32, keeps bool) *request {
		referred := map[int32]bool{}
		for i := range l.plan.requests {
			c := &l.plan.requests[i]
			if c.id == "" || !free(i) {
				continue
			}
			if c.kind == kind && c.amount == amount && c.keeps == keeps && !(client.Refers(kind) && referred[c.of]) {
				return c
			}
			if client.Refers(c.kind) {
				referred[c.of] = true
			}
		}
		lack("%s of %d", kind, amount)
		return nil
	}
	// under finds the mandates of the wallet of a merchant's charge that this became of.
	under := func(merchant int, became string) (wallet int32, given map[int]client.Limits) {
		for i, c := range l.plan.requests {
			if m, ok := l.plan.merchant(int32(i)); ok && m == merchant && c.outcome == became && l.plan.mandates[c.wallet] != nil {
				return c.wallet, l.plan.mandates[c.wallet]
			}
		}
		lack("%s of a mandated wallet", became)
		return 0, nil
	}
	c = &cases{
		part: of(ledger.KindRefund, 40, false), tooMuch: of(ledger.KindRefund, 101, false), out: of(ledger.KindWithdraw, 100, false),
		taken: of(ledger.KindCapture, 40, true), held: of(ledger.KindHold, 100, false), granted: -1,
	}
	for !free(c.rich) || l.plan.requests[c.rich].kind != ledger.KindCharge {
		c.rich++
	}
	_, c.lets = under(holder, "charge accepted")
	_, c.lacks = under(unlet, "charge mandate_required")
	c.mandated, c.ends = under(limited, "charge mandate_limit_exceeded")
	last := map[int32]int32{}
	for i, r := range l.plan.requests {
		at, after := last[r.wallet]
		switch {
		case r.kind == ledger.KindGrant && l.plan.limits[int32(i)].MaxAmount == 0:
			last[r.wallet] = int32(i)
		case client.Direct(r.kind):
			delete(last, r.wallet)
		case after && r.outcome == "charge accepted" && l.plan.hangsOnOrder(int32(i)):
			c.granted = at
		}
	}
	if c.granted < 0 {
		lack("charge under a mandate that was granted again")
	}
	if c.revoked = slices.IndexFunc(l.plan.requests, func(r request) bool { return r.outcome == "revoke accepted" }); c.revoked < 0 {
		lack("revocation")
	}
	return c, lacks
}

// TestLoadFindsWhatIsNotAsExpected runs a load and then changes what is expected of
// it, one thing after the other: each is found.
func TestLoadFindsWhatIsNotAsExpected(t *testing.T) {
	t.Parallel()
	options := lowLoad(start(t))
	var l *load
	var cs *cases
	for try := 1; ; try++ { // a slow machine refuses some, and decides others late
		l = loaded(t, options)
		var lacks string
		if cs, lacks = casesOf(l); lacks == "" {
			break
		}
		if try == mostLoads {
			t.Fatalf("the last of %d loads has no %s: %v", try, lacks, l.outcomes)
		}
		options.Seed++
	}
	rich, part, tooMuch, out, taken, held := cs.rich, cs.part, cs.tooMuch, cs.out, cs.taken, cs.held
	c, good, till := &l.plan.requests[rich], l.plan.requests[rich], l.world.merchants[0].id
	charged, capturedOf := part.of, taken.of
	mandated, lets, lacks, ends := cs.mandated, cs.lets, cs.lacks, cs.ends
	let, total := lets[holder], ends[limited]
	revoked, granted := cs.revoked, cs.granted
	revocation, limits := l.plan.requests[revoked], l.plan.limits[granted]
	var grant string
	for grant = range l.world.grants { // whichever comes first
		break
	}
	grantee := l.world.grants[grant]
	for name, tampered := range map[string]struct {
		do, undo func()
		want     string
	}{
		"a rich wallet taken for a poor one": {
			func() { l.plan.poor[good.wallet] = true }, func() { l.plan.poor[good.wallet] = false }, `is "", not "insufficient_funds"`,
		},
		"an outcome that a caller saw": {
			func() { c.outcome = "charge wallet_frozen" }, func() { c.outcome = good.outcome }, "was charge wallet_frozen, and then charge accepted",
		},
		"another operation": {
			func() { c.id = l.plan.requests[rich+1].id }, func() { c.id = good.id }, "is on record",
		},
		"a charge that was not taken": {
			func() { c.id = "" }, func() { c.id = good.id }, "was not taken, and",
		},
		"a charge that nobody made": {
			func() { c.wallet++ }, func() { c.wallet = good.wallet }, "which nobody asked of it",
		},
		"money in a wallet": {
			func() { l.world.funds[5]++ }, func() { l.world.funds[5]-- }, "moved ",
		},
		"a refund of another part": {
			func() { part.amount++ }, func() { part.amount-- }, "does not show what was asked",
		},
		"a refund of more than is left": {
			func() { part.amount = 101 }, func() { part.amount = 40 }, "is accepted, not refund_exceeds_charge",
		},
		"a refund of less than is left": {
			func() { tooMuch.amount = 1 }, func() { tooMuch.amount = 101 }, "is refund_exceeds_charge, not accepted",
		},
		"a refund of another charge": {
			func() { part.of = int32(rich) }, func() { part.of = charged }, "does not show what was asked",
		},
		"a capture that ended its hold": {
			func() { taken.keeps = false }, func() { taken.keeps = true }, "of what it refers to, not 0",
		},
		"a capture of more than is held": {
			func() { taken.amount = 101 }, func() { taken.amount = 40 }, "is accepted, not exceeds_hold",
		},
		"a capture of another hold": {
			func() { taken.of = int32(rich) }, func() { taken.of = capturedOf }, "does not show what was asked",
		},
		"a hold of more than the wallet holds": {
			func() { held.amount = 1 << 30 }, func() { held.amount = 100 }, "is accepted, not insufficient_funds",
		},
		"a withdrawal of more than the wallet holds": {
			func() { out.amount = 1 << 30 }, func() { out.amount = 100 }, "is accepted, not insufficient_funds",
		},
		"a mandate that was not given": {
			func() { delete(lets, holder) }, func() { lets[holder] = let }, `is "", not "mandate_required"`,
		},
		"a mandate that was given": {
			func() { lacks[unlet] = client.Limits{} }, func() { delete(lacks, unlet) }, `is "mandate_required", not`,
		},
		"a mandate of a larger total": {
			func() { ends[limited] = client.Limits{} }, func() { ends[limited] = total }, "is mandate_limit_exceeded, not accepted",
		},
		"a mandate of a smaller total": {
			func() { ends[limited] = client.Limits{Total: 1} }, func() { ends[limited] = total }, "is accepted, not mandate_limit_exceeded",
		},
		"how much a mandate lets through": {
			func() { ends[limited] = client.Limits{Total: total.Total + 1} }, func() { ends[limited] = total }, "says that the mandate lets",
		},
		"a mandated wallet that anyone charges": {
			func() { l.plan.mandates[mandated] = nil }, func() { l.plan.mandates[mandated] = ends }, "not wallet_not_mandated",
		},
		"a revocation of another wallet": {
			func() { l.plan.requests[revoked].wallet++ }, func() { l.plan.requests[revoked] = revocation }, "which nobody asked of it",
		},
		"a revocation that was not taken": {
			func() { l.plan.requests[revoked].id = "" }, func() { l.plan.requests[revoked] = revocation }, "which nobody asked of it",
		},
		"a revocation that was another": {
			func() { l.plan.requests[revoked].id = l.plan.requests[granted].id }, func() { l.plan.requests[revoked] = revocation }, "which nobody asked of it",
		},
		"other limits of a grant": {
			func() { l.plan.limits[granted] = client.Limits{PerDay: 1} }, func() { l.plan.limits[granted] = limits }, "is accepted, not mandate_limit_exceeded",
		},
		"other limits than are shown": {
			func() { l.plan.limits[granted] = client.Limits{PerDay: 1} }, func() { l.plan.limits[granted] = limits }, "does not show what was asked",
		},
		"a mandate that nobody gave": {
			func() { delete(l.world.grants, grant) }, func() { l.world.grants[grant] = grantee }, "which nobody asked of it",
		},
		"a merchant's money": {
			func() { l.world.merchants[0].id = l.world.merchants[1].id }, func() { l.world.merchants[0].id = till }, "merchant ",
		},
	} {
		l.violations = nil
		tampered.do()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := l.checkWithin(ctx, time.Second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		tampered.undo()
		if err := l.report().Err(); err == nil || !strings.Contains(strings.Join(l.violations, "\n"), tampered.want) {
			t.Errorf("%s: %v %q", name, err, l.violations)
		}
	}
}

// TestLoadBearsTrouble puts something between that loses and refuses submissions:
// each is found out about in the end, and nothing is wrong.
func TestLoadBearsTrouble(t *testing.T) {
	t.Parallel()
	o := lowLoad(start(t))
	target, err := url.Parse(o.API)
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(target)
	var submissions atomic.Int64
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int64(0)
		founding := strings.HasPrefix(r.Header.Get("Idempotency-Key"), "load ")
		if r.Method != http.MethodGet && !founding && slices.ContainsFunc([]string{"/charges", "/refunds", "/withdrawals", "/holds", "/captures", "/releases", "/mandates/"}, func(kind string) bool {
			return strings.Contains(r.URL.Path, kind)
		}) {
			n = submissions.Add(1) % 10
		}
		switch n {
		case 1: // it arrives, and the answer is lost
			forward.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case 2: // it does not arrive, and nobody says so
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3: // it is refused
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"code":"overloaded"}`))
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(between.Close)
	o.API = between.URL
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := report.Err(); err != nil {
		t.Errorf("%v: %q", err, report.Violations)
	}
	for _, answer := range []string{noAnswer, "503", "503 overloaded"} {
		if report.Answers[answer] == 0 {
			t.Errorf("nothing was answered %q: %v", answer, report.Answers)
		}
	}
	if n := report.Answers["503 overloaded"]; report.Shed.Count != n || report.Resubmitted == 0 {
		t.Errorf("%d resubmitted, %+v for %d refusals", report.Resubmitted, report.Shed, n)
	}
	if n, all := report.Outcomes.Sum(), report.Requests.Sum(); n >= all || n < all/2 {
		t.Errorf("%d of %d requests were taken", n, all)
	}
}
