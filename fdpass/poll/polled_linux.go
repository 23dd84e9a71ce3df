package poll

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A polled descriptor waits with the runtime's poller, but not in person: the
// runtime would wait for both directions at once, for ever. A socket to a local
// peer becomes writable anew each time that the peer has read, so each message
// would wake its sender once more. Therefore each direction has an epoll set of
// its own, in which the descriptor is while somebody waits, and it is that which
// the runtime waits for.
type polled struct {
	fd          int
	read, write *os.File // epoll sets; opened at once, or there might be no descriptor left
}

func newPolled(fd int) (*polled, error) {
	read, err := newSet()
	if err != nil {
		return nil, err
	}
	write, err := newSet()
	if err != nil {
		read.Close()
		return nil, err
	}
	return &polled{fd, read, write}, nil
}

func newSet() (*os.File, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot wait for a descriptor: %w", os.NewSyscallError("epoll_create1", err))
	}
	unix.SetNonblock(ep, true) // never fails; the runtime waits for what has the flag
	return os.NewFile(uintptr(ep), "epoll"), nil
}

func (p *polled) onReadable(f func() Next) error {
	return p.wait(p.read, unix.EPOLLIN, f)
}

func (p *polled) onWritable(ctx context.Context, f func() Next) error {
	p.write.SetReadDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { p.write.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := p.wait(p.write, unix.EPOLLOUT, f)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// wait calls f each time that one of events has happened to the descriptor. The
// set announces it once (EPOLLET), as the runtime does.
func (p *polled) wait(set *os.File, events uint32, f func() Next) error {
	raw, err := set.SyscallConn()
	if err != nil {
		return err
	}
	control := func(op int) error {
		var ctlErr error
		if err := raw.Control(func(ep uintptr) {
			ctlErr = unix.EpollCtl(int(ep), op, p.fd, &unix.EpollEvent{Events: events | unix.EPOLLET})
		}); err != nil {
			return os.ErrClosed // nothing else makes it fail
		}
		return os.NewSyscallError("epoll_ctl", ctlErr)
	}
	if err := control(unix.EPOLL_CTL_ADD); err != nil {
		return err
	}
	defer control(unix.EPOLL_CTL_DEL)
	err = raw.Read(func(uintptr) bool { return untilWait(f) })
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrClosed // the same
	}
	return err
}

func (p *polled) close() error {
	p.detach()
	return os.NewSyscallError("close", unix.Close(p.fd))
}

func (p *polled) detach() (fd int, err error) {
	p.read.Close() // each returns when its function has
	p.write.Close()
	return p.fd, nil
}
