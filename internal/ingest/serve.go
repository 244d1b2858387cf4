package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/monedero/monedero/internal/admission"
)

// The limits of a connection.
const (
	requestTimeout = 10 * time.Second         // header and body; see patient and readAll
	writeTimeout   = maxWait + 15*time.Second // a request may wait, submit and read
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 16 << 10
)

// Serve answers requests on the listener until ctx ends, and does what
// [Server.Run] does meanwhile: call one of the two. Then it stops being ready, goes
// on for as long as the options say, so that load balancers learn of it, takes no
// more connections, lets those who wait for an outcome go with what is known, finishes the
// requests in hand within drainTimeout, and ends the shared work last. It
// returns nil when all of that went well. Of connections it serves so many at once
// as the options say, and turns further ones away.
func (s *Server) Serve(ctx context.Context, l net.Listener, drainTimeout time.Duration) error {
	bounded := admission.NewConnections(plainly{Listener: l, metrics: s.metrics}, s.maxConnections, turnedAway, s.metrics.shed)
	server := &http.Server{
		Handler:        s.handler,
		ReadTimeout:    requestTimeout,
		WriteTimeout:   writeTimeout,
		IdleTimeout:    idleTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ConnContext:    bounded.Context,
		ConnState:      bounded.Changed,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),

		DisableGeneralOptionsHandler: true, // what there is nothing under is answered alike under every method
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	shared, failed := errgroup.WithContext(work)
	shared.Go(func() error { return s.Run(work) })

	serving := make(chan error, 1)
	shared.Go(func() error {
		serving <- server.Serve(bounded)
		return nil
	})
	var err error
	select {
	case err = <-serving:
		err = fmt.Errorf("serve: %w", err)
	case <-failed.Done():
		err = server.Close()
	case <-ctx.Done():
		s.health.draining.Store(true)
		select {
		case <-time.After(s.lameDuck):
		case <-failed.Done():
		}
		err = s.shutdown(work, server, drainTimeout)
	}
	stop()
	err = errors.Join(err, shared.Wait())
	bounded.Wait() // it accepts no more
	return err
}

func (s *Server) shutdown(ctx context.Context, server *http.Server, drainTimeout time.Duration) error {
	close(s.drain)
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("drain: %w", err), server.Close())
	}
	return nil
}

// turnedAway is the answer on a connection for which there is no room.
func turnedAway() []byte {
	return refuse(CodeOverloaded, "too many connections are open; the request was not taken: send it again, under the same idempotency key").
		problem(newRequestID()).text()
}
