package kafka_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	kafkago "github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/ingest"
	"github.com/monedero/monedero/internal/kafka"
	"github.com/monedero/monedero/internal/kafka/kafkatest"
	"github.com/monedero/monedero/internal/ledger"
	"github.com/monedero/monedero/internal/processor"
	"github.com/monedero/monedero/internal/record"
	"github.com/monedero/monedero/internal/record/recordtest"
)

// TestSettingsAreJudged: what can lose a 202 is refused, what nobody should choose is
// doubtful, and what somebody chose is told.
func TestSettingsAreJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		brokers, replicas int
		differs           map[string]string
		refused, doubtful bool
		all               []string
	}{
		"ours on one broker":             {brokers: 1, replicas: 1, differs: map[string]string{"min.insync.replicas": "1!"}},
		"ours on three":                  {brokers: 3, replicas: 3, differs: map[string]string{"min.insync.replicas": "2"}},
		"compacted":                      {brokers: 1, replicas: 1, differs: map[string]string{"cleanup.policy": "compact"}, refused: true, all: []string{"cleanup.policy"}},
		"compacted and deleted":          {brokers: 1, replicas: 1, differs: map[string]string{"cleanup.policy": "compact,delete!"}, refused: true, all: []string{"cleanup.policy"}},
		"led by whoever lags":            {brokers: 1, replicas: 1, differs: map[string]string{"unclean.leader.election.enable": "true!"}, refused: true, all: []string{"unclean.leader.election.enable"}},
		"the broker's retention by size": {brokers: 1, replicas: 1, differs: map[string]string{"retention.bytes": "1000000!"}, refused: true, all: []string{"retention.bytes"}},
		"the broker's retention by time": {brokers: 1, replicas: 1, differs: map[string]string{"retention.ms": "604800000!"}, refused: true, all: []string{"retention.ms"}},
		"the broker's, without an end":   {brokers: 1, replicas: 1, differs: map[string]string{"retention.ms": "-1!", "retention.bytes": "-1!"}},
		"a chosen retention":             {brokers: 1, replicas: 1, differs: map[string]string{"retention.ms": "604800000", "retention.bytes": "1"}, all: []string{"retention.ms", "retention.bytes"}},
		"a chosen one by the producers' time": {
			brokers: 1, replicas: 1, differs: map[string]string{"retention.ms": "604800000", "message.timestamp.type": "CreateTime!"},
			refused: true, all: []string{"retention.ms", "message.timestamp.type"},
		},
		"the producers' time":   {brokers: 1, replicas: 1, differs: map[string]string{"message.timestamp.type": "CreateTime!"}, doubtful: true, all: []string{"message.timestamp.type"}},
		"small batches":         {brokers: 1, replicas: 1, differs: map[string]string{"max.message.bytes": "100000"}, doubtful: true, all: []string{"max.message.bytes"}},
		"one replica of three":  {brokers: 3, replicas: 1, differs: map[string]string{"min.insync.replicas": "1!"}, doubtful: true, all: []string{"min.insync.replicas", "replicas"}},
		"one in sync of three":  {brokers: 3, replicas: 3, differs: map[string]string{"min.insync.replicas": "1!"}, doubtful: true, all: []string{"min.insync.replicas"}},
		"two replicas of five":  {brokers: 5, replicas: 2, differs: map[string]string{"min.insync.replicas": "2"}, doubtful: true, all: []string{"replicas"}},
		"one replica of two":    {brokers: 2, replicas: 1, differs: map[string]string{"min.insync.replicas": "1!"}, doubtful: true, all: []string{"replicas"}},
		"more in sync than are": {brokers: 1, replicas: 1, differs: map[string]string{"min.insync.replicas": "2!"}, doubtful: true, all: []string{"min.insync.replicas"}},
	} {
		all, refused, doubtful := kafka.Judge(c.brokers, c.replicas, c.differs)
		if (refused != nil) != c.refused || (doubtful != nil) != (c.refused || c.doubtful) {
			t.Errorf("%s: %v; %v", name, refused, doubtful)
		}
		if diff := cmp.Diff(c.all, all); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// byHand makes a topic as somebody else would, with settings of its own.
func byHand(t *testing.T, broker *kafkatest.Kafka, settings map[string]string) string {
	t.Helper()
	transport := &kafkago.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &kafkago.Client{Addr: kafkago.TCP(broker.Brokers...), Transport: transport}
	name := kafkatest.Name()
	var entries []kafkago.ConfigEntry
	for key, value := range settings {
		entries = append(entries, kafkago.ConfigEntry{ConfigName: key, ConfigValue: value})
	}
	answer, err := client.CreateTopics(t.Context(), &kafkago.CreateTopicsRequest{Topics: []kafkago.TopicConfig{{
		Topic: name, NumPartitions: 2, ReplicationFactor: 1, ConfigEntries: entries,
	}}})
	if err == nil {
		err = answer.Errors[name]
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCreateTopicRefusesOneThatLosesRecords(t *testing.T) {
	t.Parallel()
	kafkatest.EachOwn(t, func(t *testing.T, broker *kafkatest.Kafka) {
		broker.AlterBrokers(t, map[string]string{"log.retention.bytes": "1000000"})
		keep := map[string]string{"retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "LogAppendTime"}
		for name, c := range map[string]struct {
			differs map[string]string
			want    error
		}{
			"compaction":              {map[string]string{"cleanup.policy": "compact"}, kafka.ErrSettings},
			"unclean election":        {map[string]string{"unclean.leader.election.enable": "true"}, kafka.ErrSettings},
			"the broker's retention":  {map[string]string{"retention.bytes": ""}, kafka.ErrSettings},
			"a chosen retention":      {map[string]string{"retention.ms": "86400000"}, nil},
			"the producers' times":    {map[string]string{"message.timestamp.type": "CreateTime"}, kafka.ErrDoubtful},
			"and a retention by time": {map[string]string{"message.timestamp.type": "CreateTime", "retention.ms": "86400000"}, kafka.ErrSettings},
		} {
			settings := map[string]string{}
			for _, from := range []map[string]string{keep, c.differs} {
				for key, value := range from {
					if settings[key] = value; value == "" {
						delete(settings, key)
					}
				}
			}
			if name == "the broker's retention" && !broker.Real() {
				continue // kfake does not hand its own on to topics
			}
			if err := broker.Client(t).CreateTopic(t.Context(), byHand(t, broker, settings), 2, 1); !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		// A topic of ours does not care what the brokers have for others.
		topic := broker.Topic(t, 1)
		if err := broker.Client(t).Check(t.Context(), topic); err != nil {
			t.Error(err)
		}
	})
}

// TestSettingsThatLoseRecordsStopAll: the partition halts, nothing counts as written,
// ingest is told; and all goes on when the setting is mended.
func TestSettingsThatLoseRecordsStopAll(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 2)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("r", 5)...)
		broker.Produce(t, topic.Name, 1, kafkatest.Records("s", 5)...)
		broker.AlterTopic(t, topic.Name, map[string]string{"cleanup.policy": "compact,delete"})
		progress := newProgress(topic)
		w := work(t, broker, topic, member{progress, "a"}, progress.handle)
		const why = "the topic would lose records: cleanup.policy is compact,delete; it must be delete"
		w.log.await(t, why)

		cluster := broker.Client(t)
		producer := kafka.NewProducer(cluster, kafka.NewMetrics(nil), 0, topic)
		t.Cleanup(func() { _ = producer.Close() })
		if _, err := producer.Produce(t.Context(), topic.Name, 0, kafkatest.Records("late", 1)[0]); !errors.Is(err, kafka.ErrSettings) {
			t.Errorf("produce: %v", err)
		}
		queue := kafka.NewQueue(nil, cluster, topic, nil)
		if err := queue.Check(t.Context()); !errors.Is(err, ingest.ErrWrongQueue) || !strings.Contains(err.Error(), why) {
			t.Errorf("check: %v", err)
		}
		if n := len(progress.settled(0)) + len(progress.settled(1)); n != 0 {
			t.Errorf("%d records were settled", n)
		}
		if texts, err := cluster.Concerns(t.Context(), topic.Name); err != nil || len(texts) != 1 || !strings.Contains(why, texts[0][:len("cleanup.policy is")]) {
			t.Errorf("concerns: %q, %v", texts, err)
		}

		broker.AlterTopic(t, topic.Name, map[string]string{"cleanup.policy": "delete"})
		progress.awaitNext(t, 0, 6)
		progress.awaitNext(t, 1, 5)
		if _, err := producer.Produce(t.Context(), topic.Name, 0, kafkatest.Records("again", 1)[0]); err != nil {
			t.Error(err)
		}
	})
}

// TestClocksOfProducersDoNotCount: a clock that is behind lets no record expire, and one
// that is ahead lets none be refused.
func TestClocksOfProducersDoNotCount(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		if !broker.Real() {
			t.Skip("kfake keeps the producer's time, whatever the topic says")
		}
		topic := broker.Topic(t, 1)
		broker.AlterTopic(t, topic.Name, map[string]string{"retention.ms": "86400000"})
		behind, ahead := kafkatest.Records("clock", 2)[0], kafkatest.Records("clock", 2)[1]
		behind.Time, ahead.Time = time.Now().Add(-48*time.Hour), time.Now().Add(2*time.Hour)
		broker.Produce(t, topic.Name, 0, behind)
		broker.Produce(t, topic.Name, 0, ahead)
		broker.Produce(t, topic.Name, 0, kafkatest.Records("last", 1)...)
		progress := newProgress(topic)
		work(t, broker, topic, member{progress, "a"}, progress.handle)
		progress.awaitNext(t, 0, 3)
		for _, r := range progress.settled(0) {
			if age := time.Since(r.Time); age < -time.Minute || age > time.Minute {
				t.Errorf("the record %q is of %s", r.Value, r.Time)
			}
		}
	})
}

// TestHashIsOfWhatWasWritten: the same record is the same in every batch and at every
// reading, whatever time the broker gave it; another one is another.
func TestHashIsOfWhatWasWritten(t *testing.T) {
	t.Parallel()
	kafkatest.Each(t, func(t *testing.T, broker *kafkatest.Kafka) {
		topic := broker.Topic(t, 1)
		r := record.Record{Key: []byte("k"), Value: []byte("v"), Headers: []record.Header{{Key: "h", Value: []byte("w")}}}
		broker.Produce(t, topic.Name, 0, r)
		<-time.After(10 * time.Millisecond)
		other := r
		other.Time = time.Now().Add(-time.Hour)
		broker.Produce(t, topic.Name, 0, other, r, kafkatest.Records("other", 1)[0])
		var hashes []record.Hash
		for range 2 {
			progress := newProgress(topic)
			progress.rows[0].claim.Topic = topic.Name
			log := kafka.NewPartitionLog(broker.Client(t), topic, 0, processor.Skipper{})
			for offset := range int64(4) {
				hash, err := log.Hash(t.Context(), offset)
				if err != nil || hash == nil {
					t.Fatal(hash, err)
				}
				hashes = append(hashes, *hash)
			}
		}
		for i, hash := range hashes {
			if same := i%4 != 3; (hash == hashes[0]) != same {
				t.Errorf("reading %d, offset %d: the same as the first: %v", i/4, i%4, !same)
			}
		}
	})
}

// TestTheLargestRecordFits: whatever ingest accepts fits into a batch, and a batch into
// what the topic takes.
func TestTheLargestRecordFits(t *testing.T) {
	t.Parallel()
	const batchHead = 61
	r := recordtest.Charge(t)
	// The longest text that a request may have, in characters that JSON writes longest.
	long := func(n int) string { return strings.Repeat("\u0001", n) }
	r.IdempotencyKey, r.Description = long(ledger.MaxKeyLength), long(ledger.MaxDescriptionLength)
	r.Invoice = long(ledger.MaxInvoiceLength)
	var entries []string
	for range ledger.MaxMetadataEntries {
		entries = append(entries, `"`+strings.Repeat(`\u0001`, ledger.MaxMetadataKeyLength)+`":"`+strings.Repeat(`\u0001`, ledger.MaxMetadataValueLength)+`"`)
	}
	r.Metadata = ledger.Metadata("{" + strings.Join(entries, ",") + "}")
	value, headers, err := record.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	if n := kafka.RecordBytes(record.Record{Key: []byte(r.Wallet.String()), Value: value, Headers: headers}); n > kafka.MaxBatchBytes {
		t.Errorf("a record of %d bytes, and batches of %d", n, kafka.MaxBatchBytes)
	}
	if kafka.MaxBatchBytes+batchHead > kafka.MaxMessageBytes {
		t.Errorf("batches of %d bytes, and the topic takes %d", kafka.MaxBatchBytes, kafka.MaxMessageBytes)
	}
}
