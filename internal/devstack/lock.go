package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock holds a folder for this process. It ends with the process, however that
// ends.
type lock struct{ file *os.File }

// lockDir takes the folder, which must exist, or fails at once if another run has
// it.
func lockDir(dir string) (*lock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(f.Name())
		_ = f.Close()
		return nil, fmt.Errorf("folder %s is in use by another run (process %s): %w", dir, strings.TrimSpace(string(holder)), err)
	}
	// The number is only for the message above.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(fmt.Sprintln(os.Getpid())), 0)
	return &lock{file: f}, nil
}

func (l *lock) release() error { return l.file.Close() }

// awaitLock takes the folder as soon as nobody else has it.
func awaitLock(ctx context.Context, dir string) (*lock, error) {
	for {
		l, err := lockDir(dir)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return l, err
		}
		if pause(ctx, retryPause) != nil {
			return nil, err
		}
	}
}
