package front

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/address"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// A Listener is a listening socket. It is no net.Listener: what it accepts are
// bare descriptors.
type Listener struct {
	addr    net.Addr
	written string // as Listen was given it; "" if the socket came by FromFD
	fd      *poll.FD
	path    string // of a Unix socket, to be removed; "" for none

	announced bool // the log has it
	unlinked  sync.Once
}

// Listen opens a listener on "host:port", ":port" or "unix:/path". Accepted
// TCP sockets inherit TCP_NODELAY and keep-alive from it, so that none is set
// for each. A Unix socket that nobody listens on any more is replaced.
//
// With a loop it is the loop that accepts, see [poll.NewFD].
func Listen(addr string, loop *poll.Loop) (*Listener, error) {
	return listen(addr, loop, setTCPOptions)
}

// Check returns the error that Listen would fail with, as far as that shows
// without opening anything. Whether somebody listens there already is not tried.
func Check(addr string) error {
	err := address.Check(addr)
	if path, ok := strings.CutPrefix(addr, "unix:"); ok && err == nil && address.IsNoSocket(path) {
		err = address.ErrNoSocket
	}
	return listenError(addr, err)
}

func listen(addr string, loop *poll.Loop, options func(_, _ string, _ syscall.RawConn) error) (*Listener, error) {
	path, isUnix := strings.CutPrefix(addr, "unix:")
	var ln net.Listener
	var err error
	if isUnix {
		ln, err = address.ListenUnix(path)
	} else {
		config := net.ListenConfig{Control: options}
		// Go listens with MPTCP where it can. Nearly no client speaks it, its
		// accept costs more, and workers expect a TCP socket.
		config.SetMultipathTCP(false)
		ln, err = config.Listen(context.Background(), "tcp", addr)
	}
	if err != nil {
		return nil, listenError(addr, err)
	}
	l, err := newListener(ln, loop)
	if err != nil {
		return nil, listenError(addr, err)
	}
	l.written = addr
	if isUnix {
		l.path = path
	}
	return l, nil
}

// newListener takes the socket out of ln, which it closes: the listeners of
// package net don't let their descriptor be waited for.
func newListener(ln net.Listener, loop *poll.Loop) (*Listener, error) {
	defer ln.Close()
	fd, err := poll.Duplicate(ln.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	l, err := adoptListener(fd, ln.Addr(), loop)
	if err != nil {
		unix.Close(fd)
	}
	return l, err
}

// Addr returns the address that is listened on, with its port where 0 was
// asked for.
func (l *Listener) Addr() net.Addr { return l.addr }

// Written returns the address as Listen was given it, and "" for a socket that
// came by FromFD: nobody has written that anywhere.
func (l *Listener) Written() string { return l.written }

// IsAt reports whether the listener is at addr, which is written as for Listen;
// the host does not matter.
func (l *Listener) IsAt(addr string) bool { return address.PlaceAt(addr) == address.PlaceOf(l.addr) }

// stands reports whether the listener is what Listen would open for addr. (Go
// takes all addresses of all families for "0.0.0.0", too.)
func (l *Listener) stands(addr string) bool {
	tcp, ok := l.addr.(*net.TCPAddr)
	if l.written == addr || !ok || l.written == "" || strings.HasPrefix(addr, "unix:") {
		return l.written == addr
	}
	other, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil || other.Port != tcp.Port {
		return false
	}
	if tcp.IP.IsUnspecified() {
		return other.IP == nil || other.IP.IsUnspecified()
	}
	return tcp.IP.Equal(other.IP) && tcp.Zone == other.Zone
}

// covers reports whether clients of another listener get this one when the other
// is closed: it has all addresses, and the other one of them.
func (l *Listener) covers(other *Listener) bool {
	all, ok := l.addr.(*net.TCPAddr)
	one, alsoOK := other.addr.(*net.TCPAddr)
	return ok && alsoOK && all.Port == one.Port && l.hasAllHosts() && !one.IP.IsUnspecified()
}

// isFor reports whether clients of addr, which is written as for Listen, come to it.
func (l *Listener) isFor(addr string) bool { return l.stands(addr) || l.IsAt(addr) && l.hasAllHosts() }

// hasAllHosts reports whether clients of any address of this machine come to it.
func (l *Listener) hasAllHosts() bool {
	tcp, ok := l.addr.(*net.TCPAddr)
	return ok && tcp.IP.IsUnspecified()
}

// pending reports whether a connection is in the queue.
func (l *Listener) pending() bool {
	fd, err := l.fd.Acquire()
	if err != nil {
		return false
	}
	defer l.fd.Release()
	return pending(fd)
}

// deferAccept says whether clients are accepted only when they have said
// something. Where it is switched off, clients that are connected and silent are
// accepted within seconds.
func (l *Listener) deferAccept(on bool) {
	if _, ok := l.addr.(*net.TCPAddr); !ok {
		return
	}
	if fd, err := l.fd.Acquire(); err == nil {
		deferAccept(fd, on)
		l.fd.Release()
	}
}

// turnAway lets no new client connect. Who has connected is served. A socket
// that somebody else has open is left as it is: it may live longer than we.
func (l *Listener) turnAway() {
	if l.written == "" {
		return
	}
	l.unlink()
	if _, ok := l.addr.(*net.TCPAddr); !ok {
		return
	}
	if fd, err := l.fd.Acquire(); err == nil {
		turnAway(fd)
		l.fd.Release()
	}
}

// unlink removes the file of a Unix socket, once: the next one of that name is
// somebody else's.
func (l *Listener) unlink() {
	l.unlinked.Do(func() {
		if l.path != "" {
			os.Remove(l.path)
		}
	})
}

// Close closes the socket and ends Serve.
func (l *Listener) Close() error {
	l.unlink()
	return l.fd.Close()
}

// listenError adds what to do about it.
func listenError(addr string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: %w", addr, address.InUse(addr, "--listen"))
	case errors.Is(err, address.ErrNoSocket):
		return address.Explain(syscall.EADDRINUSE, "cannot listen on %s: a file that is no socket is there; choose another path", addr)
	case errors.Is(err, fs.ErrNotExist):
		return address.Explain(err, "cannot listen on %s: the directory does not exist", addr)
	case errors.Is(err, fs.ErrPermission) && strings.HasPrefix(addr, "unix:"):
		return address.Explain(err, "cannot listen on %s: permission denied; this user may not create a file there", addr)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot listen on %s: %w; ports below 1024 need root or CAP_NET_BIND_SERVICE", addr, err)
	}
	return fmt.Errorf("cannot listen on %s: %w", addr, err)
}

// setTCPOptions sets before bind what accepted sockets inherit.
func setTCPOptions(_, _ string, raw syscall.RawConn) error {
	var err error
	ctlErr := raw.Control(func(fd uintptr) { err = tcpOptions(int(fd)) })
	return errors.Join(ctlErr, err)
}

// tcpOptions sets all that can be set.
func tcpOptions(fd int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
		setPlatformOptions(fd),
	)
}

// errNoMore: no connection is in the listener's queue.
var errNoMore = errors.New("no connection waits")

// classify tells the errors of accept apart: nobody there, one that is gone
// already (nil), and the rest. Errors of the network belong to a connection
// and not to the listener (accept(2), "Error handling").
func classify(err error) error {
	switch err {
	case unix.EAGAIN:
		return errNoMore
	case unix.EINTR, unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENOPROTOOPT,
		unix.EHOSTDOWN, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH, unix.EPERM:
		return nil
	}
	return os.NewSyscallError("accept", err)
}

// outOfResources reports whether err passes when descriptors or memory are
// freed.
func outOfResources(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) ||
		errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}
