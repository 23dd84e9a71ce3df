package supervisor

import (
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// An exitWait waits for a child through a descriptor (pidfd_open(2), Linux 5.3)
// and the runtime's poller, so that the wait holds no thread and can be broken
// off. Where there is none, for want of descriptors as well, it looks again and
// again: a wait in the kernel could not be broken off, and an upgrade would hang.
type exitWait struct {
	p         *os.Process
	file      *os.File // of the pidfd; nil: there is none
	raw       syscall.RawConn
	broken    chan struct{}
	interrupt func() // closes broken, and ends a read of file
}

func newExitWait(p *os.Process) *exitWait {
	w := &exitWait{p: p, broken: make(chan struct{})}
	w.interrupt = sync.OnceFunc(w.breakOff)
	fd, err := unix.PidfdOpen(p.Pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return w
	}
	w.file = os.NewFile(uintptr(fd), "pidfd")
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.close()
		w.file = nil
	}
	return w
}

func (w *exitWait) await() (exited bool) {
	if w.file != nil {
		err := w.raw.Read(func(uintptr) bool {
			exited = w.exited()
			return exited
		})
		if exited || err == nil || os.IsTimeout(err) {
			return exited
		}
	}
	return w.look() // the poller may have no room
}

// exitLook is the time between two looks.
const exitLook = 100 * time.Millisecond

func (w *exitWait) look() (exited bool) {
	tick := time.NewTicker(exitLook)
	defer tick.Stop()
	for !w.exited() {
		select {
		case <-tick.C:
		case <-w.broken:
			return false
		}
	}
	return true
}

// exited reports whether the child has exited, and does not reap it.
func (w *exitWait) exited() bool {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, w.p.Pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err != unix.EINTR {
			return err != nil || info.Signo != 0 // no child of that number: it was reaped
		}
	}
}

func (w *exitWait) breakOff() {
	close(w.broken)
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
