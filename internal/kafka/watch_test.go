package kafka_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/processor"
)

// atOnce is what a record takes at most that does not wait for a poll to end. It takes some ms;
// a poll is 250 ms.
const atOnce = 100 * time.Millisecond

// awaitWatched waits until so many partitions are watched.
func (w *worker) awaitWatched(t *testing.T, n int) {
	t.Helper()
	deadline := time.Now().Add(kafkatest.Patience)
	for w.watched(t) != n {
		if time.Now().After(deadline) {
			t.Fatalf("%d partitions are watched, want %d", w.watched(t), n)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func (w *worker) watched(t *testing.T) int {
	t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "monedero_kafka_watched_partitions" {
			return int(f.GetMetric()[0].GetGauge().GetValue())
		}
	}
	t.Fatal("there is no such metric")
	return 0
}

// isWatch tells the request of a watch from that of a partition.
func isWatch(request *kmsg.FetchRequest) bool { return request.MaxBytes == 1 }

// onFetch calls f for every fetch that comes to kfake from now on.
func onFetch(broker *kafkatest.Kafka, f func(request *kmsg.FetchRequest)) {
	broker.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		broker.KeepControl()
		f(request.(*kmsg.FetchRequest))
		return nil, nil, false
	})
}

// connections are those of this process to the address.
func connections(t *testing.T, address string) int {
	t.Helper()
	_, port, _ := strings.Cut(address, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	const established = "01"
	count := 0
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		file, err := os.Open(table)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if strings.HasSuffix(fields[2], fmt.Sprintf(":%04X", n)) && fields[3] == established {
				count++
			}
		}
		file.Close()
	}
	return count
}

func TestIdlePartitionsShareAConnection(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux shows a process its connections in /proc")
	}
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		const partitions, few = 64, 10
		topic := broker.Topic(t, partitions)
		producer := newProducer(t, broker)
		for p := range partitions { // one after the other: so it has few connections too
			if _, err := producer.Produce(t.Context(), topic.Name, p, value("r")); err != nil {
				t.Fatal(err)
			}
		}
		progress := newProgress(topic)
		progress.edit(func(rows map[int]*row) { // so that nobody has to ask for bounds
			hash := value("r").Hash()
			for _, r := range rows {
				r.claim.NextOffset, r.claim.LastRecord = 1, &hash
			}
		})
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		w.awaitWatched(t, partitions)
		deadline := time.Now().Add(kafkatest.Patience)
		for n := connections(t, broker.Brokers[0]); n > few; n = connections(t, broker.Brokers[0]) {
			if time.Now().After(deadline) {
				t.Fatalf("%d connections for %d idle partitions", n, partitions)
			}
			<-time.After(20 * time.Millisecond)
		}
		if n := w.watched(t); n != partitions {
			t.Errorf("%d partitions are watched", n)
		}
		if err := w.sub.Close(); err != nil {
			t.Fatal(err)
		}
		if n := w.watched(t); n != 0 {
			t.Errorf("%d partitions are watched by a member that has left", n)
		}
	})
}

// timed are the times at which batches were delivered.
func timed(progress *progress) (processor.Handler, <-chan time.Time) {
	came := make(chan time.Time, 1000)
	return func(ctx context.Context, b processor.Batch) processor.Result {
		came <- time.Now()
		return progress.handle(ctx, b)
	}, came
}

func TestWhatComesToAWatchedPartitionIsDeliveredAtOnce(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		const partitions, rounds = 4, 7
		topic := broker.Topic(t, partitions)
		progress := newProgress(topic)
		handle, came := timed(progress)
		w := work(t, broker, topic, member{progress, "a"}, handle)
		var took []time.Duration
		for i := range rounds {
			w.awaitWatched(t, partitions)
			broker.Produce(t, topic.Name, i%partitions, kafkatest.Records("r", 1)...)
			written := time.Now()
			took = append(took, kafkatest.Receive(t, came).Sub(written))
		}
		assertAtOnce(t, took)
	})
}

// assertAtOnce is for the median: the machine may stand still for a while.
func assertAtOnce(t *testing.T, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	if took[len(took)/2] > atOnce {
		t.Errorf("they took %v", took)
	}
	t.Logf("they took %v", took)
}

// A partition that becomes idle while the others are watched already is in no request that is
// under way, and there is a long time until the next one.
func TestWhoIsWatchedLaterIsNotHeldUp(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 2)
	onFetch(broker, func(request *kmsg.FetchRequest) {
		if isWatch(request) {
			request.MaxWaitMillis = 800
		}
	})
	progress := newProgress(topic)
	handle, came := timed(progress)
	w := work(t, broker, topic, member{progress, "a"}, handle)
	var took []time.Duration
	for range 7 {
		w.awaitWatched(t, 2)
		broker.Produce(t, topic.Name, 1, kafkatest.Records("r", 1)...)
		kafkatest.Receive(t, came)
		w.awaitWatched(t, 1)
		w.awaitWatched(t, 2) // it joined just now
		broker.Produce(t, topic.Name, 1, kafkatest.Records("s", 1)...)
		written := time.Now()
		took = append(took, kafkatest.Receive(t, came).Sub(written))
	}
	assertAtOnce(t, took)
}

// idle is a worker that settled five records of each partition, and watches all of them.
func idle(t *testing.T, broker *kafkatest.Kafka, partitions int, name string) (kafka.Topic, *progress, *worker) {
	t.Helper()
	topic := broker.Topic(t, partitions)
	progress := newProgress(topic)
	w := work(t, broker, topic, member{progress, "a"}, progress.handle)
	for p := range partitions {
		broker.Produce(t, topic.Name, p, kafkatest.Records(name, 5)...)
		progress.awaitNext(t, p, 5)
	}
	w.awaitWatched(t, partitions)
	return topic, progress, w
}

func TestAWatchedPartitionGoesOnWhenTheBrokerComesBack(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic, progress, w := idle(t, broker, 4, "r")
		broker.Kill()
		w.log.await(t, "WARN")
		broker.Restart(t)
		for p := range topic.Partitions {
			broker.Produce(t, topic.Name, p, kafkatest.Records("s", 5)...)
		}
		for p := range topic.Partitions {
			progress.awaitNext(t, p, 10)
			if diff := cmp.Diff(append(texts("r", 5), texts("s", 5)...), progress.values(p)); diff != "" {
				t.Errorf("partition %d: %s", p, diff)
			}
		}
		w.awaitWatched(t, topic.Partitions)
		if n := w.log.count("halted"); n != 0 {
			t.Errorf("it halted")
		}
	})
}

func TestAWatchedPartitionHaltsWhenTheTopicIsMadeAnew(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic, progress, w := idle(t, broker, 2, "old")
		broker.DeleteTopic(t, topic.Name)
		broker.Create(t, topic.Name, 2)
		for p := range topic.Partitions {
			broker.Produce(t, topic.Name, p, kafkatest.Records("new", 20)...)
		}
		for p := range topic.Partitions {
			w.awaitMetric(t, "monedero_kafka_partition_halted", p, func(v float64) bool { return v == 1 })
		}
		w.log.await(t, "the log holds another record at offset 4 than was settled")
		for p := range topic.Partitions {
			if diff := cmp.Diff(texts("old", 5), progress.values(p)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Whatever goes wrong with a watch, the log is looked at before anything is delivered: here it is
// another one by then, which a fetch could not tell.
func TestAWatchedPartitionLooksAtItsLogAfterTrouble(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*kmsg.FetchRequest) (kmsg.Response, error, bool){
		"connection cut": func(*kmsg.FetchRequest) (kmsg.Response, error, bool) { return nil, errors.New("cut"), true },
		"an answer that comes late": func(*kmsg.FetchRequest) (kmsg.Response, error, bool) {
			time.Sleep(1200 * time.Millisecond) // longer than a fetch vouches for the log
			return nil, nil, false
		},
		"error code": func(request *kmsg.FetchRequest) (kmsg.Response, error, bool) {
			answer := request.ResponseKind().(*kmsg.FetchResponse)
			partition := kmsg.NewFetchResponseTopicPartition()
			partition.ErrorCode = kerr.UnknownTopicOrPartition.Code
			topic := kmsg.NewFetchResponseTopic()
			topic.Topic, topic.Partitions = request.Topics[0].Topic, []kmsg.FetchResponseTopicPartition{partition}
			answer.Topics = []kmsg.FetchResponseTopic{topic}
			return answer, nil, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := kafkatest.Start(t)
			topic, progress, w := idle(t, broker, 1, "old")
			asked, another := make(chan struct{}, 1), make(chan struct{})
			broker.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
				request := r.(*kmsg.FetchRequest)
				if !isWatch(request) {
					return nil, nil, false
				}
				broker.DropControl()
				asked <- struct{}{}
				broker.SleepControl(func() { <-another })
				return answer(request)
			})
			kafkatest.Receive(t, asked)
			broker.DeleteTopic(t, topic.Name)
			broker.Create(t, topic.Name, 1)
			broker.Produce(t, topic.Name, 0, kafkatest.Records("new", 20)...)
			close(another)
			w.log.await(t, "the log holds another record at offset 4 than was settled")
			if diff := cmp.Diff(texts("old", 5), progress.values(0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Each broker is asked for what it leads, and what another one leads from then on finds its way.
func TestAWatchedPartitionFollowsItsLeader(t *testing.T) {
	t.Parallel()
	const partitions, moves = 9, 3
	broker := kafkatest.Start(t, kfake.Ports(0, 0, 0))
	topic := broker.Topic(t, partitions)
	var most atomic.Int64
	onFetch(broker, func(request *kmsg.FetchRequest) {
		if n := int64(len(request.Topics[0].Partitions)); n > most.Load() {
			most.Store(n)
		}
	})
	progress := newProgress(topic)
	w := work(t, broker, topic, member{progress, "a"}, progress.handle)
	for i := range moves {
		w.awaitWatched(t, partitions)
		broker.ShufflePartitionLeaders()
		for p := range partitions {
			broker.Produce(t, topic.Name, p, kafkatest.Records("r", 2)...)
		}
		for p := range partitions {
			progress.awaitNext(t, p, int64(2*(i+1)))
		}
	}
	w.awaitWatched(t, partitions)
	if n := most.Load(); n < 2 || n >= partitions {
		t.Errorf("a request held %d of the %d partitions of three brokers", n, partitions)
	}
	if n := w.log.count("halted"); n != 0 {
		t.Errorf("it halted")
	}
}

// A broker does not answer the watch, but those who fetch for themselves.
func TestAWatchThatHangsHoldsNobody(t *testing.T) {
	t.Parallel()
	broker := kafkatest.Start(t)
	topic := broker.Topic(t, 2)
	progress := newProgress(topic)
	w := work(t, broker, topic, member{progress, "a"}, progress.handle)
	w.awaitWatched(t, 2)
	goOn := make(chan struct{})
	t.Cleanup(func() { close(goOn) })
	hangs := make(chan struct{}, 1000)
	onFetch(broker, func(request *kmsg.FetchRequest) {
		if isWatch(request) {
			hangs <- struct{}{}
			broker.SleepControl(func() { <-goOn })
		}
	})
	kafkatest.Receive(t, hangs)
	broker.Produce(t, topic.Name, 1, kafkatest.Records("r", 1)...)
	progress.awaitNext(t, 1, 1)
	if n := w.metric(t, "monedero_kafka_fetch_errors_total", 1); n != 0 {
		t.Errorf("%v errors", n)
	}
}

// Records come to every partition now and then, so that all are idle, watched and busy by turns.
func TestNothingIsLostBetweenWatchesAndFetches(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		const partitions, rounds = 8, 6
		topic := broker.Topic(t, partitions)
		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		p := newProducer(t, broker)
		want := make([][]string, partitions)
		var wg sync.WaitGroup
		for partition := range partitions {
			wg.Go(func() {
				for round := range rounds {
					for i := range 1 + rand.IntN(5) {
						text := fmt.Sprintf("round %d, record %d", round, i)
						if _, err := p.Produce(t.Context(), topic.Name, partition, value(text)); err != nil {
							t.Error(err)
							return
						}
						want[partition] = append(want[partition], text)
						time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
					}
					// About as long as it takes to be watched, and to be held.
					time.Sleep(time.Second + time.Duration(rand.IntN(600))*time.Millisecond)
				}
			})
		}
		wg.Wait()
		for partition := range partitions {
			progress.awaitNext(t, partition, int64(len(want[partition])))
			if diff := cmp.Diff(want[partition], progress.values(partition)); diff != "" {
				t.Errorf("partition %d: %s", partition, diff)
			}
		}
		w.awaitWatched(t, partitions)
		if n := w.log.count("WARN fetch"); n != 0 {
			t.Errorf("%d fetches failed", n)
		}
	})
}
