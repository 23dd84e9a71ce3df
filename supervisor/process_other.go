//go:build unix && !linux

package supervisor

import (
	"golang.org/x/sys/unix"
)

func setName(string) {}

// groupsMarked: these systems show nobody's environment.
func groupsMarked(string) []int { return nil }

// ownNiceness is what a child that changes nothing has.
func ownNiceness() int {
	niceness, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
	return niceness
}

// CloseOnExec keeps every descriptor above 2 that this process was started
// with from its workers.
func CloseOnExec() {
	for fd := 3; fd < 1024; fd++ {
		unix.CloseOnExec(fd)
	}
}

// holdsSockets: these systems have no portable way to look.
func holdsSockets(int) bool { return true }
