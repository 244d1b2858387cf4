package system

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/loadgen"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/proxytest"
)

// TestOverload sends many times what ingest can carry, which a slow network to
// Kafka keeps low: it refuses what is too much, and at once; what it takes gets its
// outcome; and it serves everybody again as soon as the load is gone.
func TestOverload(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real binaries for a quarter of a minute")
	}
	t.Parallel()
	const slow = 400 * time.Millisecond // for each chunk on its way to Kafka
	broker, proxy := newBrokerBehindProxy(t)
	s := newStackWith(t, pgtest.New(t), broker, 4)
	gate, operator := s.ingest()
	s.processor()
	run := func(o loadgen.Options, meanwhile func()) (report loadgen.Report) {
		t.Helper()
		o.API, o.Operator, o.Progress = operator.base, operator.key, t.Output()
		var group errgroup.Group
		group.Go(func() (err error) {
			report, err = loadgen.Run(t.Context(), o)
			return err
		})
		meanwhile()
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if err := report.Write(t.Output()); err != nil || report.Err() != nil {
			t.Errorf("%v, %v: %q", err, report.Err(), report.Violations)
		}
		return report
	}
	const wallets = 50
	over := run(loadgen.Options{
		Rate: 1200, For: 4 * time.Second, Wallets: wallets, Skew: 0.5, Duplicates: 0.05, Poor: 0.1, Follow: 0.1, InFlight: 8000, Seed: 1,
	}, func() {
		awaitThat(t, "the wallets have money, and charges come", func() bool { return gate.metric("monedero_submissions_total") > wallets })
		proxy.Delay(proxytest.ToServer, slow)
	})
	// How many of each there are hangs on the machine. That no charge is lost, and that each has
	// its outcome, is what the report says.
	shed, taken := over.Answers["503 overloaded"], over.Answers["202"]+over.Answers["200"]
	if shed == 0 || taken == 0 {
		t.Errorf("the answers are %v: some are to be taken, and some refused", over.Answers)
	}
	counted := gate.metric("monedero_shed_total")
	if counted < float64(shed) {
		t.Errorf("%v were shed by the metric, %d by the callers", counted, shed)
	}
	proxy.Heal()
	after := run(loadgen.Options{Rate: 50, For: 2 * time.Second, Wallets: 20, Poor: 0.1, Follow: 0.5, InFlight: 500, Seed: 2}, func() {})
	if n := after.Answers["202"] + after.Answers["200"]; n == 0 || len(after.Answers) > 2 || gate.metric("monedero_shed_total") != counted {
		t.Errorf("after the overload the answers are %v", after.Answers)
	}
	t.Log(s.monedero("verify"))
}

// TestEveryConnectionTaken opens more connections than an ingest serves at once, without a
// key, and keeps them: they are closed in favour of those that come, and operators get all answers.
func TestEveryConnectionTaken(t *testing.T) {
	t.Parallel()
	const most, more = 1640, 20 // most as in docs/operations.md
	gate, operator := newStack(t, 4).ingest()
	ctx, cancel := context.WithTimeout(t.Context(), awaitTimeout)
	defer cancel()
	for i := range most + more {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(operator.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(awaitTimeout)); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("connection %d: %v", i+1, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("connection %d is answered %d", i+1, resp.StatusCode)
		}
	}
	if !gate.ready() {
		t.Error("the admin port does not say that it is ready")
	}
	if n := gate.metric("monedero_shed_total"); n != more {
		t.Errorf("%v connections were closed by the metric, want %d", n, more)
	}
}
