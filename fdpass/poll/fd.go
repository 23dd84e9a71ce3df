package poll

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Next says how a function that was called for a ready descriptor goes on.
type Next int

const (
	More Next = iota // there may be more: call again
	Wait             // there was no more: call again when there is
	Done             // do not call again
)

// An FD is an open descriptor that can be waited for. Its methods may be
// called from any goroutine; of OnReadable and OnWritable, one call each may be
// under way at a time.
type FD struct {
	mu   sync.RWMutex // held for reading while fd is in use
	fd   int          // -1 once Close or Detach was called
	wait waiter       // owns the descriptor
}

// A waiter is one of the two ways to wait.
type waiter interface {
	onReadable(f func() Next) error
	onWritable(ctx context.Context, f func() Next) error

	// These end both, and return when they have ended.
	close() error
	detach() (fd int, err error) // the descriptor stays open
}

// NewFD takes ownership of fd, which must be non-blocking. With a Loop, which
// must run, it is the loop's goroutine that calls the functions of OnReadable and
// OnWritable; without one it is the goroutine that waits. door says that
// new work comes in by it, with which the loop deals when it is done with what
// else is ready.
func NewFD(fd int, l *Loop, door bool) (*FD, error) {
	var w waiter
	var err error
	if l != nil {
		w, err = newLooped(fd, l, door)
	} else {
		w, err = newPolled(fd)
	}
	if err != nil {
		return nil, err
	}
	return &FD{fd: fd, wait: w}, nil
}

// Closed returns an FD that was closed.
func Closed() *FD { return &FD{fd: -1, wait: gone{}} }

// gone is how one waits for a descriptor that was closed.
type gone struct{}

func (gone) onReadable(func() Next) error                  { return os.ErrClosed }
func (gone) onWritable(context.Context, func() Next) error { return os.ErrClosed }
func (gone) close() error                                  { return os.ErrClosed }
func (gone) detach() (fd int, err error)                   { return -1, os.ErrClosed }

// Acquire returns the descriptor and keeps it open until Release, which must
// follow soon: Close and Detach wait for it. After either it returns
// os.ErrClosed, and no Release must follow.
func (d *FD) Acquire() (fd int, err error) {
	d.mu.RLock()
	if d.fd < 0 {
		d.mu.RUnlock()
		return -1, os.ErrClosed
	}
	return d.fd, nil
}

// Release ends the use of what Acquire returned.
func (d *FD) Release() { d.mu.RUnlock() }

// OnReadable calls f each time that the descriptor is readable, which the end
// of its file is as well, until f returns Done. It returns os.ErrClosed if Close
// or Detach ended it.
func (d *FD) OnReadable(f func() Next) error { return d.wait.onReadable(f) }

// OnWritable calls f each time that the descriptor is writable, until f returns
// Done. It returns ctx.Err() if ctx ended it, and os.ErrClosed
// if Close or Detach did.
func (d *FD) OnWritable(ctx context.Context, f func() Next) error { return d.wait.onWritable(ctx, f) }

// Close closes the descriptor, ends OnReadable and OnWritable, and returns when
// their functions have returned; so these must not call it, nor wait for who
// does. A second Close returns os.ErrClosed.
func (d *FD) Close() error {
	if !d.retire() {
		return os.ErrClosed
	}
	return d.wait.close()
}

// Detach is Close, but that the descriptor stays open and becomes the caller's;
// fd may be another than NewFD was given. After Close, or a first Detach, it
// returns os.ErrClosed; after another error the descriptor is closed.
func (d *FD) Detach() (fd int, err error) {
	if !d.retire() {
		return -1, os.ErrClosed
	}
	return d.wait.detach()
}

// retire ends the use of the descriptor, and reports whether it is the first to
// do so.
func (d *FD) retire() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.fd >= 0
	d.fd = -1
	return first
}

// Until returns Done if done, else Wait.
func Until(done bool) Next {
	if done {
		return Done
	}
	return Wait
}

// untilWait calls f until it has to wait, since the runtime's poller announces
// only what is new, or is done, which it reports.
func untilWait(f func() Next) (done bool) {
	for {
		switch f() {
		case Wait:
			return false
		case Done:
			return true
		}
	}
}

// Duplicate returns another descriptor, which is the caller's, of what a file of package
// os or a connection or listener of package net has open: theirs can't be taken from the
// runtime's poller. (os.File's Fd would make it blocking.)
func Duplicate(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	ctlErr := raw.Control(func(old uintptr) {
		fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err = errors.Join(ctlErr, err); err != nil {
		return -1, err
	}
	return fd, nil
}
