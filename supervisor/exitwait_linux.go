package supervisor

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An exitWait waits for a child through a descriptor (pidfd_open(2), Linux 5.3)
// and the runtime's poller, so that the wait holds no thread and can be broken
// off. Where there is none it waits in the kernel.
type exitWait struct {
	p    *os.Process
	file *os.File // of the pidfd; nil: there is none
	raw  syscall.RawConn
}

func newExitWait(p *os.Process) *exitWait {
	w := &exitWait{p: p}
	fd, err := unix.PidfdOpen(p.Pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return w
	}
	w.file = os.NewFile(uintptr(fd), "pidfd")
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.close()
	}
	return w
}

func (w *exitWait) await() (exited bool) {
	if w.file == nil {
		w.exited(0)
		return true
	}
	err := w.raw.Read(func(uintptr) bool {
		exited = w.exited(unix.WNOHANG)
		return exited
	})
	if err != nil && !os.IsTimeout(err) && !exited {
		w.exited(0) // its poller has no room for it
		return true
	}
	return exited
}

// exited reports whether the child has exited, and does not reap it.
func (w *exitWait) exited(options int) bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, w.p.Pid, &info, unix.WEXITED|unix.WNOWAIT|options, nil)
		if err != unix.EINTR {
			return err != nil || info.Signo != 0 // no child of that number: it was reaped
		}
	}
}

func (w *exitWait) interrupt() {
	if w.file != nil {
		w.file.SetReadDeadline(time.Unix(1, 0))
	}
}

// reap takes the status of a child that has exited. It returns at once.
func (w *exitWait) reap() *os.ProcessState {
	state, _ := w.p.Wait() // nobody could act on the error
	w.close()
	return state
}

func (w *exitWait) close() {
	if w.file != nil {
		w.file.Close()
	}
}
