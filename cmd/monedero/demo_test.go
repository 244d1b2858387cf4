package main

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/monedero/monedero/internal/devstack/devstacktest"
)

// TestSignalsStopTheDemoInOrder runs the command as a process of its own, with
// no terminal, and asks it to stop as Ctrl-C and a supervisor do.
func TestSignalsStopTheDemoInOrder(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			dir := devstacktest.Folder(t)
			cmd, out, errs := start(t, "demo", "--charges", "50", "--wallets", "60", "--callers", "8", "--data", dir)
			said := ""
			for !strings.Contains(said, "/v1/clients/") { // the last of the lines to try
				line, err := out.ReadString('\n')
				if said += line; err != nil {
					t.Fatalf("%v\n%s\n%s", err, said, errs)
				}
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err != nil || strings.Contains(errs.String(), "goroutine") {
				t.Errorf("it ended with %v\n%s", err, errs)
			}
			if _, err := os.Stat(filepath.Join(dir, "postgres", "data", "postmaster.pid")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Postgres did not stop in order: %v", err)
			}
		})
	}
}

// start runs the command as a process; its standard output is to be read.
func start(t *testing.T, args ...string) (*exec.Cmd, *bufio.Reader, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "DATABASE_URL=")
	errs := &bytes.Buffer{}
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, bufio.NewReader(out), errs
}
