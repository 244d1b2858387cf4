package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// makeFolder makes a folder of that mode, whatever the umask, and the folders
// above it. A folder that is there is left as it is.
func makeFolder(dir string, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := os.Mkdir(dir, mode); err != nil {
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make folder: %w", err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
		if !info.IsDir() {
			return fmt.Errorf("make folder: %s is not a folder", dir)
		}
		return nil
	}
	if err := os.Chmod(dir, mode); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}
