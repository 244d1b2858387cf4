package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// PartCommand is the hidden command that runs a part: its argument names which.
const PartCommand = "bench-part"

const (
	// partStopTimeout is for a part to stop in order.
	partStopTimeout = 30 * time.Second
	// maxPartLog is how much an error shows of what a part printed, in bytes.
	maxPartLog = 4 << 10
	// maxPartLine bounds a line of JSON between a part and us, in bytes.
	maxPartLine = 4 << 20
)

// part is a process of ours that is measured. We tell it and it tells us lines of
// JSON. It ends when its standard input does, and so with this process, however
// that ends.
type part struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers chan []byte // closed when the part has ended
	printed tail
	ended   chan struct{}
	err     error // how it ended; read after ended
}

// start starts a part in an environment that holds nothing else than what is
// given. It is stopped at the end of the run at the latest.
func (r *run) start(ctx context.Context, name string, environ ...string) (*part, error) {
	p := &part{name: name, answers: make(chan []byte, 16), ended: make(chan struct{})}
	// It outlives ctx, to be stopped in order.
	p.cmd = exec.CommandContext(context.WithoutCancel(ctx), r.executable, PartCommand, name)
	p.cmd.Env = environ
	p.cmd.Stderr = &p.printed
	// A process group of its own: Ctrl-C reaches us, and we stop it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, maxPartLine)
		for lines.Scan() {
			p.answers <- append([]byte(nil), lines.Bytes()...)
		}
		_, _ = io.Copy(io.Discard, stdout)
		p.err = p.cmd.Wait()
		close(p.ended)
		close(p.answers)
	}()
	r.onClose(p.stop)
	return p, nil
}

func (p *part) pid() int { return p.cmd.Process.Pid }

// tell sends a line.
func (p *part) tell(v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("tell %s: %w", p.name, err)
	}
	if _, err := p.stdin.Write(append(line, '\n')); err != nil {
		return p.failed(err)
	}
	return nil
}

// hear waits for the next line.
func (p *part) hear(ctx context.Context, v any) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait for %s: %w", p.name, ctx.Err())
	case line, open := <-p.answers:
		if !open {
			return p.failed(errPartEnded)
		}
		if err := json.Unmarshal(line, v); err != nil {
			return fmt.Errorf("hear %s: %w", p.name, err)
		}
		return nil
	}
}

var errPartEnded = errors.New("it ended by itself")

// check fails when the part has ended.
func (p *part) check() error {
	select {
	case <-p.ended:
		return p.failed(errPartEnded)
	default:
		return nil
	}
}

// failed is err and what the part said last.
func (p *part) failed(err error) error {
	select {
	case <-p.ended:
		how := "in order"
		if p.err != nil {
			how = p.err.Error()
		}
		return fmt.Errorf("%s: %w (%s); it said: %s", p.name, err, how, p.printed.String())
	default:
		return fmt.Errorf("%s: %w", p.name, err)
	}
}

// stop ends the part in order, and by force if that takes too long. That it has
// ended already is no fault.
func (p *part) stop() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	_ = p.stdin.Close()
	late := time.NewTimer(partStopTimeout)
	defer late.Stop()
	for {
		select {
		case <-p.ended:
			if p.err != nil {
				return fmt.Errorf("stop %s: %w; it said: %s", p.name, p.err, p.printed.String())
			}
			return nil
		case <-p.answers: // nobody asks any more
		case <-late.C:
			p.kill()
			return fmt.Errorf("stop %s: it took longer than %s", p.name, partStopTimeout)
		}
	}
}

// kill ends the part as a crash would.
func (p *part) kill() {
	_ = p.cmd.Process.Kill() // that it has ended is no fault
	for {
		select {
		case <-p.ended:
			return
		case <-p.answers:
		}
	}
}

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if more := len(t.text) - maxPartLog; more > 0 {
		t.text = append(t.text[:0], t.text[more:]...)
	}
	return len(b), nil
}

// String is what was kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
