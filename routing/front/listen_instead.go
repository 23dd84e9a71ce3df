package front

import (
	"errors"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
)

// listenInstead is Listen where the port may be that of one of old, at another
// host: all addresses and one of them, say. The kernel lets both be bound if
// both have SO_REUSEPORT and belong to one user (socket(7)), and takes an option
// that comes after bind for good. It is taken back at once: what clients get
// is the more special address of the two, and never a share.
func listenInstead(addr string, old []*Listener, loop *poll.Loop) (*Listener, error) {
	i := slices.IndexFunc(old, func(ln *Listener) bool { return ln.path == "" && ln.IsAt(addr) })
	if i < 0 {
		return Listen(addr, loop)
	}
	if err := old[i].sharePort(true); err != nil {
		return nil, listenError(addr, err)
	}
	defer old[i].sharePort(false)
	ln, err := listen(addr, loop, func(network, address string, raw syscall.RawConn) error {
		var err error
		ctlErr := raw.Control(func(fd uintptr) { err = sharePort(int(fd), true) })
		return errors.Join(ctlErr, err, setTCPOptions(network, address, raw))
	})
	if err == nil {
		ln.sharePort(false)
	}
	return ln, err
}

func (l *Listener) sharePort(on bool) error {
	fd, err := l.fd.Acquire()
	if err != nil {
		return err
	}
	defer l.fd.Release()
	return sharePort(fd, on)
}

func sharePort(fd int, on bool) error {
	value := 0
	if on {
		value = 1
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, value)
}
