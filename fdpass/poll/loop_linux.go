package poll

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Loop waits for descriptors on a thread of its own and calls there the
// functions of those that are ready (epoll(7), level-triggered). The functions
// must not block.
//
// Its methods may be called from any goroutine, but for Linger.
type Loop struct {
	first int // epoll: what comes first
	all   int // epoll: that, and all others
	wake  int // eventfd: Close was called

	// What only Run's goroutine uses.
	lingers bool
	single  bool // the runtime has one processor
	events  [64]unix.EpollEvent

	closed atomic.Bool
	done   chan struct{} // closed when Run has returned

	mu         sync.Mutex
	watches    map[int32]*watch // by descriptor
	generation int32            // of the last watch
}

// NewLoop returns a loop. Run must be called, and in the end Close.
func NewLoop() (*Loop, error) {
	l := &Loop{first: -1, all: -1, wake: -1, done: make(chan struct{}), watches: make(map[int32]*watch)}
	if err := l.open(); err != nil {
		l.closeAll()
		return nil, fmt.Errorf("cannot wait for descriptors: %w", err)
	}
	return l, nil
}

func (l *Loop) open() (err error) {
	for _, ep := range []*int{&l.first, &l.all} {
		if *ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return os.NewSyscallError("epoll_create1", err)
		}
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	return l.control(unix.EPOLL_CTL_ADD, &watch{fd: l.wake, first: true}, unix.EPOLLIN)
}

// control changes what is waited for.
func (l *Loop) control(op int, w *watch, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(w.fd), Pad: w.generation}
	err := unix.EpollCtl(l.all, op, w.fd, &ev)
	if err == nil && w.first {
		err = unix.EpollCtl(l.first, op, w.fd, &ev)
	}
	return os.NewSyscallError("epoll_ctl", err)
}

func (l *Loop) closeAll() {
	for _, fd := range []int{l.first, l.all, l.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// Close ends Run and returns when it has returned. Descriptors that still wait
// with the loop are not woken: close them before.
func (l *Loop) Close() {
	if l.closed.Swap(true) {
		return
	}
	var one [8]byte
	*(*uint64)(unsafe.Pointer(&one)) = 1 // an eventfd adds up numbers as the machine has them
	unix.Write(l.wake, one[:])
	<-l.done
	l.closeAll()
}

// Run waits and calls until Close is called. It keeps a thread to itself.
func (l *Loop) Run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(l.done)
	l.single = runtime.GOMAXPROCS(0) == 1
	for !l.closed.Load() {
		ready := l.wait()
		// The others before the first: what a worker has said counts for the
		// connection that is accepted after it.
		for _, first := range []bool{false, true} {
			for i := range ready {
				l.dispatch(&ready[i], first)
			}
		}
	}
}

func (l *Loop) dispatch(ev *unix.EpollEvent, first bool) {
	l.mu.Lock()
	w := l.watches[ev.Fd]
	l.mu.Unlock()
	// The event may be of a descriptor that is gone, and of whose number
	// another has become.
	if w != nil && w.generation == ev.Pad && w.first == first {
		w.ready(ev.Events)
	}
}

const (
	// lingering is how long what does not come first may wait.
	lingering = time.Millisecond

	// patience is how long the loop waits without telling the runtime.
	patience = 20 * time.Millisecond
)

// Linger says that what does not come first may wait a millisecond, or until
// what comes first wakes the loop, whichever is sooner: one wake-up then serves
// for both. It holds for the next wait, and is called by the functions that
// the loop calls.
func (l *Loop) Linger() { l.lingers = true }

// wait returns what is ready.
//
// It waits behind the runtime's back at first. A wait that the runtime knows of
// lets another goroutine have the processor, and wakes the runtime's monitor,
// which then looks every 20 µs whether it should: twice the cost of the whole
// loop at some thousand events per second. Not knowing, the runtime takes this
// goroutine for one that computes; it can stop it all the same, since the
// signal by which it does ends the wait. So this is for short waits, and for
// programs that have another processor (GOMAXPROCS).
func (l *Loop) wait() []unix.EpollEvent {
	if l.lingers && !l.single {
		l.lingers = false
		l.rawWait(l.first, lingering)
		n, _ := l.rawWait(l.all, 0)
		return l.events[:n]
	}
	if !l.single {
		if n, interrupted := l.rawWait(l.all, patience); n > 0 || interrupted {
			return l.events[:n]
		}
	}
	n, err := unix.EpollWait(l.all, l.events[:], -1)
	if err != nil {
		n = 0 // EINTR: a signal
	}
	l.single = runtime.GOMAXPROCS(0) == 1
	return l.events[:n]
}

func (l *Loop) rawWait(ep int, limit time.Duration) (n int, interrupted bool) {
	r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep),
		uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), uintptr(limit.Milliseconds()), 0, 0)
	if errno != 0 {
		return 0, true
	}
	return int(r), false
}
