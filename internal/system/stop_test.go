package system

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/monedero/monedero/internal/postgres/pgtest"
	"github.com/monedero/monedero/internal/proxytest"
)

// An ingest that is told to stop goes on serving while it says that it is not ready.
func TestLameDuck(t *testing.T) {
	t.Parallel()
	s := newStack(t, 4)
	address := freeAddress(t)
	p := s.ingestAt(address, "LAME_DUCK=3s")
	p.waitReady()
	began := time.Now()
	p.signal(syscall.SIGTERM)
	for p.ready() {
		time.Sleep(20 * time.Millisecond)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/openapi.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("not ready for %s, and not serving: %v", time.Since(began), err)
	}
	_ = resp.Body.Close()
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		t.Fatal("it does not stop")
	}
	if took := time.Since(began); p.err != nil || took < 3*time.Second {
		t.Errorf("stopped after %s: %v", took, p.err)
	}
}

// A processor settles though nobody reads its log, and though whoever read it is gone.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	s := newStack(t, 4)
	_, operator := s.ingest()
	shop := operator.open()
	wallet := shop.wallet()
	settles := func(key string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), awaitTimeout)
		defer cancel()
		id, err := shop.till.charge(ctx, wallet, key, 1)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := shop.till.outcome(ctx, id); err != nil || o.Status != "failed" {
			t.Fatalf("%s: a charge of an empty wallet is %q: %v", key, o.Status, err)
		}
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	const page = 4096
	if _, _, failed := syscall.Syscall(syscall.SYS_FCNTL, writer.Fd(), syscall.F_SETPIPE_SZ, page); failed != 0 {
		t.Fatal(failed)
	}
	if _, err := writer.Write(make([]byte, page)); err != nil { // it is full now
		t.Fatal(err)
	}
	p := &process{t: t, name: "processor", admin: freeAddress(t), ended: make(chan struct{}), log: filepath.Join(t.TempDir(), "log")}
	if err := os.WriteFile(p.log, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(filepath.Join(string(built), "processor"))
	p.cmd.Env = append(s.env[:len(s.env):len(s.env)], "ADMIN_ADDR="+p.admin, "LOG_LEVEL=debug")
	p.cmd.Stderr = writer
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(p.cleanup)
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	p.waitReady()
	settles("nobody reads")
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	settles("the reader is gone")
	awaitThat(t, "dropped lines are counted", func() bool { return p.metric("monedero_log_lines_dropped_total") > 0 })
	p.terminate()
}

// A second consumer group would take every partition from the first, for ever.
func TestAnotherGroup(t *testing.T) {
	t.Parallel()
	s := newStack(t, 4)
	other := append(s.env[:len(s.env):len(s.env)], "KAFKA_GROUP=others", "ADMIN_ADDR=")
	if _, err := built.run(t, other, "processor"); err == nil || !strings.Contains(err.Error(), "it belongs to monedero-processor, not to others") {
		t.Errorf("a processor of another group: %v", err)
	}
	if _, err := built.run(t, other, "monedero", "topics", "create", "--partitions", "4"); err == nil || !strings.Contains(err.Error(), "it belongs to monedero-processor") {
		t.Errorf("topics create with another group: %v", err)
	}
	p := s.processor()
	if _, err := built.run(t, other, "monedero", "topics", "group", "--reason", "a test"); err == nil || !strings.Contains(err.Error(), "stop all of them first") {
		t.Errorf("to bind another group while a processor runs: %v", err)
	}
	p.terminate()
	if _, err := built.run(t, other, "monedero", "topics", "group", "--reason", "a test of groups"); err != nil {
		t.Error(err)
	}
	p = s.processor("KAFKA_GROUP=others")
	p.terminate()
}

// What a login sets, the shell or a URL says, must not end in a service that half works.
func TestFewFiles(t *testing.T) {
	t.Parallel()
	s := newStack(t, 4)
	env := append(s.env[:len(s.env):len(s.env)], "ADMIN_ADDR=", "INGEST_ADDR=127.0.0.1:0")
	limited := func(files string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "sh", "-c", "ulimit -n "+files+"; exec "+filepath.Join(string(built), "ingest"))
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := limited("700"); err == nil || !strings.Contains(out, "raise the hard limit") {
		t.Errorf("700 files: %v: %s", err, out)
	}
	if out, _ := limited("1024"); !strings.Contains(out, "fewer connections are served than usual") {
		t.Errorf("1024 files: %s", out)
	}
}

// TestProcessorStopsInEveryState lets a processor wait for everything that it can wait
// for, and tells it to stop: it does so within DRAIN_TIMEOUT.
func TestProcessorStopsInEveryState(t *testing.T) {
	t.Parallel()
	const drain = 5 * time.Second
	for _, state := range []struct {
		name  string
		cause func(broker, database *proxytest.Proxy) (await func(*process)) // before it starts; until it waits
	}{
		{"Postgres is gone", func(_, database *proxytest.Proxy) func(*process) {
			database.Refuse(true)
			return func(p *process) { p.awaitOutput("postgres does not answer yet") }
		}},
		{"Postgres says nothing", func(_, database *proxytest.Proxy) func(*process) {
			database.Stall(proxytest.ToClient)
			return func(*process) { awaitThat(t, "it asks", func() bool { return database.Connections() > 0 }) }
		}},
		{"Kafka is gone", func(broker, _ *proxytest.Proxy) func(*process) {
			broker.Refuse(true)
			return func(p *process) { p.awaitOutput("processor started") }
		}},
		{"Kafka says nothing", func(broker, _ *proxytest.Proxy) func(*process) {
			broker.Stall(proxytest.ToClient)
			return func(*process) { awaitThat(t, "it asks", func() bool { return broker.Connections() > 0 }) }
		}},
		{"it joins the group, and Kafka does not answer", func(broker, _ *proxytest.Proxy) func(*process) {
			join := broker.HoldAt(proxytest.ToServer, proxytest.Before("consumer"))
			return func(*process) {
				awaitThat(t, "it asks to join", func() bool {
					select {
					case <-join.Sprung():
						return true
					default:
						return false
					}
				})
			}
		}},
		{"it settles, and Kafka says nothing more", func(broker, _ *proxytest.Proxy) func(*process) {
			return func(p *process) {
				p.waitReady()
				broker.Stall(proxytest.ToClient)
			}
		}},
	} {
		t.Run(state.name, func(t *testing.T) {
			t.Parallel()
			broker, proxy := newBrokerBehindProxy(t)
			s := newStackWith(t, pgtest.New(t), broker, 4)
			database, through := s.behind()
			await := state.cause(proxy, database)
			p := built.start(t, append(s.env, through, "DRAIN_TIMEOUT="+drain.String()), "processor")
			await(p)
			began := time.Now()
			p.terminate()
			if took := time.Since(began); took > drain+busy {
				t.Errorf("it stopped after %v, and has %v", took, drain)
			}
		})
	}
}
