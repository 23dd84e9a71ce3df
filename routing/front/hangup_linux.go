package front

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hangups watches connections that wait and tells their goroutines when the client
// closes. One epoll set has all of them; data from clients does not wake it.
type hangups struct {
	set *os.File // nil: opening it failed, and nothing is watched

	mu         sync.Mutex
	running    bool
	generation int32
	all        map[int32]hangup // by descriptor
}

// A hangup is the watch on one connection.
type hangup struct {
	generation int32         // descriptors' numbers come back, generations don't
	closed     chan struct{} // buffered 1
}

// open opens the set early: later there might be no descriptor left.
func (h *hangups) open() {
	h.all = make(map[int32]hangup)
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return
	}
	unix.SetNonblock(set, true) // never fails; the runtime waits for what has the flag
	h.set = os.NewFile(uintptr(set), "hangups")
}

// close ends all watches, and the goroutine that serves them.
func (h *hangups) close() {
	if h.set != nil {
		h.set.Close()
	}
}

// watch returns a channel that receives when the client closes the connection or its
// half of it, at once if it already has, and maybe more than once; hungUp says which.
// The caller must call forget before it closes the descriptor or gives it away. The
// first call starts the goroutine that serves all watches, with start.
func (h *hangups) watch(fd int, start func(func())) (closed <-chan struct{}, forget func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.generation++
	w := hangup{h.generation, make(chan struct{}, 1)}
	// The set announces each change once.
	ev := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd), Pad: w.generation}
	if !h.control(unix.EPOLL_CTL_ADD, fd, &ev) {
		return nil, func() {}
	}
	h.all[int32(fd)] = w
	if !h.running {
		h.running = true
		start(h.run)
	}
	return w.closed, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.all, int32(fd))
		h.control(unix.EPOLL_CTL_DEL, fd, &ev)
	}
}

// control reports whether the set was changed.
func (h *hangups) control(op, fd int, ev *unix.EpollEvent) bool {
	if h.set == nil {
		return false
	}
	raw, err := h.set.SyscallConn()
	if err != nil {
		return false
	}
	var ctlErr error
	err = raw.Control(func(set uintptr) { ctlErr = unix.EpollCtl(int(set), op, fd, ev) })
	return err == nil && ctlErr == nil // the one is that it is closed
}

// run tells who waits, until close.
func (h *hangups) run() {
	raw, err := h.set.SyscallConn()
	if err != nil {
		return
	}
	var events [64]unix.EpollEvent
	raw.Read(func(set uintptr) bool {
		for {
			n, err := unix.EpollWait(int(set), events[:], 0)
			if err == unix.EINTR {
				continue
			}
			if n <= 0 {
				return false
			}
			h.tell(events[:n])
		}
	})
}

func (h *hangups) tell(events []unix.EpollEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ev := range events {
		if w := h.all[ev.Fd]; w.generation == ev.Pad && w.closed != nil {
			select {
			case w.closed <- struct{}{}:
			default: // it is known
			}
		}
	}
}

// hungUp reports whether the client has closed its half of a connection, so that
// nothing more will come, and whether the whole connection is closed (poll(2)).
func hungUp(fd int) (half, gone bool) {
	p := unix.PollFd{Fd: int32(fd), Events: unix.POLLRDHUP}
	var now unix.Timespec
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	if errno != 0 || n == 0 {
		return false, false
	}
	return p.Revents&unix.POLLRDHUP != 0, p.Revents&(unix.POLLHUP|unix.POLLERR) != 0
}
