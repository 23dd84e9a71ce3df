package fdpass

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
)

// Pair makes a connected pair of stream sockets, both close-on-exec. The
// caller owns both ends.
//
// Only the parent's end is non-blocking. The child's is for exec to inherit:
// each end has file status flags of its own, so a child in any language may
// set what it likes. The parent's end waits with l, or, without one, with the
// runtime's poller (see [poll.NewFD]).
func Pair(l *poll.Loop) (parent *Conn, child *os.File, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a socketpair: %w", err)
	}
	child = os.NewFile(uintptr(fds[1]), "fdpass-child")
	parent, err = adopt(fds[0], l)
	if err != nil {
		child.Close()
		return nil, nil, err
	}
	return parent, child, nil
}

// Channel makes a connected pair of stream sockets, both close-on-exec and
// non-blocking: near for this process, and far, which the caller owns, to be
// sent to another one.
func Channel() (near *Conn, far int, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, -1, fmt.Errorf("cannot make a socketpair: %w", err)
	}
	if err := unix.SetNonblock(fds[1], true); err != nil {
		CloseAll(fds[:])
		return nil, -1, fmt.Errorf("cannot make a socket non-blocking: %w", err)
	}
	if near, err = Adopt(fds[0]); err != nil {
		Close(fds[1])
		return nil, -1, err
	}
	return near, fds[1], nil
}

// Adopt takes ownership of the stream socket fd, typically one inherited from
// the process that called [Pair]: it becomes close-on-exec and non-blocking,
// and [Conn.Close] closes it. On error fd is closed if it was a socket and
// left alone if it was not: then it was never ours.
func Adopt(fd int) (*Conn, error) { return adopt(fd, nil) }

func adopt(fd int, l *poll.Loop) (*Conn, error) {
	c, err := NewConn(fd, l)
	if err != nil && IsStreamSocket(fd) {
		unix.Close(fd)
	}
	return c, err
}

// NewConn makes a Conn of the stream socket fd, such as one that [Conn.Detach]
// has returned. It waits as that of [Pair] does, and owns fd, which becomes
// close-on-exec and non-blocking. On error fd is the caller's still, and open.
func NewConn(fd int, l *poll.Loop) (*Conn, error) {
	if !IsStreamSocket(fd) {
		return nil, fmt.Errorf("cannot use descriptor %d: not a stream socket", fd)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("cannot make descriptor %d non-blocking: %w", fd, err)
	}
	polled, err := poll.NewFD(fd, l, false)
	if err != nil {
		return nil, fmt.Errorf("cannot use descriptor %d: %w", fd, err)
	}
	return &Conn{polled, l}, nil
}

// Closed returns a Conn that was closed: its methods return os.ErrClosed, or do
// nothing.
func Closed() *Conn { return &Conn{fd: poll.Closed()} }

// IsStreamSocket reports whether fd is an open stream socket.
func IsStreamSocket(fd int) bool {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	return err == nil && typ == unix.SOCK_STREAM
}

// Close closes a descriptor that the caller owns.
func Close(fd int) { closeFD(fd) }

// CloseAll closes descriptors that the caller owns, such as received ones that
// it has no use for.
func CloseAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// LocalAddr returns the address of a socket's own end (getsockname(2)), an IPv4
// address as such, or, of a Unix socket, its path.
func LocalAddr(fd int) (at netip.AddrPort, path string, err error) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return at, "", os.NewSyscallError("getsockname", err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		at = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		at = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	case *unix.SockaddrUnix:
		path = a.Name
	}
	return at, path, nil
}
