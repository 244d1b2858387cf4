package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/monedero/monedero/internal/ledger"
)

const (
	// waiters wait at the same time, each for an operation of its own: so many that every
	// merchant gets all the places that it asks for (three quarters of the 1,000, and
	// the same number in each partition).
	waiters = 720
	// waitWallets: no other row has a world of that scale, so nothing else is decided.
	waitWallets = 200
	// waitApart is how long after one caller the next one comes: an ingest refuses
	// more requests at once than it takes in hand, and whoever waits is not in hand.
	waitApart = 5 * time.Millisecond
	// waitSeconds is for how long each would wait.
	waitSeconds = 30
	// ticksPerSecond is how often an ingest looks at the progress for all who wait, while nothing moves.
	ticksPerSecond = 50
	// waitIdle is for how long they are watched before anything is decided.
	waitIdle = 5 * time.Second
	// lookupsMetric counts the queries for outcomes that an ingest made.
	lookupsMetric = `monedero_lookups_total{result="ok"}`
)

func waitRow() Row {
	return Row{
		Name: "wait",
		What: fmt.Sprintf("queries for outcomes a second of an ingest while %d callers wait with Prefer: wait, against one for each of its ticks; "+
			"all of them are answered with the outcome", waiters),
		Unit: "queries/s",
		Goal: ratioAtMost(1.10),
		measure: func(ctx context.Context, r *run) (Figures, error) {
			return r.wait(ctx)
		},
	}
}

// wait has callers wait for operations that nobody decides, watches what that
// costs, and then lets a processor decide them.
func (r *run) wait(ctx context.Context) (Figures, error) {
	return onCopy(ctx, r, scale{partitions: 8, wallets: waitWallets}, func(w *world, d *database) (Figures, error) {
		return r.waitOn(ctx, w, d)
	})
}

func (r *run) waitOn(ctx context.Context, w *world, d *database) (f Figures, err error) {
	requests, err := r.waits(ctx, w, d)
	if err != nil {
		return f, err
	}
	callers, err := r.start(ctx, partCallers, partEnviron()...)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, callers.stop()) }()
	admin, err := freeAddress(ctx)
	if err != nil {
		return f, err
	}
	ours, at, err := r.startIngest(ctx, w, d, "ADMIN_ADDR="+admin)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	if err := callers.tell(calls{
		Address: at, Callers: waiters, Apart: waitApart, Requests: requests, Status: http.StatusOK, Final: true,
	}); err != nil {
		return f, err
	}
	if err := pause(ctx, waiters*waitApart+warmFor); err != nil {
		return f, err
	}
	processes := append(r.metered("ingest", ours), metered{name: "callers", pids: []int{callers.pid()}})
	before, err := readMetric(ctx, admin, lookupsMetric)
	if err != nil {
		return f, err
	}
	used, watched := read(processes), time.Now()
	if err := pause(ctx, waitIdle); err != nil {
		return f, err
	}
	cpu := between(processes, used, read(processes), 0)
	after, err := readMetric(ctx, admin, lookupsMetric)
	if err != nil {
		return f, err
	}
	took := time.Since(watched).Seconds()
	f.Ours, f.Limit = series{(after - before) / took}, series{ticksPerSecond}
	for _, u := range cpu.Uses {
		f.Notes = append(f.Notes, fmt.Sprintf("%s: %s ms of CPU time a second while they wait", u.Process, figure(u.Seconds*1000/took)))
	}
	began := time.Now()
	if err := r.settleAll(ctx, w, d, w.before+waiters); err != nil {
		return f, err
	}
	settled := time.Since(began)
	done, err := callers.called(ctx)
	if err != nil {
		return f, err
	}
	f.Notes = append(f.Notes, fmt.Sprintf("%d of %d answered with the outcome, the last one %s ms after all was settled",
		done.Requests, waiters, figure(milliseconds(max(0, time.Since(began)-settled)))))
	return f, nil
}

// waits are for charges that lie in the topic and are not decided, by the merchants that
// asked: one alone would not get all places.
func (r *run) waits(ctx context.Context, w *world, d *database) ([]string, error) {
	keys, err := r.merchantKeys(ctx, w, d)
	if err != nil {
		return nil, err
	}
	producer, done, err := r.producer(w)
	if err != nil {
		return nil, err
	}
	var requests []string
	for partition := range w.partitions {
		draw := w.draw(partition)
		list := make([]ledger.Request, waiters/w.partitions)
		for i := range list {
			list[i] = r.minted(draw())
			requests = append(requests, getOperation(list[i].ID.String(), keys[list[i].Merchant], fmt.Sprintf("Prefer: wait=%d\r\n", waitSeconds)))
		}
		if _, err := w.produce(ctx, producer, partition, list); err != nil {
			return nil, errors.Join(err, done())
		}
	}
	return requests, done()
}

// freeAddress is one that nobody listens on.
func freeAddress(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// readMetric reads a counter as Prometheus would.
func readMetric(ctx context.Context, admin, name string) (float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(fmt.Errorf("there is no metric %s", name), lines.Err())
}
