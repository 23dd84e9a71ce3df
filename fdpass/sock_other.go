//go:build unix && !linux

package fdpass

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func socketpair() ([2]int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	return fds, err
}

// sendmsg has no MSG_NOSIGNAL on these systems; the Go runtime turns SIGPIPE
// on descriptors above 2 into EPIPE.
func sendmsg(fd int, b, rights []byte) (n int, err error) {
	for {
		n, err = unix.SendmsgN(fd, b, rights, nil, unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, err
		}
	}
}

func recvmsg(fd int, b, rights []byte) (n, nrights int, err error) {
	for {
		n, nrights, _, _, err = unix.Recvmsg(fd, b, rights, unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return n, nrights, err
		}
	}
}

// received makes fds close-on-exec, which these systems can't do at once: a
// fork in between leaks them.
func received(fds []int) []int {
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return fds
}

func closeFD(fd int) { unix.Close(fd) }

func unread(int) (bytes int, err error) { return 0, nil }
