// Package address knows addresses: whether one could be listened on, without trying
// it, who listens there already, how a browser gets there, and at which place a socket
// is ([PlaceOf]). Unix sockets, whose files outlive who made them, it opens itself
// ([ListenUnix]). It knows nothing of who would listen.
package address

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Check returns the error that "host:port", ":port" or "unix:/path" could not be
// listened on with, as far as that shows beforehand. Who has the port, or the
// path, is not looked at.
func Check(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return CheckSocket(path)
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil || tcp.IP == nil || tcp.IP.IsUnspecified() {
		return err
	}
	return bind(tcp)
}

// CheckSocket returns the error that a Unix socket could not be made with at
// path.
func CheckSocket(path string) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return syscall.ENOTDIR
	}
	// With the rights that bind will have: access(2) leaves capabilities out.
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

// bind has the kernel say whether a host's address is one of ours: what is routed
// here is, and need not stand at any interface. The socket is given any port, and
// nobody can connect to it, since it does not listen.
func bind(addr *net.TCPAddr) error {
	var family int
	var at unix.Sockaddr
	if ip := addr.IP.To4(); ip != nil {
		family, at = unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte(ip)}
	} else {
		six := &unix.SockaddrInet6{Addr: [16]byte(addr.IP.To16())}
		if addr.Zone != "" {
			nic, err := net.InterfaceByName(addr.Zone)
			if err != nil {
				return err
			}
			six.ZoneId = uint32(nic.Index)
		}
		family, at = unix.AF_INET6, six
	}
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Bind(fd, at)
}
