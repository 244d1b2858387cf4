package devstack_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"

	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/devstack/devstacktest"
)

const topic = "memory"

// createTopic makes the topic and waits until it is known.
func createTopic(t *testing.T, brokers []string) {
	t.Helper()
	c, done := kafkaClient(brokers)
	defer done()
	resp, err := c.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 2, ReplicationFactor: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Errors[topic]; err != nil {
		t.Fatal(err)
	}
}

// produce writes the values to partition 1, once its broker leads it: Apache Kafka
// answers before that.
func produce(t *testing.T, brokers []string, values ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c, done := kafkaClient(brokers)
	defer done()
	for {
		var records []kafka.Record
		for _, v := range values {
			records = append(records, kafka.Record{Value: kafka.NewBytes([]byte(v))})
		}
		resp, err := c.Produce(ctx, &kafka.ProduceRequest{
			Topic: topic, Partition: 1, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
		})
		if err == nil {
			err = resp.Error
		}
		if err == nil {
			return
		}
		if !errors.Is(err, kafka.NotLeaderForPartition) && !errors.Is(err, kafka.UnknownTopicOrPartition) {
			t.Fatal(err)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal(err)
		}
	}
}

func fetch(t *testing.T, brokers []string) []string {
	t.Helper()
	c, done := kafkaClient(brokers)
	defer done()
	resp, err := c.Fetch(t.Context(), &kafka.FetchRequest{
		Topic: topic, Partition: 1, Offset: 0, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Error != nil {
		t.Fatal(resp.Error)
	}
	var values []string
	for {
		r, err := resp.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return values
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := kafka.ReadAll(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, string(b))
	}
}

func clusterID(t *testing.T, brokers []string) string {
	t.Helper()
	c, done := kafkaClient(brokers)
	defer done()
	resp, err := c.Metadata(t.Context(), &kafka.MetadataRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return resp.ClusterID
}

func TestKafkaKeepsItsRecords(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(devstacktest.Folder(t), "made", "by", "us")
	k, err := devstack.StartKafka(t.Context(), devstack.KafkaOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	createTopic(t, k.Brokers())
	produce(t, k.Brokers(), "one", "two")
	id := clusterID(t, k.Brokers())
	if _, err := devstack.StartKafka(t.Context(), devstack.KafkaOptions{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second run on the same folder: %v", err)
	}
	stop(t, k)
	stop(t, k) // once more does nothing

	again, err := devstack.StartKafka(t.Context(), devstack.KafkaOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	produce(t, again.Brokers(), "three")
	if diff := cmp.Diff([]string{"one", "two", "three"}, fetch(t, again.Brokers())); diff != "" {
		t.Error(diff)
	}
	if got := clusterID(t, again.Brokers()); got != id {
		t.Errorf("cluster is %s, was %s", got, id)
	}
	stop(t, again)
}

func TestKafkasInTemporaryFoldersDiffer(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for range 2 {
		k, err := devstack.StartKafka(t.Context(), devstack.KafkaOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ids[clusterID(t, k.Brokers())] = true
		stop(t, k)
	}
	if len(ids) != 2 {
		t.Errorf("cluster IDs are %v", ids)
	}
}

// TestStackSurvivesKill kills the whole process at a moment when everything was
// acknowledged, and starts again on what it left.
func TestStackSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(devstacktest.Folder(t), "stack")
	cmd, first := startHelper(t, dir)
	remember(t, first.DatabaseURL, "committed")
	createTopic(t, first.Brokers)
	produce(t, first.Brokers, "acknowledged")
	id := clusterID(t, first.Brokers)
	if _, err := devstack.Start(t.Context(), devstack.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("second run on the same folder: %v", err)
	}
	pid := postmaster(t, filepath.Join(dir, "postgres"))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed

	// At once: the old server may still be shutting down.
	s, err := devstack.Start(t.Context(), devstack.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	awaitGone(t, pid)
	if got := recall(t, s.DatabaseURL()); got != "committed" {
		t.Errorf("recalled %q", got)
	}
	if diff := cmp.Diff([]string{"acknowledged"}, fetch(t, s.Brokers())); diff != "" {
		t.Error(diff)
	}
	if got := clusterID(t, s.Brokers()); got != id {
		t.Errorf("cluster is %s, was %s", got, id)
	}
	if s.Secret() != first.Secret {
		t.Error("the secret is another one")
	}
	stop(t, s)
}

// TestServerEndsWithItsProcess: nobody starts again, and nothing is left running.
func TestServerEndsWithItsProcess(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux ends children; elsewhere the next start does, which TestPostgresEndsAnOrphan shows")
		return
	}
	dir := filepath.Join(devstacktest.Folder(t), "stack")
	cmd, _ := startHelper(t, dir)
	pid := postmaster(t, filepath.Join(dir, "postgres"))
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	awaitGone(t, pid)
}

func TestStackOfGivenParts(t *testing.T) {
	t.Parallel()
	owner, err := devstack.Start(t.Context(), devstack.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(owner.Secret()) < 32 {
		t.Errorf("secret has %d bytes", len(owner.Secret()))
	}
	s, err := devstack.Start(t.Context(), devstack.Options{
		DatabaseURL: owner.DatabaseURL(), KafkaBrokers: owner.Brokers(), Secret: owner.Secret(),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := where{s.DatabaseURL(), s.Brokers(), s.Secret()}
	if diff := cmp.Diff(where{owner.DatabaseURL(), owner.Brokers(), owner.Secret()}, got); diff != "" {
		t.Error(diff)
	}
	stop(t, s)
	createTopic(t, owner.Brokers()) // both are still there
	remember(t, owner.DatabaseURL(), "untouched")
	stop(t, owner)
}

func TestSecretIsPrivate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(devstacktest.Folder(t), "stack")
	s, err := devstack.Start(t.Context(), devstack.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"operation-id-secret", "postgres/password"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", name, info.Mode().Perm())
		}
	}
	stop(t, s)
}

func TestWaitSaysThatPostgresEnded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(devstacktest.Folder(t), "stack")
	s, err := devstack.Start(t.Context(), devstack.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	asked, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(asked); err != nil {
		t.Errorf("asked to stop: %v", err)
	}
	if err := syscall.Kill(postmaster(t, filepath.Join(dir, "postgres")), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(t.Context()); err == nil {
		t.Error("the server was killed and Wait says nothing")
	}
	if err := s.Stop(); err == nil {
		t.Error("the server was killed and Stop says nothing")
	}
}
