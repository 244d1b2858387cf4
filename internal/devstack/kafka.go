package devstack

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// KafkaOptions say how StartKafka is to start a Kafka. The zero value is one in a
// temporary folder.
type KafkaOptions struct {
	// Dir keeps topics, records, groups and the cluster's ID from run to run. If
	// it is empty, a temporary folder is used and removed by Stop.
	Dir string
	// Port on 127.0.0.1; 0: a free one. It may differ from run to run.
	Port int
	// Log gets a few lines; nil: none.
	Log *slog.Logger
}

// Kafka is a running broker.
type Kafka struct {
	cluster *kfake.Cluster
	log     *kafkaLog
	lock    *lock
	remove  string // folder to remove at the end
	stop    func() error
}

// StartKafka starts one broker in this process and returns when it listens. It
// makes no topic by itself. What it acknowledged survives kill -9 of this process,
// but not a power cut: like Kafka, it leaves it to the system when the log
// reaches the disk. Sessions of group members are at least 6 s long, as on Kafka.
func StartKafka(ctx context.Context, o KafkaOptions) (_ *Kafka, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	k := &Kafka{log: &kafkaLog{log: o.Log}}
	k.stop = sync.OnceValue(k.stopOwn)
	defer func() {
		if err != nil {
			_ = k.Stop() // the first error is the one to tell
		}
	}()
	dir := o.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "monedero-kafka-*"); err != nil {
			return nil, fmt.Errorf("make temporary folder: %w", err)
		}
		k.remove = dir
	} else if err := makeFolder(dir, 0o700); err != nil {
		return nil, err
	}
	if k.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	k.cluster, err = kfake.NewCluster(
		kfake.Ports(o.Port),
		kfake.DataDir(filepath.Join(dir, "log")),
		kfake.ClusterID(newClusterID()), // a folder that has one keeps its own
		kfake.WithLogger(k.log),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":           "-1", // unless its topic says otherwise, a record stays
			"default.replication.factor": "1",  // there is one broker
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("start kafka: %w", err)
	}
	o.Log.Info("kafka started", "brokers", k.Brokers(), "dir", dir)
	return k, nil
}

// Brokers are the addresses to connect to, host:port.
func (k *Kafka) Brokers() []string { return k.cluster.ListenAddrs() }

// Stop ends the broker and writes down what it knows. A temporary folder is
// removed. A second call does nothing and returns the same.
func (k *Kafka) Stop() error { return k.stop() }

func (k *Kafka) stopOwn() error {
	var faults []error
	if k.cluster != nil {
		k.cluster.Close()
		faults = append(faults, k.log.fault())
	}
	if k.remove != "" {
		faults = append(faults, os.RemoveAll(k.remove))
	}
	if k.lock != nil {
		faults = append(faults, k.lock.release())
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("stop kafka: %w", err)
	}
	return nil
}

// wait blocks until ctx ends: it ends with this process only.
func (k *Kafka) wait(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// newClusterID is 16 random bytes, written as Kafka writes them.
func newClusterID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	return base64.RawURLEncoding.EncodeToString(id)
}

// kafkaLog passes kfake's log on and remembers the errors in it: a failed write is
// told there and nowhere else.
type kafkaLog struct {
	log    *slog.Logger
	mu     sync.Mutex
	faults []error
}

// maxFaults is how many errors are remembered.
const maxFaults = 10

// Logf implements kfake.Logger.
func (l *kafkaLog) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError:
		err := fmt.Errorf(format, args...)
		l.mu.Lock()
		if len(l.faults) < maxFaults {
			l.faults = append(l.faults, err)
		}
		l.mu.Unlock()
		l.log.Error("kafka failed", "err", err)
	case kfake.LogLevelWarn:
		l.log.Warn("kafka warned", "warning", fmt.Sprintf(format, args...))
	default: // a line per request
	}
}

func (l *kafkaLog) fault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.faults...)
}
