package kafka

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	kafkago "github.com/segmentio/kafka-go"
)

// leaderTimeout is how long a leader is waited for: who is slower may be there.
const leaderTimeout = time.Second

// takes fails where no partition of the topic would take a record now, and says why the
// first one would not: it has no leader, its leader's address does not resolve or
// answer, or too few replicas are in sync. It writes nothing.
func (s sight) takes(ctx context.Context) error {
	least, err := strconv.Atoi(s.arranged.values[minInSyncSetting].text)
	if err != nil {
		least = 1 // the brokers do not say
	}
	leaders := map[int]error{}
	var first error
	for _, p := range s.partitions {
		err := takes(ctx, p, least, leaders)
		if err == nil {
			return nil
		}
		if first == nil {
			first = fmt.Errorf("no partition takes records: partition %d %w", p.ID, err)
		}
	}
	return first
}

// takes is why a partition takes no records. Each leader is called once.
func takes(ctx context.Context, p kafkago.Partition, least int, leaders map[int]error) error {
	if p.Leader.Host == "" {
		return errors.New("has no leader")
	}
	if len(p.Isr) < least {
		return fmt.Errorf("has %d replicas in sync, and needs %d", len(p.Isr), least)
	}
	err, called := leaders[p.Leader.ID]
	if !called {
		address := net.JoinHostPort(p.Leader.Host, strconv.Itoa(p.Leader.Port))
		conn, dialed := (&net.Dialer{Timeout: leaderTimeout}).DialContext(ctx, "tcp", address)
		var slow net.Error
		switch {
		case dialed == nil:
			err = conn.Close()
		case errors.As(dialed, new(*net.DNSError)) || !errors.As(dialed, &slow) || !slow.Timeout():
			err = dialed
		}
		leaders[p.Leader.ID] = err
	}
	if err != nil {
		return fmt.Errorf("is led by broker %d, which does not answer where it says it is: %w", p.Leader.ID, err)
	}
	return nil
}
