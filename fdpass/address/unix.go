package address

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// ErrNoSocket is what ListenUnix fails with where a file is that is no socket.
var ErrNoSocket = errors.New("not a socket")

// ListenUnix listens on a Unix socket at path. A socket on which nobody listens any
// more is replaced, one that is in use is EADDRINUSE. The file stays when the listener
// is closed.
func ListenUnix(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, syscall.EADDRINUSE
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		// connect(2) says so of any file that is no socket, too.
		if IsNoSocket(path) {
			return nil, ErrNoSocket
		}
		os.Remove(path)
	}
	ln, err := net.Listen("unix", path)
	if err == nil {
		ln.(*net.UnixListener).SetUnlinkOnClose(false)
	}
	return ln, err
}

// IsNoSocket reports whether there is a file at path that is no socket.
func IsNoSocket(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&os.ModeSocket == 0
}
