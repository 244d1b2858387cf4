package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/semaphore"

	"github.com/monedero/monedero/internal/devstack"
)

// Choice in the environment says which Kafka the tests run on: "kfake" alone,
// "real" alone (where none can be had, the tests fail), or, if it is empty, both
// where a real one can be had, which the log says.
const Choice = "KAFKA_TEST"

const (
	onlyKfake = "kfake"
	onlyReal  = "real"
)

// choice reads Choice.
func choice(t testing.TB) string {
	t.Helper()
	c := os.Getenv(Choice)
	if c != "" && c != onlyKfake && c != onlyReal {
		t.Fatalf("%s is %q: want %s, %s or nothing", Choice, c, onlyKfake, onlyReal)
	}
	return c
}

// real is a Kafka that is not kfake. Brokers count from 0.
type real interface {
	Brokers() []string
	StopBroker(i int)
	KillBroker(i int)
	SuspendBroker(i int)
	ResumeBroker(i int)
	StartBroker(ctx context.Context, i int) error
	Stop() error
}

// Each runs f on kfake and on a real Kafka, as subtests of these names. Other tests
// of the process use the real one too: f works on topics of its own, and leaves
// the broker alone. Where the choice is open and there is no real Kafka, that
// subtest is skipped and says why.
func Each(t *testing.T, f func(t *testing.T, k *Kafka)) {
	t.Helper()
	each(t, Shared, f)
}

// EachOwn is Each with a broker that no other test uses, so that f may stop, kill
// and restart it: see [Own] for the real one.
func EachOwn(t *testing.T, f func(t *testing.T, k *Kafka)) {
	t.Helper()
	each(t, func(t testing.TB) *Kafka { t.Helper(); return Own(t, 1) }, f)
}

func each(t *testing.T, open func(testing.TB) *Kafka, f func(t *testing.T, k *Kafka)) {
	t.Helper()
	c := choice(t)
	if c != onlyReal {
		t.Run("kfake", func(t *testing.T) {
			t.Parallel()
			f(t, Start(t))
		})
	}
	if c != onlyKfake {
		t.Run("real", func(t *testing.T) {
			t.Parallel()
			f(t, open(t))
		})
	}
}

// Open gives a test that runs once a Kafka that no other test uses: kfake, or with
// KAFKA_TEST=real one that [Own] starts, and never the one at KAFKA_BROKERS.
func Open(t testing.TB) *Kafka {
	t.Helper()
	if choice(t) == onlyReal {
		return Own(t, 1)
	}
	t.Logf("this runs on kfake; %s=%s runs it on a real Kafka", Choice, onlyReal)
	return Start(t)
}

// Shared is a real Kafka that other tests of the process use too: the one at
// KAFKA_BROKERS, else one in Docker, else one run by java. It starts with the
// first test that needs it.
func Shared(t testing.TB) *Kafka {
	t.Helper()
	r, err := shared.get()
	if err != nil {
		missing(t, err)
	}
	return &Kafka{Brokers: r.Brokers(), real: r, shared: true}
}

// Own starts a real Kafka of so many brokers that no other test uses: one broker in
// Docker where that answers, else, and always when there are several, by java. It
// ends with the test. KAFKA_BROKERS is not asked: a test that takes its own stops and
// kills brokers, and makes topics of fixed names, which nobody may do to a Kafka
// that was given. Own waits for other tests to end where mostBrokers would run at once.
func Own(t testing.TB, brokers int) *Kafka {
	t.Helper()
	takeTurns(t, brokers)
	ctx, cancel := context.WithTimeout(t.Context(), lifecycleTimeout)
	defer cancel()
	r, err := startReal(ctx, brokers)
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &Kafka{Brokers: r.Brokers(), real: r}
}

// mostBrokers is how many brokers that belong to single tests run at once in the
// process: as many as the largest cluster has. Each is a JVM, and more of them
// starve a small machine. The shared one is not counted.
const mostBrokers = 3

// running is the share of mostBrokers that is taken.
var running = semaphore.NewWeighted(mostBrokers)

// takeTurns waits until so many more brokers may run, until the test ends.
func takeTurns(t testing.TB, brokers int) {
	t.Helper()
	if brokers > mostBrokers {
		t.Fatalf("%d brokers: a test may have %d", brokers, mostBrokers)
	}
	if err := running.Acquire(t.Context(), int64(brokers)); err != nil {
		t.Fatal("wait for other tests' brokers to end: ", err)
	}
	t.Cleanup(func() { running.Release(int64(brokers)) })
}

// NeedReal ends a test that runs Apache Kafka by java itself, where it is not
// wanted or cannot be had.
func NeedReal(t testing.TB) {
	t.Helper()
	if choice(t) == onlyKfake {
		t.Skipf("%s=%s", Choice, onlyKfake)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lifecycleTimeout)
	defer cancel()
	if err := devstack.ApacheReady(ctx); err != nil {
		missing(t, err)
	}
}

// missing ends a test that there is no real Kafka for.
func missing(t testing.TB, err error) {
	t.Helper()
	if choice(t) == onlyReal {
		t.Fatalf("%s=%s, and there is no real Kafka: %v", Choice, onlyReal, err)
	}
	t.Skipf("NOT TESTED ON A REAL KAFKA, only on kfake: %v", err)
}

// startReal starts one in Docker where that answers, else by java.
func startReal(ctx context.Context, brokers int) (real, error) {
	noDocker := errors.New("ask Docker: it is for one broker only")
	if brokers == 1 {
		c, err := startContainer(ctx)
		if err == nil {
			return c, nil
		}
		noDocker = err
	}
	a, err := devstack.StartApache(ctx, devstack.ApacheOptions{Brokers: brokers})
	if err != nil {
		return nil, errors.Join(noDocker, err)
	}
	return a, nil
}

// given is a Kafka that runs already. Nobody stops it.
type given []string

// Brokers are the addresses that were given.
func (g given) Brokers() []string { return g }

// StopBroker panics.
func (g given) StopBroker(int) { panic("kafkatest: a given Kafka is not ours to stop") }

// KillBroker panics.
func (g given) KillBroker(int) { panic("kafkatest: a given Kafka is not ours to kill") }

// SuspendBroker panics.
func (g given) SuspendBroker(int) { panic("kafkatest: a given Kafka is not ours to suspend") }

// ResumeBroker does nothing.
func (g given) ResumeBroker(int) {}

// StartBroker fails.
func (g given) StartBroker(context.Context, int) error { return errors.New("it is not ours to start") }

// Stop leaves it running.
func (g given) Stop() error { return nil }

// shared is the real Kafka of the process.
var shared = &lazy{}

// lazy starts with the first test that needs it.
type lazy struct {
	once sync.Once
	real real
	err  error
}

func (l *lazy) get() (real, error) {
	l.once.Do(func() {
		if brokers := os.Getenv("KAFKA_BROKERS"); brokers != "" {
			l.real = given(strings.Split(brokers, ","))
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), lifecycleTimeout)
		defer cancel()
		l.real, l.err = startReal(ctx, 1)
	})
	return l.real, l.err
}

// stop ends it if it was started; it is not started again.
func (l *lazy) stop() error {
	l.once.Do(func() { l.err = errors.New("the tests are over") })
	if l.real == nil {
		return nil
	}
	return l.real.Stop()
}

// Runner runs the tests of a package and stops the shared Kafka after them. [Main]
// does it; a package with a TestMain of its own puts it around m.
type Runner struct{ M interface{ Run() int } }

// Run returns the exit code.
func (r Runner) Run() int {
	code := r.M.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stop the shared Kafka:", err)
		return max(code, 1)
	}
	return code
}
