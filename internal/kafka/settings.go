package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

const (
	// minInSyncReplicas is how many replicas have a record before it counts as
	// durable, where there are brokers for mostReplicas.
	minInSyncReplicas = 2
	// mostReplicas is how many a topic gets unless it is told otherwise.
	mostReplicas = 3
	// maxMessageBytes is how large a batch may be that the topic takes: more than our
	// largest one, which is maxBatchBytes, or one record of what ingest accepts.
	maxMessageBytes = 1 << 20
)

var (
	// ErrSettings says that a topic loses records by the way it is set up.
	ErrSettings = errors.New("the topic would lose records")
	// ErrDoubtful says that a topic is set up in a way that nobody should choose.
	ErrDoubtful = errors.New("the topic is not set up as it should be")
)

// refuses reports whether Kafka answered, and nothing may be written to the topic or
// read from it.
func refuses(err error) bool { return errors.Is(err, ErrMismatch) || errors.Is(err, ErrSettings) }

// grade is how bad a setting is.
type grade int

const (
	fine     grade = iota
	chosen         // somebody chose it: it is told
	doubtful       // told; `topics create` refuses a topic that has it, unless it is told otherwise
	refused        // what was answered 202 can be lost: nothing goes through the topic
)

// concern is what is wrong with a setting.
type concern struct {
	setting string
	grade   grade
	text    string
}

// arrangement is how a topic is set up.
type arrangement struct {
	values            map[string]value
	brokers, replicas int // replicas of the partition that has the fewest
}

// value is one of its settings. What the broker has for all topics nobody chose.
type value struct {
	text   string
	chosen bool
}

// setting is one that durability hangs on.
type setting struct {
	name  string
	ours  string // what a topic is made with; empty: it hangs on the number of replicas
	judge func(a arrangement, v value) (grade, string)
}

// settings are all of them: what a topic is made with, and what becomes of one that
// has it otherwise. A setting that the broker does not know is not judged.
func settings() []setting {
	must := func(want string, g grade, why string) func(arrangement, value) (grade, string) {
		return func(_ arrangement, v value) (grade, string) {
			if v.text == want {
				return fine, ""
			}
			return g, "it must be " + want + ": " + why
		}
	}
	return []setting{
		{"cleanup.policy", "delete", must("delete", refused, "compaction takes records that are not settled")},
		{"unclean.leader.election.enable", "false", must("false", refused, "a replica that lags would lead, and the others forget what it lacks")},
		{"retention.ms", "-1", retention},
		{"retention.bytes", "-1", retention},
		{timestampType, appendTimestamps, must(appendTimestamps, doubtful, "the clock of an ingest would decide what is refused, and what expires")},
		{"max.message.bytes", strconv.Itoa(maxMessageBytes), func(_ arrangement, v value) (grade, string) {
			return below(v.text, maxMessageBytes, "what ingest accepts would be refused")
		}},
		{minInSyncSetting, "", func(a arrangement, v value) (grade, string) {
			if n, err := strconv.Atoi(v.text); err == nil && n > a.replicas {
				return doubtful, fmt.Sprintf("it must not be above the number of replicas, %d: nothing could be written", a.replicas)
			}
			if a.brokers < mostReplicas {
				return fine, ""
			}
			return below(v.text, minInSyncReplicas, "one broker's disk would be all that an answered charge is on")
		}},
		{replicasSetting, "", func(a arrangement, _ value) (grade, string) {
			return below(strconv.Itoa(a.replicas), min(a.brokers, mostReplicas), "there are brokers for more")
		}},
	}
}

const (
	timestampType    = "message.timestamp.type"
	minInSyncSetting = "min.insync.replicas"
	appendTimestamps = "LogAppendTime"
	replicasSetting  = "replicas" // no setting to Kafka, but judged like one
)

// retention takes what was not settled, if it is finite and processors were away.
func retention(a arrangement, v value) (grade, string) {
	switch {
	case v.text == "-1":
		return fine, ""
	case !v.chosen:
		return refused, "it comes from the broker, and nobody chose it for this topic: records that are not settled would be deleted"
	case a.values[timestampType].text != appendTimestamps && a.values[timestampType].text != "":
		return refused, "with " + timestampType + "=" + a.values[timestampType].text + " a clock that is behind lets records expire at once"
	}
	return chosen, "records that are not settled by then are lost"
}

func below(text string, least int, why string) (grade, string) {
	if n, err := strconv.Atoi(text); err == nil && n < least {
		return doubtful, fmt.Sprintf("it must be %d at least: %s", least, why)
	}
	return fine, ""
}

// judge tells what is wrong, in the order of the settings.
func (a arrangement) judge() (all []concern) {
	for _, s := range settings() {
		v, known := a.values[s.name]
		if !known {
			continue
		}
		if g, why := s.judge(a, v); g != fine {
			all = append(all, concern{s.name, g, fmt.Sprintf("%s is %s; %s", s.name, v.text, why)})
		}
	}
	return all
}

// worst are the texts of those concerns that are as bad as the grade, or worse.
func worst(all []concern, least grade) error {
	var texts []string
	for _, c := range all {
		if c.grade >= least {
			texts = append(texts, c.text)
		}
	}
	switch {
	case texts == nil:
		return nil
	case least == refused:
		return fmt.Errorf("%w: %s", ErrSettings, strings.Join(texts, "; "))
	}
	return fmt.Errorf("%w: %s", ErrDoubtful, strings.Join(texts, "; "))
}

// arrange reads how the topic is set up.
func arrange(ctx context.Context, client *kafkago.Client, topic kafkago.Topic, brokers []kafkago.Broker) (arrangement, error) {
	ids := map[int]bool{}
	for _, b := range brokers {
		ids[b.ID] = true
	}
	a := arrangement{values: map[string]value{}}
	for i, p := range topic.Partitions {
		for _, r := range p.Replicas {
			ids[r.ID] = true // be it down
		}
		if i == 0 || len(p.Replicas) < a.replicas {
			a.replicas = len(p.Replicas)
		}
	}
	a.brokers = len(ids)
	a.values[replicasSetting] = value{text: strconv.Itoa(a.replicas)}
	var names []string
	for _, s := range settings() {
		names = append(names, s.name) // a name that the broker does not know does no harm
	}
	answer, err := client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{
		Resources: []kafkago.DescribeConfigRequestResource{{ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic.Name, ConfigNames: names}},
	})
	if err != nil {
		return a, err
	}
	const topicsOwn = 1 // the source of a value that is the topic's own
	for _, r := range answer.Resources {
		if r.Error != nil {
			return a, r.Error
		}
		for _, e := range r.ConfigEntries {
			a.values[e.ConfigName] = value{text: e.ConfigValue, chosen: e.ConfigSource == topicsOwn}
		}
	}
	return a, nil
}

// Concerns tell what is wrong with the settings of a topic, the worst things and the
// harmless ones.
func (c *Cluster) Concerns(ctx context.Context, topic string) ([]string, error) {
	seen, err := c.look(ctx, topic, time.Now())
	if err != nil {
		return nil, err
	}
	var texts []string
	for _, concern := range seen.arranged.judge() {
		texts = append(texts, concern.text)
	}
	return texts, nil
}

// Tell makes each Check tell what it finds wrong with a topic's settings: the log when
// that changes, and the metrics. It is called before the cluster is used.
func (c *Cluster) Tell(log *slog.Logger, m *Metrics) { c.told = &told{log: log, metrics: m} }

// told is what was told last.
type told struct {
	log     *slog.Logger
	metrics *Metrics

	mu   sync.Mutex
	last string
}

func (t *told) tell(topic string, all []concern) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	wrong := map[string]bool{}
	var texts []string
	for _, c := range all {
		wrong[c.setting] = true
		texts = append(texts, c.text)
	}
	for _, s := range settings() {
		n := 0.0
		if wrong[s.name] {
			n = 1
		}
		t.metrics.settings.WithLabelValues(s.name).Set(n)
	}
	now := strings.Join(texts, "; ")
	switch {
	case now == t.last:
	case now == "":
		t.log.Info("the topic's settings are as they should be", "topic", topic)
	default:
		t.log.Warn("the topic's settings are not as they should be", "topic", topic, "settings", now)
	}
	t.last = now
}
