package kafka

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

const (
	// idleAfter is for how long nothing comes to a partition before it is idle: then it is
	// watched. One to which something comes now and then is not to change to and fro.
	idleAfter = time.Second
	// watchWait is how long the broker holds a watch that finds nothing. Those who come later are
	// not held up by it. Two of them are shorter than trustFor, so that a watched log stays trusted.
	watchWait = 400 * time.Millisecond
	// watchPatience is how long the answer is waited for. Then those who are watched fetch for
	// themselves, and find out. A busy machine may stand still for a second: that is no
	// reason for all of them to connect.
	watchPatience = 5 * watchWait
	// watchBytes is what a watch asks for. Where there is anything, a broker gives one whole
	// batch of one partition all the same.
	watchBytes = 1
)

// watches look after the idle partitions of one topic: all that one broker leads with one
// fetch, over one connection. When something comes to a partition it leaves the watch and
// fetches for itself; a first batch the watch may bring, so that it need not wait for a connection.
type watches struct {
	cluster *Cluster
	topic   string
	count   prometheus.Gauge // of watched partitions

	mu sync.Mutex
	at map[string]*watch // by the address of the broker
	wg sync.WaitGroup
}

func newWatches(c *Cluster, topic string, count prometheus.Gauge) *watches {
	return &watches{cluster: c, topic: topic, count: count, at: map[string]*watch{}}
}

// wait waits until all watches have ended. Nobody joins one any more.
func (w *watches) wait() { w.wg.Wait() }

// watch watches the partitions of one broker. It ends when none is left.
type watch struct {
	*watches

	broker string
	stop   context.CancelFunc
	in     map[int]*watched // by partition
}

// watched is a partition in a watch.
type watched struct {
	watch     *watch
	partition int
	offset    int64
	held      bool      // by a request, or there is news
	news      chan news // the last one, until it is heard
}

// news is what a watch says of a partition: an answer as if it had fetched for itself.
type news struct {
	answered

	last bool // it is watched no more: something came, or went wrong, or it must find out for itself
}

// join lets the partition be watched from an offset on, which its leader at the address of
// the broker has not given a record yet.
func (w *watches) join(broker string, partition int, offset int64) *watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := w.at[broker]
	if at == nil {
		ctx, stop := context.WithCancel(context.Background())
		at = &watch{watches: w, broker: broker, stop: stop, in: map[int]*watched{}}
		w.at[broker] = at
		w.wg.Go(func() { at.run(ctx) })
	}
	p := &watched{watch: at, partition: partition, offset: offset, news: make(chan news, 1)}
	at.in[partition] = p
	w.count.Inc()
	return p
}

// isHeld reports whether a request holds the partition, or there is news of it. Until then
// it fetches for itself: a request that is under way already says nothing of it.
func (p *watched) isHeld() bool {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	return p.held
}

// await waits for news of a partition that is held: for watchWait as a rule.
func (p *watched) await(ctx context.Context) (news, error) {
	select {
	case n := <-p.news:
		return n, nil
	case <-ctx.Done():
		return news{}, ctx.Err()
	}
}

// leave ends it. The partition is not watched any more.
func (p *watched) leave() {
	p.watch.mu.Lock()
	defer p.watch.mu.Unlock()
	p.watch.remove(p)
}

// remove takes the partition out, if it is in. The caller holds mu.
func (w *watch) remove(p *watched) {
	if w.in[p.partition] != p {
		return
	}
	delete(w.in, p.partition)
	w.count.Dec()
	if len(w.in) == 0 {
		w.close()
	}
}

// close ends the watch: who comes now begins another one. The caller holds mu.
func (w *watch) close() {
	w.stop()
	if w.at[w.broker] == w {
		delete(w.at, w.broker)
	}
}

// run watches until nobody is left, or something is wrong with the connection.
func (w *watch) run(ctx context.Context) {
	err := w.look(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.close()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // the broker may only be slow
	}
	for _, p := range w.in {
		n := news{last: true}
		if p.held {
			n.err = err
		}
		w.tell(p, n)
	}
}

// look sends request after request, each with all that are in the watch by then.
func (w *watch) look(ctx context.Context) error {
	conn, err := w.cluster.connect(ctx, w.broker)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing is lost with it
	for {
		held, partitions := w.hold()
		if len(held) == 0 {
			return nil
		}
		if err := w.ask(ctx, conn, held, partitions); err != nil {
			return err
		}
	}
}

// hold is who is held by the next request, and what it asks for.
func (w *watch) hold() (map[int]*watched, []fetch.RequestPartition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := make(map[int]*watched, len(w.in))
	partitions := make([]fetch.RequestPartition, 0, len(w.in))
	for _, p := range w.in {
		p.held = true
		held[p.partition] = p
		partitions = append(partitions, fetch.RequestPartition{
			Partition: int32(p.partition), FetchOffset: p.offset, PartitionMaxBytes: watchBytes,
		})
	}
	return held, partitions
}

// ask sends one request and tells what the answer says. It may leave out partitions where
// it has no room; the next one holds them again.
func (w *watch) ask(ctx context.Context, conn *connection, held map[int]*watched, partitions []fetch.RequestPartition) error {
	ctx, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	answers, err := conn.fetch(ctx, w.topic, watchWait, watchBytes, partitions)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range answers {
		if p := held[a.partition]; p != nil {
			w.tell(p, news{answered: a, last: a.err != nil || a.highWatermark > p.offset || len(a.set) > 0})
		}
	}
	return nil
}

// tell tells the partition, if it is in the watch. The caller holds mu.
func (w *watch) tell(p *watched, n news) {
	if w.in[p.partition] != p {
		return
	}
	select {
	case <-p.news: // nobody heard of it
	default:
	}
	p.held = true
	p.news <- n
	if n.last {
		w.remove(p)
	}
}
