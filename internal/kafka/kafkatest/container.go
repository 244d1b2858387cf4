package kafkatest

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/testcontainers/testcontainers-go"

	"github.com/monedero/monedero/internal/devstack"
)

// Docker's Kafka. The module of testcontainers for Kafka starts Confluent's images
// alone, so this is a generic container.
const (
	image         = "apache/kafka:4.1.1"
	inside        = "9092/tcp"
	dockerTimeout = 5 * time.Second // for Docker to say that it is there
	dockerStop    = 20 * time.Second
)

// contained is a Kafka in a container. Its port on the host is chosen by us and
// stays over a restart.
type contained struct {
	container *testcontainers.DockerContainer
	address   string
}

// startContainer fails at once where Docker does not answer.
func startContainer(ctx context.Context) (_ *contained, err error) {
	host, err := dockerHost(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask Docker: %w", err)
	}
	port, err := devstack.LastingPort(ctx)
	if err != nil {
		return nil, err
	}
	c := &contained{address: net.JoinHostPort(host, strconv.Itoa(port))}
	c.container, err = testcontainers.Run(ctx, image,
		testcontainers.WithExposedPorts(inside),
		testcontainers.WithHostConfigModifier(func(h *container.HostConfig) {
			// A Docker elsewhere is not reached over its loopback.
			on := netip.IPv4Unspecified()
			if host == "localhost" {
				on = netip.AddrFrom4([4]byte{127, 0, 0, 1})
			}
			h.PortBindings = network.PortMap{
				network.MustParsePort(inside): {{HostIP: on, HostPort: strconv.Itoa(port)}},
			}
		}),
		testcontainers.WithEnv(environment(c.address)),
	)
	if err == nil {
		err = c.await(ctx)
	}
	if err != nil {
		_ = c.Stop() // the first error is the one to tell
		return nil, fmt.Errorf("start %s: %w", image, err)
	}
	return c, nil
}

// environment are the settings that the jars get as a file.
func environment(advertised string) map[string]string {
	return map[string]string{
		"KAFKA_NODE_ID":                                          "1",
		"KAFKA_PROCESS_ROLES":                                    "broker,controller",
		"KAFKA_CONTROLLER_QUORUM_VOTERS":                         "1@localhost:9093",
		"KAFKA_LISTENERS":                                        "PLAINTEXT://0.0.0.0:9092,CONTROLLER://localhost:9093",
		"KAFKA_ADVERTISED_LISTENERS":                             "PLAINTEXT://" + advertised,
		"KAFKA_CONTROLLER_LISTENER_NAMES":                        "CONTROLLER",
		"KAFKA_LISTENER_SECURITY_PROTOCOL_MAP":                   "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR":                 "1",
		"KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS":                     "4",
		"KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR":         "1",
		"KAFKA_TRANSACTION_STATE_LOG_MIN_ISR":                    "1",
		"KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS":             "4",
		"KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
		"KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR":            "1",
		"KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS":                 "0",
		"KAFKA_AUTO_CREATE_TOPICS_ENABLE":                        "false",
		"KAFKA_LOG_RETENTION_MS":                                 "-1",
		"KAFKA_HEAP_OPTS":                                        "-Xms64m -Xmx384m",
	}
}

// quiet is a log of nothing.
type quiet struct{}

// Printf implements testcontainers' logger.
func (quiet) Printf(string, ...any) {}

// dockerHost is where the ports of containers are, if Docker answers.
func dockerHost(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(quiet{}))
	if err != nil {
		return "", err
	}
	defer provider.Close()
	if err := provider.Health(ctx); err != nil {
		return "", err
	}
	return provider.DaemonHost(ctx)
}

// await waits until the broker is known to itself as one that answers.
func (c *contained) await(ctx context.Context) error {
	for {
		err := c.ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("wait for the broker: %w", err)
		}
	}
}

func (c *contained) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dockerTimeout)
	defer cancel()
	conn, err := kafkago.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(dockerTimeout)); err != nil {
		return err
	}
	known, err := conn.Brokers()
	if err == nil && len(known) == 0 {
		err = io.ErrNoProgress
	}
	return err
}

// Brokers is the address on the host.
func (c *contained) Brokers() []string { return []string{c.address} }

// StopBroker ends the container in order; what it wrote stays.
func (c *contained) StopBroker(int) { c.halt(dockerStop) }

// KillBroker gives no time: then Docker sends SIGKILL.
func (c *contained) KillBroker(int) { c.halt(0) }

func (c *contained) halt(patience time.Duration) {
	if err := c.container.Stop(context.Background(), &patience); err != nil {
		fmt.Fprintln(os.Stderr, "stop the container:", err)
	}
}

// SuspendBroker freezes the container's processes.
func (c *contained) SuspendBroker(int) {
	c.docker("pause", func(ctx context.Context, docker client.APIClient) error {
		_, err := docker.ContainerPause(ctx, c.container.GetContainerID(), client.ContainerPauseOptions{})
		return err
	})
}

// ResumeBroker lets them go on.
func (c *contained) ResumeBroker(int) {
	c.docker("unpause", func(ctx context.Context, docker client.APIClient) error {
		_, err := docker.ContainerUnpause(ctx, c.container.GetContainerID(), client.ContainerUnpauseOptions{})
		return err
	})
}

// docker asks Docker for what testcontainers has no call for.
func (c *contained) docker(what string, do func(context.Context, client.APIClient) error) {
	ctx, cancel := context.WithTimeout(context.Background(), dockerTimeout)
	defer cancel()
	provider, err := testcontainers.NewDockerProvider(testcontainers.WithLogger(quiet{}))
	if err == nil {
		defer provider.Close()
		err = do(ctx, provider.Client())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s the container: %v\n", what, err)
	}
}

// StartBroker starts the container again and waits until the broker answers.
func (c *contained) StartBroker(ctx context.Context, _ int) error {
	if err := c.container.Start(ctx); err != nil {
		return fmt.Errorf("start the container again: %w", err)
	}
	return c.await(ctx)
}

// Stop removes the container.
func (c *contained) Stop() error {
	return testcontainers.TerminateContainer(c.container, testcontainers.StopTimeout(0))
}
