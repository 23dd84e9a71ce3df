package admin

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID returns the user at the other end (unix(7), SO_PEERCRED).
func peerUID(c *net.UnixConn) (uid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	ctlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if ctlErr != nil {
		err = ctlErr
	}
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
