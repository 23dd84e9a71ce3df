//go:build unix && !linux

package supervisor

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func setName(string) {}

// lend: these systems show nobody's limits, nor anybody's environment.
func (mark) lend() (back func()) { return func() {} }

// A proc is nothing that can be found here.
type proc struct{ pid, group int }

func (proc) signal(syscall.Signal) error { return errors.ErrUnsupported }

type procTable struct{}

// family: these systems have no portable way to look.
func (*Supervisor) family(*Worker) []proc { return nil }

// describe: nor here.
func describe(pid int) program { return program{pid: pid} }

func (*Supervisor) programs(*Worker) []program { return nil }

// strays: nor here.
func (*ward) strays() []proc { return nil }

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

type clientSockets struct{}

// holdsClients: these systems have no portable way to look.
func (*Supervisor) holdsClients(*Worker) (held bool, at time.Time, err error) {
	return false, time.Now(), errors.ErrUnsupported
}
