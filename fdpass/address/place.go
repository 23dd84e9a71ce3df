package address

import (
	"net"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A place is where connections are accepted: ":port", or "unix:" and a path. It follows
// from a connection's local address, without the host: a listener may have all hosts.

// PlaceAt returns the place of "host:port", ":port" or "unix:/path".
func PlaceAt(addr string) string {
	if strings.HasPrefix(addr, "unix:") {
		return addr
	}
	return addr[max(0, strings.LastIndexByte(addr, ':')):]
}

// PlaceOf returns the place of a listener that is bound to addr.
func PlaceOf(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return ":" + strconv.Itoa(tcp.Port)
	}
	return "unix:" + addr.String()
}

// PlaceOfSocket is PlaceOf for a bound socket; "" for one of another kind, to which
// nobody is connected. The descriptor stays the caller's.
func PlaceOfSocket(fd int) string {
	bound, _ := unix.Getsockname(fd)
	kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if kind != unix.SOCK_STREAM {
		return ""
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
