package front

import (
	"errors"

	"golang.org/x/sys/unix"
)

// deferSeconds is how long the kernel keeps a connection to itself whose
// client has sent nothing (tcp(7), TCP_DEFER_ACCEPT). A silent client costs
// nothing until then, and the usual one has its head here when it is accepted.
const deferSeconds = 5

// keepAliveSeconds is the time between probes of an idle connection, as in
// Go's own listeners.
const keepAliveSeconds = 15

func setPlatformOptions(fd int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, deferSeconds),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveSeconds),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveSeconds),
	)
}

// accept returns -1 for a client that is gone already.
func accept(listener int) (int, error) {
	// Without the address, which nearly nobody wants to know; unix.Accept4
	// would allocate room for it.
	fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, classify(errno)
	}
	return int(fd), nil
}
