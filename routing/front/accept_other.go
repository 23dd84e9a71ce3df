//go:build unix && !linux

package front

import (
	"syscall"

	"golang.org/x/sys/unix"
)

func setPlatformOptions(int) error { return nil }

// accept returns -1 for a client that is gone already.
func accept(listener int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, _, err := unix.Accept(listener)
	if err != nil {
		return -1, classify(err)
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// pending leaves it to accept to find out.
func pending(int) bool { return true }

// turnAway leaves it to the end of listening.
func turnAway(int) {}

// deferAccept: clients are heard at once.
func deferAccept(int, bool) {}

// peek copies what is in the socket's receive buffer into b and leaves it
// there. It returns 0 at end of file and EAGAIN when there is nothing yet.
func peek(fd int, b []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}
