package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startTimeout = 60 * time.Second // from starting a binary to its readiness
	stopTimeout  = 30 * time.Second // from SIGTERM to the end
	awaitTimeout = 30 * time.Second // for a metric to say what it must
)

// binaries is the folder of the built commands.
type binaries string

func build(folder string) (binaries, error) {
	cmd := exec.Command("go", "build", "-o", folder, "github.com/monedero/monedero/cmd/...")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the commands: %w\n%s", err, out)
	}
	return binaries(folder), nil
}

// run runs a command to its end and returns what it printed on standard output.
func (b binaries) run(t *testing.T, env []string, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(string(b), name), args...)
	cmd.Env = env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return out.String(), nil
}

// process is a running service.
type process struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	admin string // address of the admin server
	log   string // file of its output
	ended chan struct{}
	err   error // of Wait, once ended
}

// start starts a service. It is killed at the end of the test if it runs still,
// and its output is shown if the test failed.
func (b binaries) start(t *testing.T, env []string, name string) *process {
	t.Helper()
	p := &process{t: t, name: name, admin: freeAddress(t), ended: make(chan struct{})}
	output, err := os.CreateTemp(t.TempDir(), name+"-*.log")
	if err != nil {
		t.Fatal(err)
	}
	p.log = output.Name()
	p.cmd = exec.Command(filepath.Join(string(b), name))
	p.cmd.Env = append(env, "ADMIN_ADDR="+p.admin)
	p.cmd.Stdout, p.cmd.Stderr = output, output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		_ = output.Close()
		close(p.ended)
	}()
	t.Cleanup(p.cleanup)
	return p
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) cleanup() {
	state := "it ran to the end of the test"
	if !p.running() {
		state = fmt.Sprintf("it had ended before: %v", p.err)
	}
	p.kill()
	if !p.t.Failed() {
		return
	}
	text := p.output()
	const most = 8 << 10
	if len(text) > most {
		text = text[len(text)-most:]
	}
	p.t.Logf("end of the output of %s (%s):\n%s", p.name, state, text)
}

// output is what the service has printed up to now.
func (p *process) output() string {
	p.t.Helper()
	text, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Error(err)
	}
	return string(text)
}

func (p *process) waitReady() {
	p.t.Helper()
	deadline := time.Now().Add(startTimeout)
	for !p.ready() {
		select {
		case <-p.ended:
			p.t.Fatalf("%s ended while it started: %v", p.name, p.err)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("%s is not ready after %v", p.name, startTimeout)
		}
	}
}

func (p *process) ready() bool {
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.admin+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// terminate asks the service to stop and waits until it has: with exit code 0.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatalf("terminate %s: %v", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		p.t.Fatalf("%s did not stop within %v of SIGTERM", p.name, stopTimeout)
	}
	if p.err != nil {
		p.t.Errorf("%s stopped with %v", p.name, p.err)
	}
}

// kill ends the service at once, as a crash would.
func (p *process) kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("kill %s: %v", p.name, err)
	}
	<-p.ended
}

// suspend stops the service where it stands, as a machine does that swaps or
// migrates; resume lets it go on.
func (p *process) suspend() { p.signal(syscall.SIGSTOP) }

func (p *process) resume() { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v to %s: %v", s, p.name, err)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	_, text, _ := net.SplitHostPort(freeAddress(t))
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// await waits until the service's metrics hold the line.
func (p *process) await(line string) {
	p.t.Helper()
	deadline := time.Now().Add(awaitTimeout)
	for !strings.Contains(p.metrics(), line+"\n") {
		if time.Now().After(deadline) {
			p.t.Fatalf("after %v the metrics of %s do not say %s", awaitTimeout, p.name, line)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// awaitOutput waits until the service has printed the text.
func (p *process) awaitOutput(text string) {
	p.t.Helper()
	deadline := time.Now().Add(awaitTimeout)
	for !strings.Contains(p.output(), text) {
		if time.Now().After(deadline) {
			p.t.Fatalf("after %v %s has not printed %q", awaitTimeout, p.name, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// metric is the sum of a metric over its labels.
func (p *process) metric(name string) (sum float64) {
	p.t.Helper()
	for line := range strings.Lines(p.metrics()) {
		series, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			p.t.Fatalf("read the metric %s: %v", name, err)
		}
		sum += value
	}
	return sum
}

func (p *process) metrics() string {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.admin+"/metrics", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}
