package devstack

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// secretBytes is the number of random bytes in a secret: 256 bits, written as 64
// characters.
const secretBytes = 32

// keptSecret reads the secret in the file, or makes one and keeps it there. Once
// it has returned a secret, it returns the same one for ever.
func keptSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err == nil {
		if len(b) < 2*secretBytes {
			return "", fmt.Errorf("secret in %s is too short", path)
		}
		return string(b), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read secret: %w", err)
	}
	secret := newSecret()
	if err := writeDurably(path, []byte(secret)); err != nil {
		return "", fmt.Errorf("keep secret: %w", err)
	}
	return secret, nil
}

func newSecret() string {
	random := make([]byte, secretBytes)
	_, _ = rand.Read(random) // never fails
	return hex.EncodeToString(random)
}

// writeDurably writes a file that only its owner can read. After a crash there is
// the whole file or none.
func writeDurably(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
