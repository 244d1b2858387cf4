package devstack

import "syscall"

// processAttributes are those of a server that we start. It has a process group
// of its own, so that Ctrl-C reaches us and not it: we stop it when nothing needs
// it any more. If we are killed it stays; the next start on its folder ends it.
func processAttributes(u *unprivileged) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: u.credential(), Setpgid: true}
}
