package fdpass

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// MaxFDs is the most descriptors that one message carries (SCM_MAX_FD).
	MaxFDs = 253

	// MaxMessage is the size in bytes up to which a send is atomic. Linux
	// builds one buffer of at most 36,544 bytes a send.
	MaxMessage = 32 << 10
)

// ErrWouldBlock is returned by the Try methods when the socket's buffer is
// full, or empty, or when this user has too many descriptors in flight
// (ETOOMANYREFS, unix(7)). Nothing was sent or received.
var ErrWouldBlock = errors.New("fdpass: would block")

// ErrTooManyInFlight is the ErrWouldBlock that no writability announces: it
// passes when receivers take their descriptors, so the sender tries again
// after a pause.
var ErrTooManyInFlight = fmt.Errorf("%w: too many descriptors in flight", ErrWouldBlock)

// Conn is one end of a stream socketpair. Its methods may be called from
// several goroutines; the order of concurrent sends, or receives, is the
// callers' business.
type Conn struct {
	file   *os.File // owns the descriptor
	raw    syscall.RawConn
	closed atomic.Bool
}

// TrySend sends b and duplicates of fds, without waiting. It returns how many
// bytes were taken: all of them where len(b) <= MaxMessage, else possibly
// fewer, the descriptors having gone with the first. b must not be empty.
func (c *Conn) TrySend(b []byte, fds []int) (n int, err error) {
	if len(b) == 0 || len(fds) > MaxFDs {
		return 0, fmt.Errorf("fdpass: cannot send %d bytes with %d descriptors", len(b), len(fds))
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	ctlErr := c.raw.Control(func(fd uintptr) {
		n, err = sendmsg(int(fd), b, rights)
	})
	if ctlErr != nil {
		return 0, ctlErr
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, ErrWouldBlock
	case errors.Is(err, unix.ETOOMANYREFS):
		return 0, ErrTooManyInFlight
	case err != nil:
		return 0, os.NewSyscallError("sendmsg", err)
	}
	return n, nil
}

// TryReceive reads what is there into b, without waiting, and appends the
// descriptors that came with it to fds; the caller owns those. It returns
// io.EOF once the peer has closed its end and everything was read.
func (c *Conn) TryReceive(b []byte, fds []int) (n int, _ []int, err error) {
	var rights [1040]byte // CMSG_SPACE of MaxFDs descriptors
	var nrights int
	ctlErr := c.raw.Control(func(fd uintptr) {
		n, nrights, err = recvmsg(int(fd), b, rights[:])
	})
	if ctlErr != nil {
		return 0, fds, ctlErr
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, fds, ErrWouldBlock
	case err != nil:
		return 0, fds, os.NewSyscallError("recvmsg", err)
	case n == 0 && len(b) > 0:
		return 0, fds, io.EOF
	}
	if nrights > 0 {
		fds, err = appendRights(fds, rights[:nrights])
	}
	return n, fds, err
}

// appendRights appends the descriptors in the control message rights to fds.
func appendRights(fds []int, rights []byte) ([]int, error) {
	msgs, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return fds, os.NewSyscallError("recvmsg", err)
	}
	for i := range msgs {
		// Anything but SCM_RIGHTS (credentials, say) carries no descriptor.
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, received(got)...)
		}
	}
	return fds, nil
}

// TryPeek reads what is there into b and leaves it there, without waiting. It
// takes no descriptors. Errors are TryReceive's.
func (c *Conn) TryPeek(b []byte) (n int, err error) {
	ctlErr := c.raw.Control(func(fd uintptr) { n, err = peek(int(fd), b) })
	if ctlErr != nil {
		return 0, ctlErr
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return 0, ErrWouldBlock
	case err != nil:
		return 0, os.NewSyscallError("recv", err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func peek(fd int, b []byte) (n int, err error) {
	for {
		n, _, err = unix.Recvfrom(fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// OnReadable calls f now, and again each time that data arrives or the peer
// closes its end, until f returns true or the Conn is closed (then it returns
// os.ErrClosed). f must receive until [ErrWouldBlock]: it is not called again for
// what it leaves behind. One OnReadable may be under way at a time; TryReceive
// from other goroutines beside it is fine.
func (c *Conn) OnReadable(f func() (done bool)) error {
	return c.waited(c.raw.Read(func(uintptr) bool { return f() }))
}

// OnWritable calls f now, and again each time that the send buffer has room,
// until f returns true, the write deadline passes or the Conn is closed.
func (c *Conn) OnWritable(f func() (done bool)) error {
	return c.waited(c.raw.Write(func(uintptr) bool { return f() }))
}

// waited puts a name to the error of a wait that Close ended: the one that the
// poller returns has none.
func (c *Conn) waited(err error) error {
	if err != nil && c.closed.Load() {
		return os.ErrClosed
	}
	return err
}

// SetWriteDeadline bounds OnWritable; the zero time is no deadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.file.SetWriteDeadline(t) }

// CloseWrite tells the peer that nothing more will be sent: it reads what is
// there, then end of file. Receiving goes on.
func (c *Conn) CloseWrite() error {
	var err error
	if ctlErr := c.raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("shutdown", unix.Shutdown(int(fd), unix.SHUT_WR))
	}); ctlErr != nil {
		return ctlErr
	}
	return err
}

// Shutdown ends both directions: OnReadable's and OnWritable's functions are
// called once more, and the peer reads end of file.
func (c *Conn) Shutdown() {
	c.raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
}

// Close closes the descriptor, ends OnReadable and OnWritable, and returns when
// they have returned; so their functions must not call it, nor wait for who
// does. Descriptors that the peer sent and nobody received are closed by the
// kernel.
func (c *Conn) Close() error {
	c.closed.Store(true)
	return c.file.Close()
}
