package front

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A connection's local address tells where it was accepted. The host does not
// matter for that: a listener may have all of them.

// placeOf returns ":port", or "unix:" and a path.
func placeOf(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return ":" + strconv.Itoa(tcp.Port)
	}
	return "unix:" + addr.String()
}

// placeAt is placeOf for an address that is written as for Listen.
func placeAt(addr string) string {
	if strings.HasPrefix(addr, "unix:") {
		return addr
	}
	return addr[max(0, strings.LastIndexByte(addr, ':')):]
}

// Served reports whether clients connect to addr, or have connected there to a
// listener that is closed by now: their connections outlive it.
func (d *Doors) Served(addr string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Contains(d.places, placeAt(addr))
}

// Places returns what Served knows, for Remember.
func (d *Doors) Places() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.places)
}

// Remember lets Served know what Places returned in another program.
func (d *Doors) Remember(places []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, place := range places {
		if !slices.Contains(d.places, place) {
			d.places = append(d.places, place)
		}
	}
}

// Serve reports whether one of the sockets that are open is at addr.
func (s *Sockets) Serve(addr string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.open {
		if k.place == placeAt(addr) {
			return true
		}
	}
	return false
}

// placeOfSocket is placeOf for a bound socket; "" for one of another kind.
func placeOfSocket(fd int) string {
	bound, _ := unix.Getsockname(fd)
	kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if kind != unix.SOCK_STREAM {
		return "" // nobody is connected to it
	}
	switch a := bound.(type) {
	case *unix.SockaddrInet4:
		return ":" + strconv.Itoa(a.Port)
	case *unix.SockaddrInet6:
		return ":" + strconv.Itoa(a.Port)
	case *unix.SockaddrUnix:
		return "unix:" + a.Name
	}
	return ""
}
