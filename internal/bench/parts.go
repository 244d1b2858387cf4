package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"

	"github.com/monedero/monedero/internal/config"
	"github.com/monedero/monedero/internal/devstack"
	"github.com/monedero/monedero/internal/service"
)

// The parts.
const (
	partProcessor = "processor"
	partIngest    = "ingest"
	partKafka     = "kafka"
	partCopy      = "copy"
	partCallers   = "callers"
	partBare      = "bare"
	partBareLine  = "bare-line"
	partTraffic   = "traffic"
	partStorm     = "storm"
	partLoad      = "load"
)

// child is a part as it sees itself.
type child struct {
	environ []string
	orders  chan []byte // lines from whoever started it
	out     io.Writer
	log     *slog.Logger
}

// Part runs a part of a run until ctx ends or in does. It is what [PartCommand]
// calls, in a process of its own. Every part, of ours and of what we are held
// against, collects its garbage as our services do.
func Part(ctx context.Context, name string, environ []string, in io.Reader, out, log io.Writer) error {
	parts := map[string]func(context.Context, *child) error{
		partProcessor: runProcessor,
		partIngest:    runIngest,
		partKafka:     runKafka,
		partCopy:      runCopy,
		partCallers:   runCallers,
		partBare:      runBare,
		partBareLine:  runBareLine,
		partTraffic:   runTraffic,
		partStorm:     runStorm,
		partLoad:      runLoad,
	}
	run, known := parts[name]
	if !known {
		return fmt.Errorf("there is no part %q", name)
	}
	service.TuneMemory(name, environ)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := &child{
		environ: environ, orders: make(chan []byte), out: out,
		log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	go func() {
		defer cancel()
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, maxPartLine)
		for lines.Scan() {
			select {
			case c.orders <- append([]byte(nil), lines.Bytes()...):
			case <-ctx.Done():
				return
			}
		}
	}()
	return run(ctx, c)
}

// told waits for the next line.
func (c *child) told(ctx context.Context, v any) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case line := <-c.orders:
		return json.Unmarshal(line, v)
	}
}

// say sends a line.
func (c *child) say(v any) error { return json.NewEncoder(c.out).Encode(v) }

// runProcessor is cmd/processor.
func runProcessor(ctx context.Context, c *child) error {
	settings, err := config.Load[config.Processor](c.environ)
	if err != nil {
		return err
	}
	return service.RunProcessor(ctx, settings, c.log)
}

// address is where a part listens.
type address struct {
	Address string `json:"address"`
}

// runIngest is cmd/ingest, on a port of its own that it tells.
func runIngest(ctx context.Context, c *child) error {
	settings, err := config.Load[config.Ingest](c.environ)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if err := c.say(address{listener.Addr().String()}); err != nil {
		return err
	}
	return service.RunIngest(ctx, settings, c.log, listener)
}

// runKafka is the embedded broker; it tells where it is.
func runKafka(ctx context.Context, c *child) error {
	k, err := devstack.StartKafka(ctx, devstack.KafkaOptions{Log: c.log})
	if err != nil {
		return err
	}
	if err := c.say(k.Brokers()); err == nil {
		<-ctx.Done()
	}
	return k.Stop()
}

// partEnviron is what every part keeps of our environment: where temporary files
// are. Nothing else that a shell happens to hold changes what is measured.
func partEnviron() []string { return []string{"TMPDIR=" + os.TempDir()} }

// obey does what it is told, over and over, and says what came of it, until ctx ends.
func obey[T, A any](ctx context.Context, c *child, do func(T) A) error {
	for {
		var todo T
		if err := c.told(ctx, &todo); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if err := c.say(do(todo)); err != nil {
			return err
		}
	}
}
