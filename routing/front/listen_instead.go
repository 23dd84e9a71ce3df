package front

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
)

// listenInstead is Listen where the port is that of old, at other hosts: all
// addresses and one of them, say. The kernel lets all be bound if all have
// SO_REUSEPORT and belong to one user (socket(7)), and takes an option that comes
// after bind for good. It is taken back at once: what clients get is the most
// special address, and never a share. (But the kernel goes by what it last saw of a
// port: it may let this user's other programs that want to share it do so.)
func listenInstead(addr string, old []*Listener, loop *poll.Loop) (*Listener, error) {
	if len(old) == 0 {
		return Listen(addr, loop)
	}
	for _, ln := range old {
		if err := ln.sharePort(true); err != nil {
			return nil, listenError(addr, err)
		}
		defer ln.sharePort(false)
	}
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

// atPort returns those that have the port of addr.
func atPort(all []*Listener, addr string) (some []*Listener) {
	for _, ln := range all {
		if ln.path == "" && ln.IsAt(addr) {
			some = append(some, ln)
		}
	}
	return some
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
