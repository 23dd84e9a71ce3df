package nodeipc

import (
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/address"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// Sockets are those on which workers serve by themselves, beside the
// connections that they get: a port for metrics, say. Each is opened once, and
// every worker that asks for it gets the same; the kernel decides who of them
// gets a client, and nobody looks at what it sends.
type Sockets struct {
	log *slog.Logger

	mu   sync.Mutex
	open map[socketName]*socket
}

type socketName struct {
	network, addr string
	nth           int
}

type socket struct {
	fd    int    // not an os.File's: nobody here waits for it
	path  string // to be removed; "" for none
	place string // see address.PlaceOfSocket
	users int
}

// NewSockets returns none.
func NewSockets(log *slog.Logger) *Sockets {
	return &Sockets{log: log, open: make(map[socketName]*socket)}
}

// Open returns a descriptor, which is the caller's, of the socket with that
// name: network ("tcp4", "unix", "udp", …) and addr are package net's, and nth
// tells apart those that one worker asks for under the same. A socket is closed
// when release was called for each Open.
func (s *Sockets) Open(network, addr string, nth int) (fd int, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := socketName{network, addr, nth}
	k := s.open[name]
	if k == nil {
		if k, err = openSocket(network, addr); err != nil {
			return -1, nil, err
		}
		s.open[name] = k
		s.log.Info("workers serve this address by themselves, all of them on one socket", "network", network, "addr", addr)
	}
	release = s.useLocked(name, k)
	if fd, err = unix.FcntlInt(uintptr(k.fd), unix.F_DUPFD_CLOEXEC, 3); err != nil {
		s.releaseLocked(name, k)
		return -1, nil, err
	}
	return fd, release, nil
}

func (s *Sockets) useLocked(name socketName, k *socket) (release func()) {
	k.users++
	return sync.OnceFunc(func() { s.release(name, k) })
}

func (s *Sockets) release(name socketName, k *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.releaseLocked(name, k)
}

func (s *Sockets) releaseLocked(name socketName, k *socket) {
	if k.users--; k.users > 0 || s.open[name] != k {
		return // others use it, or State has given it away
	}
	s.closeLocked(name, k)
}

func (s *Sockets) closeLocked(name socketName, k *socket) {
	delete(s.open, name)
	k.removePath()
	unix.Close(k.fd)
}

// Serve reports whether one of the sockets that are open is at addr.
func (s *Sockets) Serve(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.open {
		if k.place == address.PlaceAt(addr) {
			return true
		}
	}
	return false
}

func (k *socket) removePath() {
	if k.path != "" {
		os.Remove(k.path)
	}
}

// openSocket has none of the options of our own listeners: what is spoken
// there may not be HTTP.
func openSocket(network, addr string) (*socket, error) {
	var opened io.Closer
	var err error
	k := &socket{}
	switch network {
	case "unix":
		k.path = addr
		opened, err = address.ListenUnix(addr)
	case "udp", "udp4", "udp6":
		opened, err = net.ListenPacket(network, addr)
	default:
		opened, err = net.Listen(network, addr)
	}
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	if k.fd, err = poll.Duplicate(opened.(syscall.Conn)); err != nil {
		k.removePath()
		return nil, err
	}
	k.place = address.PlaceOfSocket(k.fd)
	return k, nil
}
