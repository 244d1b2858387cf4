package system

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
)

// wayOut is one cause of a halt of partition 0, and what a person does about it.
type wayOut struct {
	breakIt func(*pair)
	broker  bool     // what the broker does is part of it: on a real one, if that is chosen
	why     string   // in the log of the processor, and in monedero partitions
	refused []string // arguments of set-progress that must change nothing
	out     [][]string
	says    string // what the last of them must say
	// outcomes of the charges that breakIt put into the log, by key
	outcomes map[string]string
	// again are the arguments that bring a replay from the log's start past a record
	// at which it halts once more.
	again []string
}

var notOurs = record.Record{Value: []byte("another record")}

func waysOut() map[string]wayOut {
	return map[string]wayOut{
		"the topic was made anew": {
			broker: true,
			breakIt: func(p *pair) {
				p.recreateTopic()
				p.produce(0, p.record(p.charge(p.wallets[0], "first")))
			},
			why:     "the log holds another record at offset 0",
			refused: []string{"--offset", "0"},
			out:     [][]string{{"--offset", "0", "--new-log"}, {"--partition", "1", "--offset", "0", "--new-log"}},
			says:    "partition 1 was at log 1, offset 1, and is at log 2, offset 0 now", outcomes: map[string]string{"first": "accepted"},
		},
		"the log lost its tail": {
			breakIt: func(p *pair) { p.recreateTopic() },
			why:     "the log ends at 0, before the next offset 1",
			refused: []string{"--offset", "0"},
			out:     [][]string{{"--partition", "1", "--offset", "0", "--new-log"}, {"--offset", "0", "--new-log"}},
			says:    "answered 202 into log 1 at offset 1 or later and is not in log 2 is lost: it stays pending until",
		},
		"the log was written over": {
			breakIt: func(p *pair) {
				p.recreateTopic()
				p.produce(1, notOurs)
				p.produce(0, notOurs, p.record(p.charge(p.wallets[0], "passed")), p.record(p.charge(p.wallets[0], "first")))
			},
			why:     "the log holds another record at offset 0",
			refused: []string{"--offset", "2"},
			out:     [][]string{{"--partition", "1", "--offset", "0", "--new-log"}, {"--offset", "2", "--new-log"}},
			says:    "passed over 2 offsets: 1 failed operations, 1 dead letters, 0 had their outcome before",
			outcomes: map[string]string{
				"passed": "processing_error", "first": "accepted",
			},
		},
		"retention passed the progress": {
			broker: true,
			breakIt: func(p *pair) {
				p.produce(0, notOurs, p.record(p.charge(p.wallets[0], "passed")), p.record(p.charge(p.wallets[0], "first")))
				p.kafka.DeleteRecords(p.t, topicName, 0, 2)
			},
			why:     "the log starts at 2, after the next offset 1",
			refused: []string{"--offset", "1"},
			out:     [][]string{{"--offset", "3"}},
			says:    "1 offsets are in the log no more",
			outcomes: map[string]string{
				"passed": "processing_error", "first": "accepted",
			},
		},
		"the log has a hole where the last record was": {
			broker: true,
			breakIt: func(p *pair) {
				p.recreateTopic()
				p.kafka.Transaction(p.t, topicName, 0, true) // a marker, and nothing else
				p.produce(0, p.record(p.charge(p.wallets[0], "first")))
			},
			why:     "the log holds no record at offset 0 any more",
			refused: []string{"--offset", "1"},
			out:     [][]string{{"--partition", "1", "--offset", "0", "--new-log"}, {"--offset", "1", "--new-log"}},
			says:    "passed over 1 offsets: 0 failed operations, 0 dead letters, 0 had their outcome before", outcomes: map[string]string{"first": "accepted"},
		},
		"compaction took records": {
			broker: true,
			breakIt: func(p *pair) {
				p.kafka.AlterTopic(p.t, topicName, map[string]string{
					"cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0", "min.compaction.lag.ms": "0", "segment.ms": "50",
				})
				for i := range 6 { // of one key: the last one stays
					lost := p.record(p.charge(p.wallets[0], fmt.Sprint("lost ", i)))
					lost.Key = []byte("one")
					p.produce(0, lost)
				}
				<-time.After(100 * time.Millisecond) // the next record begins a new segment
				p.produce(0, p.record(p.charge(p.wallets[0], "first")))
				p.kafka.Compact(p.t, topicName, 0, 5)
				p.kafka.AlterTopic(p.t, topicName, map[string]string{"cleanup.policy": "delete"})
			},
			why:  "the log holds no record that can be read at offset 1, and no marker: the offset is missing",
			out:  [][]string{{"--offset", "7"}},
			says: "5 offsets are in the log no more, or cannot be read",
			outcomes: map[string]string{
				"lost 0": "pending", "lost 4": "pending", "lost 5": "processing_error", "first": "accepted",
			},
			again: []string{"--offset", "7"},
		},
		"a record that does not decode": {
			breakIt: func(p *pair) {
				var records [][]byte
				for i := range 5 {
					r := p.record(p.charge(p.wallets[0], fmt.Sprint("charge ", i)))
					r.Headers = nil
					records = append(records, kafkatest.EncodedAt(i, r))
				}
				records[3][len(records[3])-1] = 8 // it says that it has headers
				p.kafka.ProduceBatch(p.t, topicName, 0, kafkatest.Batch(kmsg.RecordBatch{}, records...))
				p.produce(0, p.record(p.charge(p.wallets[0], "first")))
			},
			why:  "the log holds no record that can be read at offset 4, and no marker: the record does not decode",
			out:  [][]string{{"--offset", "5"}},
			says: "passed over 1 offsets: 1 failed operations, 0 dead letters, 0 had their outcome before",
			outcomes: map[string]string{
				"charge 0": "accepted", "charge 3": "processing_error", "charge 4": "accepted", "first": "accepted",
			},
			again: []string{"--offset", "5"},
		},
		"the progress is beyond the end": {
			breakIt: func(p *pair) {
				p.sql("update partition_progress set next_offset = next_offset + 5, gaps = gaps + 5 where partition = 0")
			},
			why:     "the log ends at 1, before the next offset 6",
			refused: []string{"--offset", "6"},
			out:     [][]string{{"--offset", "1"}},
			says:    "partition 0 was at log 1, offset 6, and is at log 1, offset 1 now",
		},
		"a newer version of the format": {
			breakIt: func(p *pair) {
				newer := p.record(p.charge(p.wallets[0], "newer"))
				newer.Value = inVersion(newer.Value, record.Version+1)
				p.produce(0, newer, notOurs, p.record(p.charge(p.wallets[0], "first")))
			},
			why:      fmt.Sprintf("the record at offset 1 is in version %d of the wire format", record.Version+1),
			out:      [][]string{{"--offset", "3"}},
			says:     "passed over 2 offsets: 1 failed operations, 1 dead letters, 0 had their outcome before",
			outcomes: map[string]string{"newer": "processing_error", "first": "accepted"},
			again:    []string{"--offset", "2"},
		},
		"a field of a newer build in the same version": {
			breakIt: func(p *pair) {
				newer := p.record(p.charge(p.wallets[0], "newer"))
				newer.Value = bytes.Replace(newer.Value, []byte(`"amount":7`), []byte(`"amount":7,"tip":1`), 1)
				p.produce(0, newer, p.record(p.charge(p.wallets[0], "first")))
			},
			why:      `the record at offset 1 says what this build does not know: the field `,
			out:      [][]string{{"--offset", "2"}},
			says:     "passed over 1 offsets: 1 failed operations, 0 dead letters, 0 had their outcome before",
			outcomes: map[string]string{"newer": "processing_error", "first": "accepted"},
			again:    []string{"--offset", "2"},
		},
		"the progress row is missing": {
			breakIt: func(p *pair) {
				p.sql("delete from partition_progress where partition = 0")
				p.produce(0, p.record(p.charge(p.wallets[0], "first")))
			},
			why:      "the partition has no progress row",
			out:      [][]string{{"--offset", "0"}},
			says:     "partition 0 had no progress, and is at log 1, offset 0 now",
			outcomes: map[string]string{"first": "accepted"},
		},
		"a flood of processing errors": {
			breakIt: func(p *pair) {
				for i := range processor.FloodLimit + 1 {
					refused := p.record(p.charge(p.wallets[0], fmt.Sprint("refused ", i)))
					refused.Value = bytes.Replace(refused.Value, []byte(`"amount":7`), []byte(`"amount":"7"`), 1)
					p.produce(0, refused)
				}
				p.produce(0, p.record(p.charge(p.wallets[0], "first")))
			},
			why:      "more than 10 processing errors within 1m0s, up to offset 12",
			out:      [][]string{{"--offset", "12"}}, // where it stands
			says:     "partition 0 was at log 1, offset 12, and is at log 1, offset 12 now",
			outcomes: map[string]string{"refused 10": "processing_error", "first": "accepted"},
		},
		"data that break a rule of the database": {
			breakIt: func(p *pair) {
				p.sql("alter table operations add constraint no_seven check (amount <> 7) not valid")
				p.produce(0, p.record(p.charge(p.wallets[0], "offender")))
				other := p.charge(p.wallets[0], "first")
				other.Amount = 8
				p.produce(0, p.record(other))
			},
			why:      "the data broke a rule of the database",
			out:      [][]string{{"--offset", "2"}},
			says:     "passed over 1 offsets: 1 failed operations, 0 dead letters, 0 had their outcome before",
			outcomes: map[string]string{"offender": "processing_error", "first": "accepted"},
		},
	}
}

// newWayOutPair is on the embedded Kafka: what is tried here is what becomes of the
// database, and one broker of Java for each cause would take minutes.
func newWayOutPair(t *testing.T) *pair {
	t.Helper()
	return newPairOn(newStackWith(t, pgtest.New(t), kafkatest.Start(t), 2))
}

// TestTheWayOutOfEveryHalt halts partition 0 in every way that a person can lead it
// out of. Afterwards it goes on by itself, everything is as it must be, nothing in
// the log is pending, and to settle the log once more changes nothing.
func TestTheWayOutOfEveryHalt(t *testing.T) {
	t.Parallel()
	for name, c := range waysOut() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := newWayOutPair
			if c.broker {
				open = newPair
			}
			p := open(t)
			c.breakIt(p)
			processor := p.processor()
			processor.await(`monedero_kafka_partition_halted{partition="0"} 1`)
			processor.awaitOutput(c.why)
			if list := p.awaitPartitions(c.why); !strings.Contains(list, c.why) {
				t.Errorf("monedero partitions does not say %q:\n%s", c.why, list)
			}
			if c.refused != nil {
				p.refusesToSet(c.refused...)
			}
			said := ""
			for _, args := range c.out {
				said = p.setProgress(args...)
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("set-progress does not say %q:\n%s", c.says, said)
			}
			processor.await(`monedero_kafka_partition_halted{partition="0"} 0`)
			for i := range p.wallets {
				p.goesOn(i)
			}
			if list := p.awaitPartitions(""); strings.Count(list, "  ok") != 2 {
				t.Errorf("afterwards monedero partitions says\n%s", list)
			}
			for key, want := range c.outcomes {
				if want == "pending" {
					if _, o, err := p.shop.till.call(t.Context(), http.MethodGet, "/v1/operations/"+p.charge(p.wallets[0], key).ID.String(), nil, nil); err != nil || o.Status != want {
						t.Errorf("the charge %s is %s, %v", key, o.Status, err)
					}
				} else if got := p.outcome(key); got != want {
					t.Errorf("the charge %s is %s, want %s", key, got, want)
				}
			}
			p.nothingPending()
			p.monedero("verify")
			p.replayChangesNothing(processor, c.again)
		})
	}
}

// awaitPartitions lists the partitions until the list says why, or where that is
// empty until nothing is wrong: what a processor knows it writes down a moment later.
func (s *stack) awaitPartitions(why string) string {
	s.t.Helper()
	deadline := time.Now().Add(awaitTimeout)
	for {
		list, ok := s.partitions()
		if ok == (why == "") && strings.Contains(list, why) || time.Now().After(deadline) {
			return list
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// setProgress runs the command for partition 0, unless the arguments name another.
func (p *pair) setProgress(args ...string) string {
	p.t.Helper()
	return p.monedero(setProgressArgs(args)...)
}

func setProgressArgs(args []string) []string {
	all := []string{"partitions", "set-progress", "--partition", "0", "--reason", "a test of the way out", "--yes"}
	return append(all, args...)
}

// refusesToSet wants the command to fail and to change nothing.
func (p *pair) refusesToSet(args ...string) string {
	p.t.Helper()
	const look = "select to_jsonb(g) - 'epoch' - 'owner' - 'updated_at' - 'halted_at' - 'halt_cause' || '{}' #>> '{}' from partition_progress g order by partition"
	before := p.column(look)
	_, err := built.run(p.t, p.env, "monedero", setProgressArgs(args)...)
	if err == nil {
		p.t.Errorf("set-progress %v was done", args)
		return ""
	}
	if diff := cmp.Diff(before, p.column(look)); diff != "" {
		p.t.Errorf("set-progress %v failed, and changed\n%s", args, diff)
	}
	return err.Error()
}

// goesOn submits a charge to the wallet and wants it decided.
func (p *pair) goesOn(wallet int) {
	p.t.Helper()
	id, err := p.shop.till.charge(p.t.Context(), p.wallets[wallet].String(), fmt.Sprint("afterwards ", wallet), 1)
	p.must(err)
	if o, err := p.shop.till.outcome(p.t.Context(), id); err != nil || o.Status != "accepted" {
		p.t.Errorf("a charge in partition %d is %s, %v", wallet, o.Status, err)
	}
}

// outcome is what became of a charge of the first wallet: its reason, or accepted.
func (p *pair) outcome(key string) string {
	p.t.Helper()
	o, err := p.shop.till.outcome(p.t.Context(), p.charge(p.wallets[0], key).ID.String())
	p.must(err)
	if o.Status == "failed" {
		return o.Failure.Reason
	}
	return o.Status
}

// nothingPending wants an outcome or a dead letter for every record that is in the
// log of partition 0.
func (p *pair) nothingPending() {
	p.t.Helper()
	known := map[string]bool{}
	for _, id := range p.column("select id::text from operations union all select encode(value, 'hex') from dead_letters") {
		known[id] = true
	}
	for _, item := range p.items(0) {
		what := fmt.Sprintf("%x", item.Record.Value)
		if item.Refusal != nil {
			id := item.Refusal.ID
			what = fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
		}
		if !known[what] {
			p.t.Errorf("the record at offset %d has no outcome: %s", item.Record.Offset, what)
		}
	}
}

// replayChangesNothing settles the whole log of partition 0 again into the same
// database, under a processor that has nothing else to do.
func (p *pair) replayChangesNothing(processor *process, again []string) {
	p.t.Helper()
	before := p.everything()
	_, start, end := p.logOf(0)
	p.setProgress("--offset", fmt.Sprint(start))
	p.monedero("verify") // also while what is settled again is on its way
	if again != nil {
		processor.await(`monedero_kafka_partition_halted{partition="0"} 1`)
		p.setProgress(again...)
	}
	p.awaitNext(0, end)
	if diff := cmp.Diff(before, p.everything()); diff != "" {
		p.t.Errorf("settling the log again changed\n%s", diff)
	}
	p.nothingPending()
	p.monedero("verify")
}

// TestSetProgressRefuses what the log, or Kafka, does not bear.
func TestSetProgressRefuses(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	for want, args := range map[string][]string{
		"the log has the offsets 0 to 1 (the next one), and not 2": {"--offset", "2"},
		"the topic has no such partition: it has 2":                {"--partition", "2", "--offset", "0"},
		"--reason must be given":                                   {"--offset", "0", "--reason", " "},
		"--offset must be given":                                   {"--offset", "-1"},
	} {
		if said := p.refusesToSet(args...); !strings.Contains(said, want) {
			t.Errorf("set-progress %v says %q, and not %q", args, said, want)
		}
	}
	env := p.env
	other := kafkatest.Start(t)
	other.Create(t, topicName, 2)
	p.env = append(env[:len(env):len(env)], "KAFKA_BROKERS="+strings.Join(other.Brokers, ","))
	if said := p.refusesToSet("--offset", "0"); !strings.Contains(said, "cluster") {
		t.Errorf("of another cluster it says %q", said)
	}
	p.env = env
	p.kafka.DeleteTopic(t, topicName)
	if said := p.refusesToSet("--offset", "0", "--new-log"); !strings.Contains(said, "0 partitions instead of 2") {
		t.Errorf("of a topic that is gone it says %q", said)
	}
	p.sql("delete from partition_progress where partition = 1")
	p.kafka.Create(t, topicName, 2)
	if out, err := built.run(t, p.env, "monedero", "topics", "create", "--partitions", "2"); err == nil {
		t.Errorf("topics create made a progress that was lost: %s", out)
	} else if !strings.Contains(err.Error(), "set-progress") {
		t.Error(err)
	}
}

// TestPartitionsThatAreNotRead: that Kafka does not answer for one partition says
// nothing of another one, and nobody calls it well.
func TestPartitionsThatAreNotRead(t *testing.T) {
	t.Parallel()
	p := newWayOutPair(t)
	var refusals atomic.Int32
	p.kafka.ControlKey(int16(kmsg.ListOffsets), func(request kmsg.Request) (kmsg.Response, error, bool) {
		p.kafka.KeepControl()
		asked := request.(*kmsg.ListOffsetsRequest)
		answer := asked.ResponseKind().(*kmsg.ListOffsetsResponse)
		refused := false
		for _, topic := range asked.Topics {
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = topic.Topic
			for _, partition := range topic.Partitions {
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Partition, rp.ErrorCode = partition.Partition, kerr.UnknownServerError.Code
				rt.Partitions = append(rt.Partitions, rp)
				refused = refused || partition.Partition == 0 && refusals.Add(-1) >= 0
			}
			answer.Topics = append(answer.Topics, rt)
		}
		return answer, nil, refused
	})
	p.kafka.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		p.kafka.KeepControl()
		asked := request.(*kmsg.FetchRequest)
		answer := asked.ResponseKind().(*kmsg.FetchResponse)
		refused := false
		for _, topic := range asked.Topics {
			rt := kmsg.NewFetchResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, partition := range topic.Partitions {
				rp := kmsg.NewFetchResponseTopicPartition()
				rp.Partition, rp.ErrorCode = partition.Partition, kerr.UnknownServerError.Code
				rt.Partitions = append(rt.Partitions, rp)
				refused = refused || partition.Partition == 0 && refusals.Add(-1) >= 0
			}
			answer.Topics = append(answer.Topics, rt)
		}
		return answer, nil, refused
	})
	for _, n := range []int32{2, 1 << 20} { // the last record and then the bounds, and every question
		refusals.Store(n)
		text, ok := p.partitions()
		list := strings.Split(text, "\n")
		if ok || len(list) != 3 || !strings.Contains(list[1], "the log was not read: ") || !strings.HasSuffix(list[2], "Z  no processor has it") {
			t.Errorf("%d answers missing:\n%s", n, strings.Join(list, "\n"))
		}
	}
	refusals.Store(0)
	p.processor().await(`monedero_kafka_claims_total{partition="1"} 1`)
	if list := p.awaitPartitions(""); strings.Count(list, "  ok") != 2 || strings.Contains(list, "?") {
		t.Errorf("afterwards:\n%s", list)
	}
}
