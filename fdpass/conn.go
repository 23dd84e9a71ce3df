package fdpass

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
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
	fd   *poll.FD
	loop *poll.Loop // nil: the runtime's poller
}

// TrySend sends b and duplicates of fds, without waiting. It returns how many
// bytes were taken: all of them where len(b) <= MaxMessage, else possibly
// fewer, the descriptors having gone with the first. b must not be empty.
func (c *Conn) TrySend(b []byte, fds []int) (n int, err error) {
	if len(b) == 0 || len(fds) > MaxFDs {
		return 0, fmt.Errorf("fdpass: cannot send %d bytes with %d descriptors", len(b), len(fds))
	}
	fd, err := c.fd.Acquire()
	if err != nil {
		return 0, err
	}
	var buf [rightsSpace]byte // on the stack: sends with descriptors are the busiest
	n, err = sendmsg(fd, b, appendRights(buf[:0], fds))
	c.fd.Release()
	switch {
	case err == unix.EAGAIN:
		return 0, ErrWouldBlock
	case err == unix.ETOOMANYREFS:
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
	fd, err := c.fd.Acquire()
	if err != nil {
		return 0, fds, err
	}
	var rights [rightsSpace]byte
	n, nrights, err := recvmsg(fd, b, rights[:])
	c.fd.Release()
	switch {
	case err == unix.EAGAIN:
		return 0, fds, ErrWouldBlock
	case err != nil:
		return 0, fds, os.NewSyscallError("recvmsg", err)
	case n == 0 && len(b) > 0:
		return 0, fds, io.EOF
	}
	if nrights > 0 {
		fds, err = parseRights(fds, bytes.Clone(rights[:nrights])) // the array stays on the stack
	}
	return n, fds, err
}

// rightsSpace is the size of a control message with MaxFDs descriptors
// (CMSG_SPACE, cmsg(3)).
const rightsSpace = 1040

// appendRights appends the control message that carries fds, if there are any.
// It is unix.UnixRights without the allocation.
func appendRights(b []byte, fds []int) []byte {
	if len(fds) == 0 {
		return b
	}
	b = b[:unix.CmsgSpace(4*len(fds))]
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	h.SetLen(unix.CmsgLen(4 * len(fds)))
	data := b[unix.CmsgLen(0):]
	for i, fd := range fds {
		binary.NativeEndian.PutUint32(data[4*i:], uint32(fd))
	}
	return b
}

// parseRights appends the descriptors in the control message rights to fds.
func parseRights(fds []int, rights []byte) ([]int, error) {
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
	fd, err := c.fd.Acquire()
	if err != nil {
		return 0, err
	}
	n, err = peek(fd, b)
	c.fd.Release()
	switch {
	case err == unix.EAGAIN:
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

// OnReadable calls f each time that there is something to receive, or that the
// peer has closed its end, until f returns [poll.Done] or the Conn is closed
// (then it returns os.ErrClosed). f returns [poll.Wait] when a Try method has
// returned [ErrWouldBlock]. One OnReadable may be under way at a time;
// TryReceive from other goroutines beside it is fine.
func (c *Conn) OnReadable(f func() poll.Next) error { return c.fd.OnReadable(f) }

// OnWritable calls f each time that the send buffer has room, until f returns
// [poll.Done], ctx is done (then it returns ctx.Err()) or the Conn is closed.
func (c *Conn) OnWritable(ctx context.Context, f func() poll.Next) error {
	return c.fd.OnWritable(ctx, f)
}

// EachTurn calls f in each turn of the Conn's loop (see [poll.Loop.EachTurn]);
// ok is false if it has none.
func (c *Conn) EachTurn(f func() (rest bool)) (stop func(), ok bool) {
	if c.loop == nil {
		return nil, false
	}
	return c.loop.EachTurn(f), true
}

// Stir says that a function of EachTurn is at rest no more (see
// [poll.Loop.Stir]); without a loop it does nothing.
func (c *Conn) Stir() {
	if c.loop != nil {
		c.loop.Stir()
	}
}

// Linger says that an answer of the peer may wait a little (see
// [poll.Loop.Linger]); without a loop it does nothing.
func (c *Conn) Linger() {
	if c.loop != nil {
		c.loop.Linger()
	}
}

// CloseWrite tells the peer that nothing more will be sent: it reads what is
// there, then end of file. Receiving goes on.
func (c *Conn) CloseWrite() error {
	fd, err := c.fd.Acquire()
	if err != nil {
		return err
	}
	defer c.fd.Release()
	return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_WR))
}

// PeerClosed reports whether the peer has closed its end altogether. One that
// has only said that it sends no more still reads. A closed Conn has no peer.
func (c *Conn) PeerClosed() bool {
	fd, err := c.fd.Acquire()
	if err != nil {
		return true
	}
	defer c.fd.Release()
	for {
		p := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(p, 0); err != unix.EINTR {
			return p[0].Revents&unix.POLLHUP != 0
		}
	}
}

// Unread returns 0 if the peer has read all that was sent, as far as the system
// tells (unix(7), SIOCOUTQ): 0 also where it does not, and of a closed Conn.
func (c *Conn) Unread() (bytes int) {
	fd, err := c.fd.Acquire()
	if err != nil {
		return 0
	}
	defer c.fd.Release()
	n, _ := unread(fd)
	return n
}

// Shutdown ends both directions: OnReadable's and OnWritable's functions are
// called once more, and the peer reads end of file.
func (c *Conn) Shutdown() {
	if fd, err := c.fd.Acquire(); err == nil {
		unix.Shutdown(fd, unix.SHUT_RDWR)
		c.fd.Release()
	}
}

// Detach is Close, but that the descriptor stays open and becomes the caller's;
// the peer notices nothing, and what it has sent stays in the socket. Functions
// of [Conn.EachTurn] are not ended. After Close, or a first Detach, it returns
// os.ErrClosed.
func (c *Conn) Detach() (fd int, err error) { return c.fd.Detach() }

// Close closes the descriptor, ends OnReadable and OnWritable, and returns when
// their functions have returned; so these must not call it, nor wait for who
// does. Descriptors that the peer sent and nobody received are closed by the
// kernel.
func (c *Conn) Close() error { return c.fd.Close() }
