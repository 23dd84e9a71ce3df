package poll

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Loop waits for descriptors in a goroutine of its own and calls there the
// functions of those that are ready (epoll(7), level-triggered). The functions
// must not block.
//
// Its methods may be called from any goroutine.
type Loop struct {
	epoll  int
	doors  int // epoll: the doors of those alone, see NewFD
	wake   int // eventfd: Close was called, or somebody joined
	closed atomic.Bool
	done   chan struct{} // closed when Run has returned

	// What only Run's goroutine uses.
	single bool      // the runtime has one processor
	opened time.Time // when something came in by a door last
	often  bool      // and that was soon after it did before
	events [64]unix.EpollEvent

	mu         sync.Mutex
	watches    map[int32]*watch // by descriptor
	generation int32            // of the last watch
	lingers    atomic.Bool
	atRest     atomic.Bool             // Run waits for what is ready, and for nothing else
	turns      atomic.Pointer[[]*turn] // never changed in place
}

// A turn is a function that is called in each of the loop's.
type turn struct {
	busy sync.Mutex // held while f is called
	f    func() (rest bool)
	gone bool
}

// NewLoop returns a loop. Run must be called, and in the end Close.
func NewLoop() (*Loop, error) {
	l := &Loop{epoll: -1, doors: -1, wake: -1, done: make(chan struct{}), watches: make(map[int32]*watch)}
	l.turns.Store(new([]*turn))
	if err := l.open(); err != nil {
		l.closeAll()
		return nil, fmt.Errorf("cannot wait for descriptors: %w", err)
	}
	return l, nil
}

func (l *Loop) open() (err error) {
	for _, set := range []*int{&l.epoll, &l.doors} {
		if *set, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return os.NewSyscallError("epoll_create1", err)
		}
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	return l.control(unix.EPOLL_CTL_ADD, &watch{fd: l.wake, door: true}, unix.EPOLLIN)
}

// control changes what is waited for.
func (l *Loop) control(op int, w *watch, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(w.fd), Pad: w.generation}
	err := unix.EpollCtl(l.epoll, op, w.fd, &ev)
	if err == nil && w.door {
		if err = unix.EpollCtl(l.doors, op, w.fd, &ev); err != nil && op == unix.EPOLL_CTL_ADD {
			unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, w.fd, &ev)
		}
	}
	return os.NewSyscallError("epoll_ctl", err)
}

func (l *Loop) closeAll() {
	for _, fd := range []int{l.epoll, l.doors, l.wake} {
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
	l.rouse()
	<-l.done
	l.closeAll()
}

// rouse ends a wait.
func (l *Loop) rouse() {
	one := [8]byte{1} // the machine's own 1, or some other number
	unix.Write(l.wake, one[:])
}

// Run waits and calls until Close is called. It is nearly always on one thread,
// but not locked to it: the runtime interrupts it every 10 ms, to see whether
// another goroutine wants its processor, and then a locked one costs two changes
// of threads even if none does.
func (l *Loop) Run() {
	defer close(l.done)
	l.single = runtime.GOMAXPROCS(0) == 1
	for !l.closed.Load() {
		ready := l.wait()
		l.dispatch(ready, false)
		l.turn()
		if l.dispatch(ready, true) {
			now := time.Now()
			l.often, l.opened = now.Sub(l.opened) < soon, now
		}
	}
}

// EachTurn calls f in each turn of the loop: when what is ready was dealt with,
// but for the doors (see [NewFD]), and every 20 ms as long as one of these
// functions returns false. Who makes one return false that has returned true
// calls Stir. f must not block. Once stop has returned, f is not called any more;
// f must not call it.
func (l *Loop) EachTurn(f func() (rest bool)) (stop func()) {
	t := &turn{f: f}
	l.change(func(all []*turn) []*turn { return append(all, t) })
	l.rouse() // it may be at rest
	return func() {
		l.change(func(all []*turn) []*turn {
			return slices.DeleteFunc(all, func(other *turn) bool { return other == t })
		})
		t.busy.Lock()
		defer t.busy.Unlock()
		t.gone = true
	}
}

// Stir lets the loop call the functions of EachTurn again if they were all at
// rest.
func (l *Loop) Stir() {
	// Both sides store before they load (package sync/atomic keeps the order):
	// either we see that the loop is at rest, or f sees what our caller did.
	if l.atRest.Load() {
		l.rouse()
	}
}

// Turns reports whether the loop goes on: false if it has not come round when ctx
// is done.
func (l *Loop) Turns(ctx context.Context) bool {
	turned := make(chan struct{}, 1)
	stop := l.EachTurn(func() (rest bool) {
		select {
		case turned <- struct{}{}:
		default:
		}
		return true
	})
	defer stop()
	select {
	case <-turned:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *Loop) change(f func([]*turn) []*turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := f(slices.Clone(*l.turns.Load()))
	l.turns.Store(&all)
}

func (l *Loop) turn() (rest bool) {
	rest = true
	for _, t := range *l.turns.Load() {
		t.busy.Lock()
		rest = (t.gone || t.f()) && rest
		t.busy.Unlock()
	}
	return rest
}

// Linger says that what is not a door may wait for 4 ms, or until something
// comes in by one: one change of threads then serves for both. It holds for the
// next wait, and only where something has come in by a door twice within a
// millisecond, so that it rarely waits for that long.
func (l *Loop) Linger() { l.lingers.Store(true) }

// dispatch calls the functions of the doors that are ready, or of the others,
// and reports whether there were any.
func (l *Loop) dispatch(ready []unix.EpollEvent, doors bool) (any bool) {
	for i := range ready {
		ev := &ready[i]
		if int(ev.Fd) == l.wake {
			if !doors { // before the turn, which sees what it was for
				var b [8]byte
				unix.Read(l.wake, b[:])
			}
			continue
		}
		l.mu.Lock()
		w := l.watches[ev.Fd]
		l.mu.Unlock()
		// The event may be of a descriptor that is gone, and of whose number
		// another has become.
		if w != nil && w.generation == ev.Pad && w.door == doors {
			w.ready(ev.Events)
			any = true
		}
	}
	return any
}

const (
	// patience is how long the loop waits without telling the runtime, and how
	// long a turn is at most when not all are at rest.
	patience = 20 * time.Millisecond

	// lingering is not shorter than a tick of most kernels (CONFIG_HZ=250): to
	// set a timer for an earlier time costs more than it saves.
	lingering = 4 * time.Millisecond
	soon      = time.Millisecond
)

// wait returns what is ready; unless all are at rest, within patience.
//
// It waits behind the runtime's back at first. A wait that the runtime knows of
// lets another goroutine have the processor, and wakes the runtime's monitor,
// which then looks every 20 µs whether it should: twice the cost of the whole
// loop at some thousand events per second. Not knowing, the runtime takes this
// goroutine for one that computes; it can stop it all the same, since the
// signal by which it does ends the wait. So this is for short waits, and for
// programs that have another processor (GOMAXPROCS).
func (l *Loop) wait() []unix.EpollEvent {
	if l.lingers.Swap(false) && l.often && !l.single {
		l.rawWait(l.doors, lingering)
		n, _ := l.rawWait(l.epoll, 0)
		return l.events[:n]
	}
	if !l.single {
		n, interrupted := l.rawWait(l.epoll, patience)
		if interrupted {
			l.single = runtime.GOMAXPROCS(0) == 1 // it may have changed
		}
		if n > 0 || interrupted {
			return l.events[:n]
		}
	}
	limit := -1
	l.atRest.Store(true)
	defer l.atRest.Store(false)
	if !l.turn() {
		if !l.single {
			return nil
		}
		limit = int(patience.Milliseconds())
	}
	n, err := unix.EpollWait(l.epoll, l.events[:], limit)
	if err != nil {
		n = 0 // EINTR: a signal
	}
	l.single = runtime.GOMAXPROCS(0) == 1
	return l.events[:n]
}

func (l *Loop) rawWait(set int, limit time.Duration) (n int, interrupted bool) {
	r, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(set),
		uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), uintptr(limit.Milliseconds()), 0, 0)
	if errno != 0 {
		return 0, true
	}
	return int(r), false
}
