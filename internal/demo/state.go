package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// stateFile is where a kept folder has the demo's own state.
const stateFile = "demo.json"

// state is what a later run on the same folder needs to go on. It holds API
// keys: only the owner may read it.
type state struct {
	path string // empty: nothing is kept

	Day      int               `json:"day"`      // the last one begun
	Operator string            `json:"operator"` // API key
	Keys     map[string]string `json:"keys"`     // API keys by whose they are
}

// readState reads the folder's state; a folder without one, or none at all, is
// before its first day.
func readState(dir string) (*state, error) {
	s := &state{Keys: map[string]string{}}
	if dir == "" {
		return s, nil
	}
	s.path = filepath.Join(dir, stateFile)
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the demo's state: %w", err)
	}
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("read the demo's state in %s: %w", s.path, err)
	}
	if s.Keys == nil {
		s.Keys = map[string]string{}
	}
	return s, nil
}

// write keeps the state: after a crash there is the old one or the new one.
func (s *state) write() error {
	if s.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the demo's state: %w", err)
	}
	if err := replaceFile(s.path, append(text, '\n')); err != nil {
		return fmt.Errorf("keep the demo's state: %w", err)
	}
	return nil
}

// begin counts a new day. The count is kept before anything of the day happens:
// a day that was broken off never comes again.
func (s *state) begin() error {
	s.Day++
	return s.write()
}

func replaceFile(path string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
