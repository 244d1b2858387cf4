package devstack

import "syscall"

// processAttributes are those of a server that we start. It has a process group
// of its own, so that Ctrl-C reaches us and not it: we stop it when nothing needs
// it any more. If we die first, the kernel asks it to shut down.
func processAttributes(u *unprivileged) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: u.credential(), Setpgid: true, Pdeathsig: syscall.SIGINT}
}
