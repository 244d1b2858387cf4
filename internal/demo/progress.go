package demo

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// plainSteps is how many lines a task's progress takes where there is no
// terminal.
const plainSteps = 5

// console says what the demo does: one line a step with its time, and how far a
// long step has come, as a bar on a terminal and as plain lines elsewhere.
type console struct {
	out      io.Writer
	terminal bool
}

func newConsole(out io.Writer) *console {
	file, isFile := out.(*os.File)
	return &console{out: out, terminal: isFile && term.IsTerminal(int(file.Fd()))}
}

func (c *console) printf(format string, args ...any) {
	fmt.Fprintf(c.out, format+"\n", args...)
}

// step runs fn and says what it did and how long that took.
func (c *console) step(fn func() (string, error)) error {
	start := time.Now()
	said, err := fn()
	if err != nil {
		return err
	}
	c.printf("%8s  %s", round(time.Since(start)), said)
	return nil
}

// tally counts the parts of one long step as they get done. It is safe for
// concurrent use.
type tally struct {
	console *console
	name    string
	total   int
	bar     *progressbar.ProgressBar // nil where there is no terminal

	mu   sync.Mutex
	done int
}

func (c *console) tally(name string, total int) *tally {
	t := &tally{console: c, name: name, total: total}
	if c.terminal {
		t.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(c.out), progressbar.OptionSetDescription(name),
			progressbar.OptionShowCount(), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
			progressbar.OptionThrottle(100*time.Millisecond))
	}
	return t
}

func (t *tally) add(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.done
	t.done += n
	if t.bar != nil {
		// A bar that cannot be drawn is no reason to stop the day.
		_ = t.bar.Add(n)
		return
	}
	if t.done*plainSteps/t.total > before*plainSteps/t.total {
		t.console.printf("          %s: %d of %d", t.name, t.done, t.total)
	}
}

// end clears the bar, also that of a step that was given up.
func (t *tally) end() {
	if t.bar != nil {
		_ = t.bar.Clear()
	}
}

func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}
