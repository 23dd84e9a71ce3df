//go:build unix && !linux

package poll

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A polled descriptor waits with the runtime's poller.
type polled struct {
	file   *os.File
	raw    syscall.RawConn
	closed atomic.Bool
}

func newPolled(fd int) (*polled, error) {
	file := os.NewFile(uintptr(fd), "polled")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err // only of what is not open
	}
	return &polled{file: file, raw: raw}, nil
}

func (p *polled) onReadable(f func() Next) error {
	return p.ended(p.raw.Read(func(uintptr) bool { return untilWait(f) }))
}

func (p *polled) onWritable(ctx context.Context, f func() Next) error {
	p.file.SetWriteDeadline(time.Time{})
	stop := context.AfterFunc(ctx, func() { p.file.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := p.ended(p.raw.Write(func(uintptr) bool { return untilWait(f) })); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

// ended puts a name to the error of a wait that close ended: the one that the
// runtime returns has none.
func (p *polled) ended(err error) error {
	if err != nil && p.closed.Load() {
		return os.ErrClosed
	}
	return err
}

func (p *polled) close() error {
	p.closed.Store(true)
	return p.file.Close()
}

// detach returns a copy: an os.File keeps the descriptor that it has.
func (p *polled) detach() (fd int, err error) {
	ctlErr := p.raw.Control(func(own uintptr) {
		fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3)
	})
	if err = errors.Join(ctlErr, err, p.close()); err != nil {
		return -1, os.NewSyscallError("fcntl", err)
	}
	return fd, nil
}
