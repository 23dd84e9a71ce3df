package poll

import (
	"context"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A watch is a descriptor that waits with a Loop.
type watch struct {
	fd         int
	loop       *Loop
	generation int32
	door       bool // see NewFD

	busy   sync.Mutex // held while a function is called
	read   *waiting   // nil: nobody waits
	write  *waiting
	in     bool // the epoll sets
	closed bool
}

// A waiting function, and who waits for it.
type waiting struct {
	f     func() Next
	ended chan error // buffered 1
}

// newLooped returns the watch of fd, for which nobody waits yet.
func newLooped(fd int, l *Loop, door bool) (*watch, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.generation++
	w := &watch{fd: fd, loop: l, generation: l.generation, door: door}
	l.watches[int32(fd)] = w
	return w, nil
}

func (w *watch) onReadable(f func() Next) error {
	r := &waiting{f, make(chan error, 1)}
	if err := w.begin(&w.read, r); err != nil {
		return err
	}
	return <-r.ended
}

func (w *watch) onWritable(ctx context.Context, f func() Next) error {
	r := &waiting{f, make(chan error, 1)}
	if err := w.begin(&w.write, r); err != nil {
		return err
	}
	select {
	case err := <-r.ended:
		return err
	case <-ctx.Done():
		w.cancel(&w.write, r)
		return ctx.Err()
	}
}

// begin lets r wait; the loop finds out at once whether there is something to
// do.
func (w *watch) begin(place **waiting, r *waiting) error {
	w.busy.Lock()
	defer w.busy.Unlock()
	*place = r
	err := w.apply()
	if err != nil {
		*place = nil
	}
	return err
}

func (w *watch) cancel(place **waiting, r *waiting) {
	w.busy.Lock()
	defer w.busy.Unlock()
	if *place == r {
		*place = nil
		w.apply()
	}
}

// finish tells who waits that it is over. w.busy is held.
func (w *watch) finish(place **waiting, err error) {
	if *place != nil {
		(*place).ended <- err
		*place = nil
	}
}

func (w *watch) close() error {
	w.detach()
	return os.NewSyscallError("close", unix.Close(w.fd))
}

func (w *watch) detach() (fd int, err error) {
	w.loop.mu.Lock()
	delete(w.loop.watches, int32(w.fd))
	w.loop.mu.Unlock()
	w.busy.Lock()
	defer w.busy.Unlock()
	w.finish(&w.read, os.ErrClosed)
	w.finish(&w.write, os.ErrClosed)
	w.apply()
	w.closed = true
	return w.fd, nil
}

// apply tells the kernel what is waited for. A descriptor for which nobody
// waits must not be in the sets: that its peer is gone is always announced. Nor
// does closing it take it out: another process may have a copy. w.busy is held.
func (w *watch) apply() error {
	if w.closed {
		return os.ErrClosed
	}
	var events uint32
	if w.read != nil {
		events |= unix.EPOLLIN
	}
	if w.write != nil {
		events |= unix.EPOLLOUT
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case events == 0 && !w.in:
		return nil
	case events == 0:
		op = unix.EPOLL_CTL_DEL
	case !w.in:
		op = unix.EPOLL_CTL_ADD
	}
	err := w.loop.control(op, w, events)
	w.in = events != 0 && (err == nil || w.in)
	return err
}

// ready calls who waits for what has happened. The loop comes back as long as
// there is more to do: so none keeps the others waiting.
func (w *watch) ready(events uint32) {
	const over = unix.EPOLLERR | unix.EPOLLHUP
	w.busy.Lock()
	defer w.busy.Unlock()
	done := false
	if w.read != nil && events&(unix.EPOLLIN|over) != 0 && w.read.f() == Done {
		w.finish(&w.read, nil)
		done = true
	}
	if w.write != nil && events&(unix.EPOLLOUT|over) != 0 && w.write.f() == Done {
		w.finish(&w.write, nil)
		done = true
	}
	if done {
		w.apply()
	}
}
