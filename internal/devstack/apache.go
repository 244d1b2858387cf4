package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// Limits of starting and stopping Apache Kafka.
const (
	// apacheTimeout covers formatting and starting on a busy machine.
	apacheTimeout = 2 * time.Minute
	// apacheAttempts is how often free ports are looked for: one that was free a
	// moment ago may be taken.
	apacheAttempts = 3
	// apacheStopTimeout is how long a broker may take to shut down in order.
	apacheStopTimeout = 20 * time.Second
)

// ApacheOptions say how StartApache is to start Apache Kafka. The zero value is
// one broker in a temporary folder.
type ApacheOptions struct {
	// Dir keeps topics, records, groups and the cluster's ID from run to run. If
	// it is empty, a temporary folder is used and removed by Stop.
	Dir string
	// Brokers is how many there are, each a controller too; 0: one. With three and
	// more, topics have three replicas unless they say otherwise, of which two must
	// have a record before it is acknowledged.
	Brokers int
	// Port of the first broker on 127.0.0.1; 0: a free one.
	Port int
	// Log gets a few lines; nil: none.
	Log *slog.Logger
}

// Apache is a running Apache Kafka: one broker or several, each a process.
type Apache struct {
	dir     string
	id      string
	java    string
	jars    string
	brokers []*apacheBroker
	lock    *lock
	remove  string // folder to remove at the end
	stop    func() error
}

// StartApache runs Apache Kafka 4.1.1 and returns when all of it answers. It wants
// java 17 or newer in JAVA_HOME or PATH. The jars are downloaded from Maven Central
// when they are first needed, compared with the hashes that this build knows, and
// kept in a cache folder. Brokers listen on loopback only. On Linux they end with
// this process, however that ends. ctx is for the start only; Stop ends them.
func StartApache(ctx context.Context, o ApacheOptions) (_ *Apache, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Apache{}
	a.stop = sync.OnceValue(a.stopOwn)
	defer func() {
		if err != nil {
			_ = a.Stop() // the first error is the one to tell
			err = fmt.Errorf("start Apache Kafka: %w", err)
		}
	}()
	if a.java, a.jars, err = findApache(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, apacheTimeout)
	defer cancel()
	if err := a.takeFolder(o.Dir); err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		if err = a.configure(ctx, max(o.Brokers, 1), o.Port); err != nil {
			return nil, err
		}
		if err = a.each(ctx, (*apacheBroker).start); err == nil {
			break
		}
		for _, b := range a.brokers {
			b.kill()
		}
		if attempt == apacheAttempts || ctx.Err() != nil {
			return nil, err
		}
	}
	o.Log.Info("kafka started", "version", ApacheVersion, "brokers", a.Brokers(), "dir", a.dir)
	return a, nil
}

// ApacheReady looks for java and the jars, which it downloads where they are
// missing, and says what StartApache would fail for.
func ApacheReady(ctx context.Context) error {
	_, _, err := findApache(ctx)
	return err
}

// findApache finds java and the folder of the jars.
func findApache(ctx context.Context) (java, jars string, err error) {
	if java, err = findJava(ctx); err != nil {
		return "", "", err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", "", err
	}
	jars, err = fetchJars(ctx, cache, cmp.Or(os.Getenv(MavenURL), mavenBase), apacheJars)
	return java, jars, err
}

// Brokers are the addresses to connect to, host:port, by number.
func (a *Apache) Brokers() []string {
	addresses := make([]string, len(a.brokers))
	for i, b := range a.brokers {
		addresses[i] = b.address()
	}
	return addresses
}

// Processes are the process IDs of the brokers, by number.
func (a *Apache) Processes() []int {
	pids := make([]int, 0, len(a.brokers))
	for _, b := range a.brokers {
		pids = append(pids, b.process.cmd.Process.Pid)
	}
	return pids
}

// StopBroker shuts a broker down in order, or by force if that takes longer than
// 20 s. Brokers count from 0; the ID of broker 0 is 1.
func (a *Apache) StopBroker(i int) { a.brokers[i].shutDown() }

// KillBroker ends a broker with SIGKILL.
func (a *Apache) KillBroker(i int) { a.brokers[i].kill() }

// SuspendBroker lets a broker stand still (SIGSTOP), with its connections open.
func (a *Apache) SuspendBroker(i int) { a.brokers[i].process.signal(syscall.SIGSTOP) }

// ResumeBroker lets a suspended broker go on.
func (a *Apache) ResumeBroker(i int) { a.brokers[i].process.signal(syscall.SIGCONT) }

// StartBroker starts a stopped or killed broker on its data and its port, and
// returns when it answers.
func (a *Apache) StartBroker(ctx context.Context, i int) error {
	ctx, cancel := context.WithTimeout(ctx, apacheTimeout)
	defer cancel()
	for {
		err := a.brokers[i].start(ctx)
		if err == nil {
			return nil
		}
		a.brokers[i].kill()
		// Its port may be taken for a moment.
		if ctx.Err() != nil || pause(ctx, retryPause) != nil {
			return fmt.Errorf("start broker %d of Apache Kafka: %w", a.brokers[i].id, err)
		}
	}
}

// Stop shuts the brokers down and waits until they have ended. A temporary folder
// is removed. A second call does nothing and returns the same.
func (a *Apache) Stop() error { return a.stop() }

// wait blocks until ctx ends, or until a broker ends by itself.
func (a *Apache) wait(ctx context.Context) error {
	return a.each(ctx, func(b *apacheBroker, ctx context.Context) error {
		select {
		case <-ctx.Done():
			return nil
		case <-b.process.done:
			return fmt.Errorf("kafka ended by itself: %w", cmp.Or(b.process.err, errEnded))
		}
	})
}

func (a *Apache) stopOwn() error {
	_ = a.each(context.Background(), func(b *apacheBroker, _ context.Context) error {
		if a.remove != "" {
			b.kill() // nothing of it is kept
		} else {
			b.shutDown()
		}
		return nil
	})
	var faults []error
	if a.remove != "" {
		faults = append(faults, os.RemoveAll(a.remove))
	}
	if a.lock != nil {
		faults = append(faults, a.lock.release())
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("stop Apache Kafka: %w", err)
	}
	return nil
}

// each does something to all brokers at once: those of a cluster start and stop
// together, because alone they wait for the others.
func (a *Apache) each(ctx context.Context, f func(*apacheBroker, context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, b := range a.brokers {
		group.Go(func() error { return f(b, ctx) })
	}
	return group.Wait()
}

// takeFolder makes the folder, or a temporary one, locks it, and finds the
// cluster's ID in it or gives it one.
func (a *Apache) takeFolder(given string) (err error) {
	if given == "" {
		if a.dir, err = os.MkdirTemp("", "monedero-kafka-*"); err != nil {
			return fmt.Errorf("make temporary folder: %w", err)
		}
		a.remove = a.dir
	} else {
		if a.dir, err = filepath.Abs(given); err != nil {
			return fmt.Errorf("find folder: %w", err)
		}
		if err := makeFolder(a.dir, 0o700); err != nil {
			return err
		}
	}
	if a.lock, err = lockDir(a.dir); err != nil {
		return err
	}
	file := filepath.Join(a.dir, "cluster-id")
	id, err := os.ReadFile(file)
	switch {
	case err == nil:
		a.id = strings.TrimSpace(string(id))
	case errors.Is(err, fs.ErrNotExist):
		a.id = newClusterID()
		if err := os.WriteFile(file, []byte(a.id+"\n"), 0o600); err != nil {
			return fmt.Errorf("write the cluster's ID: %w", err)
		}
	default:
		return fmt.Errorf("read the cluster's ID: %w", err)
	}
	return nil
}

// configure gives the brokers their ports.
func (a *Apache) configure(ctx context.Context, n, port int) error {
	a.brokers = nil
	var voters []string
	for i := range n {
		b := &apacheBroker{cluster: a, id: i + 1, dir: filepath.Join(a.dir, "broker-"+strconv.Itoa(i+1))}
		if i == 0 {
			b.port = port
		}
		for _, p := range []*int{&b.port, &b.controller} {
			if *p == 0 {
				var err error
				if *p, err = LastingPort(ctx); err != nil {
					return err
				}
			}
		}
		a.brokers = append(a.brokers, b)
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", b.id, b.controller))
	}
	for _, b := range a.brokers {
		b.voters = strings.Join(voters, ",")
	}
	return nil
}

// LastingPort is a free port that the system gives to nobody by itself: a server
// that was killed finds it free again.
func LastingPort(ctx context.Context) (int, error) {
	const from, below, tries = 15000, 32000, 100
	var err error
	for range tries {
		port := from + rand.IntN(below-from)
		var l net.Listener
		if l, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find free port: %w", err)
}
