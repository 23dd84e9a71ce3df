package front

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

// deferSeconds is how long the kernel keeps a connection to itself whose
// client has sent nothing (tcp(7), TCP_DEFER_ACCEPT). A silent client costs
// nothing until then, and the usual one has its head here when it is accepted.
const deferSeconds = 5

// keepAliveSeconds is the time between probes of an idle connection, as in
// Go's own listeners.
const keepAliveSeconds = 15

// deferAccept makes the kernel wait for what clients say, or no longer.
func deferAccept(listener int, on bool) {
	seconds := 0
	if on {
		seconds = deferSeconds
	}
	unix.SetsockoptInt(listener, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, seconds)
}

func setPlatformOptions(fd int) error {
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveSeconds),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveSeconds),
	)
}

// accept returns -1 for a client that is gone already.
func accept(listener int) (int, error) {
	// Without the address, which nearly nobody wants to know; unix.Accept4
	// would allocate room for it. Like peek this does not wait, so the scheduler
	// is not told (see poll.Loop).
	fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, classify(errno)
	}
	return int(fd), nil
}

// pending reports whether a connection is in the listener's queue. An accept
// that finds none makes a socket and a file for it first, and costs five times
// as much.
func pending(listener int) bool {
	p := unix.PollFd{Fd: int32(listener), Events: unix.POLLIN}
	var now unix.Timespec
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return n > 0 || errno != 0
}

// peek copies what is in the socket's receive buffer into b, which is not empty,
// and leaves it there. It returns 0 at end of file and EAGAIN when there is
// nothing yet.
func peek(fd int, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}
