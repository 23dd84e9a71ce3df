package workerproto

import (
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// A socket is a connected stream socket as a net.Conn. It may be used as a
// net.TCPConn may: reads, writes and Close from any goroutine.
//
// It stands on an os.File, which reads, writes, waits and has deadlines by the
// same poller as package net. net.FileConn is the obvious way and costs three
// times as much: it makes another descriptor, registers both with the poller,
// and sets five options that stickyd's listeners have set already.
type socket struct {
	file          *os.File // owns the descriptor
	fd            int      // the descriptor; only who knows that it is open uses it
	closed        atomic.Bool
	local, remote net.Addr
	timedOut      atomic.Pointer[net.OpError] // of reads; net/http ends a read with each request
}

// open takes ownership of fd, which is non-blocking, also when it fails.
func (s *socket) open(fd int) error {
	s.fd = fd
	s.file = os.NewFile(uintptr(fd), "stickyd-conn")
	if err := s.file.SetDeadline(time.Time{}); err != nil { // the poller did not take it
		s.file.Close()
		return err
	}
	s.local = addrOf(syscall.Getsockname(fd))
	s.remote = addrOf(syscall.Getpeername(fd))
	return nil
}

func (s *socket) Read(b []byte) (int, error) {
	n, err := s.file.Read(b)
	return n, s.wrap("read", err)
}

func (s *socket) Write(b []byte) (int, error) {
	n, err := s.file.Write(b)
	return n, s.wrap("write", err)
}

// ReadFrom uses sendfile for a file and splice for a connection.
func (s *socket) ReadFrom(r io.Reader) (int64, error) {
	if n, handled, err := s.sendFile(r); handled {
		return n, s.wrap("readfrom", err)
	}
	n, err := s.file.ReadFrom(r)
	return n, s.wrap("readfrom", err)
}

// Close closes the descriptor. With fin, the client reads the end at once,
// also while another process has a copy of the descriptor.
func (s *socket) close(fin bool) error {
	if s.closed.Swap(true) {
		return s.wrap("close", net.ErrClosed)
	}
	if fin {
		syscall.Shutdown(s.fd, syscall.SHUT_WR)
	}
	return s.wrap("close", s.file.Close())
}

func (s *socket) shutdown(how int) error {
	return s.control(func(fd int) error { return os.NewSyscallError("shutdown", syscall.Shutdown(fd, how)) })
}

// setOption sets a socket option that is a number.
func (s *socket) setOption(level, name, value int) error {
	return s.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, level, name, value))
	})
}

// control calls f with the descriptor, which is open for as long.
func (s *socket) control(f func(fd int) error) error {
	raw, err := s.file.SyscallConn()
	if err == nil {
		if ctlErr := raw.Control(func(fd uintptr) { err = f(int(fd)) }); ctlErr != nil {
			err = ctlErr
		}
	}
	return s.wrap("set", err)
}

func (s *socket) LocalAddr() net.Addr  { return s.local }
func (s *socket) RemoteAddr() net.Addr { return s.remote }

func (s *socket) SetDeadline(t time.Time) error { return s.wrap("set", s.file.SetDeadline(t)) }
func (s *socket) SetReadDeadline(t time.Time) error {
	return s.wrap("set", s.file.SetReadDeadline(t))
}
func (s *socket) SetWriteDeadline(t time.Time) error {
	return s.wrap("set", s.file.SetWriteDeadline(t))
}

// wrap makes a file's error what a net.TCPConn would have returned: net/http
// and others ask for a net.Error, and for net.ErrClosed.
func (s *socket) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if s.closed.Load() {
		err = net.ErrClosed
	} else if path, ok := err.(*os.PathError); ok { // the only type that a File has
		err = path.Err
		if err == os.ErrDeadlineExceeded && op == "read" {
			return s.readTimeout()
		}
		if errno, ok := err.(syscall.Errno); ok {
			err = os.NewSyscallError(op, errno)
		}
	}
	return s.opError(op, err)
}

// readTimeout is made once: net/http lets a read time out with each request.
func (s *socket) readTimeout() error {
	if s.timedOut.Load() == nil {
		s.timedOut.Store(s.opError("read", os.ErrDeadlineExceeded))
	}
	return s.timedOut.Load()
}

func (s *socket) opError(op string, err error) *net.OpError {
	return &net.OpError{Op: op, Net: s.remote.Network(), Source: s.local, Addr: s.remote, Err: err}
}

// addrOf returns an address as package net has it. A client that has gone is
// at no address; its connection may hold a request all the same.
func addrOf(sa syscall.Sockaddr, _ error) net.Addr {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *syscall.SockaddrInet6:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port, Zone: zoneOf(int(sa.ZoneId))}
	case *syscall.SockaddrUnix:
		return &net.UnixAddr{Name: sa.Name, Net: "unix"}
	}
	return &net.TCPAddr{}
}

// zoneOf returns the name of the interface of a link-local address.
func zoneOf(index int) string {
	if index == 0 {
		return ""
	}
	if i, err := net.InterfaceByIndex(index); err == nil {
		return i.Name
	}
	return strconv.Itoa(index)
}
