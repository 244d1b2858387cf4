package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	kafkago "github.com/segmentio/kafka-go"
)

// errTakesNone says why no partition of the topic would take a record.
var errTakesNone = errors.New("no partition takes records")

// Takes fails where no partition of the topic would take a record now, and says why the
// first one would not: it has no leader, its leader's address does not resolve or
// answer, or too few replicas are in sync. It writes nothing.
func (c *Cluster) Takes(ctx context.Context, topic string) error {
	return c.fresh(ctx, func(ctx context.Context, client *kafkago.Client) error {
		answer, err := client.Metadata(ctx, &kafkago.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return fmt.Errorf("describe topic %s: %w", topic, err)
		}
		least, err := minInSync(ctx, client, topic)
		if err != nil {
			least = 1 // who would answer it may be the broker that does not
		}
		leaders := map[int]error{}
		var first error
		for _, t := range answer.Topics {
			for _, p := range t.Partitions {
				err := c.takes(ctx, p, least, leaders)
				if err == nil {
					return nil
				}
				if first == nil {
					first = fmt.Errorf("%w: partition %d %w", errTakesNone, p.ID, err)
				}
			}
		}
		return first
	})
}

// takes is why a partition takes no records. Each leader is called once.
func (c *Cluster) takes(ctx context.Context, p kafkago.Partition, least int, leaders map[int]error) error {
	if p.Leader.Host == "" {
		return errors.New("has no leader")
	}
	if len(p.Isr) < least {
		return fmt.Errorf("has %d replicas in sync, and needs %d", len(p.Isr), least)
	}
	err, called := leaders[p.Leader.ID]
	if !called {
		address := net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port))
		conn, dialed := (&net.Dialer{Timeout: answerTimeout / 2}).DialContext(ctx, "tcp", address)
		var slow net.Error
		switch {
		case dialed == nil:
			err = conn.Close()
		case errors.As(dialed, new(*net.DNSError)) || !errors.As(dialed, &slow) || !slow.Timeout(): // who is slow may be there
			err = dialed
		}
		leaders[p.Leader.ID] = err
	}
	if err != nil {
		return fmt.Errorf("is led by broker %d, which does not answer where it says it is: %w", p.Leader.ID, err)
	}
	return nil
}

// minInSync is how many replicas must have a record; 1 where the topic does not say.
func minInSync(ctx context.Context, client *kafkago.Client, topic string) (int, error) {
	answer, err := client.DescribeConfigs(ctx, &kafkago.DescribeConfigsRequest{Resources: []kafkago.DescribeConfigRequestResource{{
		ResourceType: kafkago.ResourceTypeTopic, ResourceName: topic, ConfigNames: []string{"min.insync.replicas"},
	}}})
	if err != nil {
		return 0, fmt.Errorf("read settings of topic %s: %w", topic, err)
	}
	for _, r := range answer.Resources {
		for _, e := range r.ConfigEntries {
			if n, err := strconv.Atoi(e.ConfigValue); err == nil && e.ConfigName == "min.insync.replicas" {
				return n, nil
			}
		}
	}
	return 1, nil
}
