package devstack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// unprivileged is the user that Postgres runs as when we are root, which it
// refuses to be. It is nil when we are an ordinary user: then Postgres runs as us.
type unprivileged struct {
	uid, gid uint32
	name     string
}

// unprivilegedFor chooses the user for the data in dir: none unless we are root,
// else the owner of data that is already there, else postgres, else nobody.
func unprivilegedFor(dir string) (*unprivileged, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(dir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return &unprivileged{uid: st.Uid, gid: st.Gid, name: strconv.FormatUint(uint64(st.Uid), 10)}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		// Some systems write the ID of nobody as a negative number.
		uid, err1 := strconv.ParseInt(u.Uid, 10, 64)
		gid, err2 := strconv.ParseInt(u.Gid, 10, 64)
		if err1 == nil && err2 == nil && uid != 0 {
			return &unprivileged{uid: uint32(uid), gid: uint32(gid), name: name}, nil
		}
	}
	return nil, errors.New("postgres refuses to run as root, and there is neither a user postgres nor a user nobody to run it as")
}

func (u *unprivileged) credential() *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: u.uid, Gid: u.gid}
}

// own gives everything below dir to the user.
func (u *unprivileged) own(dir string) error {
	if u == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, int(u.uid), int(u.gid))
		}
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // the server of an earlier run, which is ending, has removed it
		}
		return err
	})
}

// reach fails when the user cannot pass through a folder above dir.
func (u *unprivileged) reach(dir string) error {
	if u == nil {
		return nil
	}
	for p := filepath.Dir(dir); ; p = filepath.Dir(p) {
		info, err := os.Stat(p)
		if err != nil {
			return err
		}
		if !u.mayPass(info) {
			return fmt.Errorf("postgres does not run as root but as user %s, who cannot reach %s: %s has mode %04o; "+
				"choose a folder that other users can reach, such as one below /var/lib or /tmp, or let them pass (chmod o+x)", u.name, dir, p, info.Mode().Perm())
		}
		if p == filepath.Dir(p) {
			return nil
		}
	}
}

func (u *unprivileged) mayPass(info fs.FileInfo) bool {
	const owner, group, others = 0o100, 0o010, 0o001
	bit := fs.FileMode(others)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		switch {
		case st.Uid == u.uid:
			bit = owner
		case st.Gid == u.gid:
			bit = group
		}
	}
	return info.Mode()&bit != 0
}
