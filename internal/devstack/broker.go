package devstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"
)

// apacheBroker is one process of a cluster: a broker, and one of the controllers.
type apacheBroker struct {
	cluster          *Apache
	id               int
	dir              string
	port, controller int
	voters           string
	process          *process // nil: not running
}

func (b *apacheBroker) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(b.port))
}
func (b *apacheBroker) data() string    { return filepath.Join(b.dir, "data") }
func (b *apacheBroker) logFile() string { return filepath.Join(b.dir, "kafka.log") }

// properties are the broker's settings. A few differ from what Kafka comes with,
// for a small machine and a quick start: few partitions of its own topics, a
// group that waits for nobody at its first member, and a cluster that notices in
// 6 s instead of 9 that a broker is gone.
func (b *apacheBroker) properties(data string) string {
	replicas, inSync := min(len(b.cluster.brokers), 3), 1
	if replicas == 3 {
		inSync = 2
	}
	return fmt.Sprintf(`process.roles=broker,controller
node.id=%d
controller.quorum.voters=%s
listeners=PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d
advertised.listeners=PLAINTEXT://127.0.0.1:%[3]d
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%[5]s
default.replication.factor=%[6]d
min.insync.replicas=%[7]d
offsets.topic.replication.factor=%[6]d
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=%[6]d
transaction.state.log.min.isr=%[7]d
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=%[6]d
share.coordinator.state.topic.min.isr=%[7]d
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=4194304
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
`, b.id, b.voters, b.port, b.controller, data, replicas, inSync)
}

// java is a program of the jars. Its log goes to its standard error.
func (b *apacheBroker) java(ctx context.Context, class string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.cluster.java, append([]string{
		"-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-cp", filepath.Join(b.cluster.jars, "*"), class,
	}, args...)...)
	cmd.Dir = b.dir
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = processAttributes(nil)
	return cmd
}

// format makes the data unless it is there. It gets its name last, so that there
// is either all of it or none.
func (b *apacheBroker) format(ctx context.Context) error {
	if _, err := os.Stat(b.data()); err == nil {
		return nil
	}
	if err := makeFolder(b.dir, 0o700); err != nil {
		return err
	}
	unfinished := b.data() + ".new"
	if err := os.RemoveAll(unfinished); err != nil {
		return fmt.Errorf("remove unfinished data: %w", err)
	}
	config := filepath.Join(b.dir, "format.properties")
	if err := os.WriteFile(config, []byte(b.properties(unfinished)), 0o600); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	cmd := b.java(ctx, "kafka.tools.StorageTool", "format", "--cluster-id="+b.cluster.id, "--config", config)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("format the data: %w: %s", err, out)
	}
	if err := os.Rename(unfinished, b.data()); err != nil {
		return fmt.Errorf("name the data: %w", err)
	}
	return nil
}

// start starts the broker and returns when it is one of the cluster's.
func (b *apacheBroker) start(ctx context.Context) error {
	if err := b.format(ctx); err != nil {
		return err
	}
	config := filepath.Join(b.dir, "server.properties")
	if err := os.WriteFile(config, []byte(b.properties(b.data())), 0o600); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	output, err := os.OpenFile(b.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer output.Close() //nolint:errcheck // the process has its own
	if info, err := output.Stat(); err == nil && info.Size() > maxLog {
		_ = output.Truncate(0)
	}
	cmd := b.java(context.WithoutCancel(ctx), "kafka.Kafka", config)
	cmd.Stdout, cmd.Stderr = output, output
	if b.process, err = startProcess(cmd); err != nil {
		return fmt.Errorf("start broker: %w", err)
	}
	for {
		if b.answers(ctx) {
			return nil
		}
		select {
		case <-b.process.done:
			return fmt.Errorf("broker %d ended: %w; its log ends with: %s", b.id, errors.Join(b.process.err, errEnded), b.logTail())
		case <-ctx.Done():
			return fmt.Errorf("broker %d does not answer: %w; its log ends with: %s", b.id, ctx.Err(), b.logTail())
		case <-time.After(connectPause):
		}
	}
}

// answers says whether the broker is known to itself as one of the cluster's:
// it listens before that.
func (b *apacheBroker) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := kafka.DialContext(ctx, "tcp", b.address())
	if err != nil {
		return false
	}
	defer conn.Close() //nolint:errcheck // nothing was written
	if conn.SetDeadline(time.Now().Add(connectTimeout)) != nil {
		return false
	}
	known, err := conn.Brokers()
	if err != nil {
		return false
	}
	for _, k := range known {
		if k.ID == b.id && k.Port == b.port {
			return true
		}
	}
	return false
}

func (b *apacheBroker) logTail() string {
	text, err := os.ReadFile(b.logFile())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(text[max(0, len(text)-maxTail):]))
}

// shutDown ends the broker in order, or by force if that takes too long.
func (b *apacheBroker) shutDown() {
	if b.process == nil {
		return
	}
	b.process.signal(syscall.SIGTERM)
	select {
	case <-b.process.done:
	case <-time.After(apacheStopTimeout):
		b.kill()
	}
}

// kill ends the broker as a crash would.
func (b *apacheBroker) kill() {
	if b.process == nil {
		return
	}
	b.process.signal(syscall.SIGKILL)
	<-b.process.done
}
