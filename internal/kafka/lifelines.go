package kafka

import (
	"context"
	"net"
)

// lifelines makes the connections of a member of a group, and can cut them: kafka-go
// has no other way to give up what it waits for.
type lifelines struct {
	alive context.Context
	cut   context.CancelFunc
}

func newLifelines() *lifelines {
	alive, cut := context.WithCancel(context.Background())
	return &lifelines{alive: alive, cut: cut}
}

func (l *lifelines) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.alive, cancel)()
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &lifeline{Conn: conn, forget: context.AfterFunc(l.alive, func() { _ = conn.Close() })}, nil
}

// lifeline is a connection that can be cut.
type lifeline struct {
	net.Conn

	forget func() bool
}

// Close implements net.Conn.
func (l *lifeline) Close() error {
	l.forget()
	return l.Conn.Close()
}
