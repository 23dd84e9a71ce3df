package front

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
)

// A ListenerState is a listening socket that nobody accepts from: clients wait
// in its queue.
type ListenerState struct {
	FD   int    `json:"fd"`
	Addr string `json:"addr,omitempty"` // as Listen was given it; "" for a socket that came by FromFD
	Path string `json:"path,omitempty"` // of the Unix socket's file, which is to be removed in the end
}

// FromFD returns a listener on a socket that another program has opened, as
// systemd does (LISTEN_FDS), and takes ownership of it; after an error the caller
// has it still. A Unix socket's file is the other program's: Close leaves it.
//
// The socket becomes non-blocking, also for others who have it, and gets the
// options that Listen sets, as far as it knows them.
func FromFD(fd int, loop *poll.Loop) (*Listener, error) {
	addr, err := listeningAddr(fd)
	if err != nil {
		return nil, fmt.Errorf("cannot accept from descriptor %d: %w", fd, err)
	}
	if _, ok := addr.(*net.TCPAddr); ok {
		tcpOptions(fd) // without them it works as well
	}
	l, err := adoptListener(fd, addr, loop)
	if err != nil {
		return nil, fmt.Errorf("cannot accept from descriptor %d: %w", fd, err)
	}
	return l, nil
}

// RestoreListener undoes Detach, in the same program or its successor. It takes
// ownership of the descriptor; after an error the caller has it still.
func RestoreListener(s ListenerState, loop *poll.Loop) (*Listener, error) {
	l, err := FromFD(s.FD, loop)
	if err != nil {
		return nil, err
	}
	l.written, l.path = s.Addr, s.Path
	return l, nil
}

// Detach ends Serve, which returns nil, and leaves the socket open: it is the
// caller's, close-on-exec, and connections go on queueing up in the kernel. What
// Serve had accepted is routed when Detach returns. The file of a Unix socket
// stays.
func (l *Listener) Detach() (ListenerState, error) {
	fd, err := l.fd.Detach()
	if err != nil {
		return ListenerState{}, fmt.Errorf("cannot give up listening on %s: %w", l.addr, err)
	}
	return ListenerState{FD: fd, Addr: l.written, Path: l.path}, nil
}

// adoptListener takes ownership of a listening socket; after an error the caller
// has it still.
func adoptListener(fd int, addr net.Addr, loop *poll.Loop) (*Listener, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	polled, err := poll.NewFD(fd, loop, true)
	if err != nil {
		return nil, err
	}
	return &Listener{addr: addr, fd: polled}, nil
}

var (
	errNoStream = errors.New("it is a socket, but not of streams (TCP or Unix)")
	errNoListen = errors.New("it is a socket that does not listen")
	errNotOurs  = errors.New("it is a socket, but neither TCP's nor a Unix socket")
)

// listeningAddr returns what a socket listens on, and changes nothing.
func listeningAddr(fd int) (net.Addr, error) {
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case err == unix.EBADF:
		return nil, errors.New("it is not open")
	case err == unix.ENOTSOCK:
		return nil, errors.New("it is no socket")
	case err != nil:
		return nil, os.NewSyscallError("getsockopt", err)
	case kind != unix.SOCK_STREAM:
		return nil, errNoStream
	}
	name, err := unix.Getsockname(fd)
	if err != nil && err != unix.EAFNOSUPPORT {
		return nil, os.NewSyscallError("getsockname", err)
	}
	addr := netAddr(name)
	if addr == nil {
		return nil, errNotOurs
	}
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	} else if listens == 0 {
		return nil, errNoListen
	}
	return addr, nil
}

// netAddr returns nil for a family that we don't serve.
func netAddr(name unix.Sockaddr) net.Addr {
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port)))
	case *unix.SockaddrInet6:
		addr := netip.AddrFrom16(name.Addr)
		if link, err := net.InterfaceByIndex(int(name.ZoneId)); err == nil {
			addr = addr.WithZone(link.Name)
		}
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(name.Port)))
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Net: "unix", Name: name.Name}
	}
	return nil
}
