package nodeipc

import (
	"net"
	"strconv"
	"strings"
	"syscall"
)

// firstFreePort is the first that everybody may listen on.
const firstFreePort = 1024

// OpenUnprivileged is Open for workers that have fewer rights than this process,
// which must not lend them its own: ports below 1024 and paths in the file
// system are refused with EACCES.
func (s *Sockets) OpenUnprivileged(network, addr string, nth int) (fd int, release func(), err error) {
	if needsRights(network, addr) {
		return -1, nil, syscall.EACCES
	}
	return s.Open(network, addr, nth)
}

// NeedsRights reports whether not everybody may listen at addr, which is "host:port",
// ":port" or "unix:/path".
func NeedsRights(addr string) bool {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return needsRights("unix", path)
	}
	return needsRights("tcp", addr)
}

func needsRights(network, addr string) bool {
	if strings.HasPrefix(network, "unix") {
		return !strings.HasPrefix(addr, "@") // that is no file
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err != nil || n > 0 && n < firstFreePort
}
