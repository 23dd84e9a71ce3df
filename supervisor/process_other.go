//go:build unix && !linux

package supervisor

import "golang.org/x/sys/unix"

// awaitExit: these systems have no portable wait that leaves the zombie. The
// caller's Wait reaps it before its group is killed.
func awaitExit(int) {}

func setName(string) {}

// CloseOnExec keeps every descriptor above 2 that this process was started
// with from its workers.
func CloseOnExec() {
	for fd := 3; fd < 1024; fd++ {
		unix.CloseOnExec(fd)
	}
}
