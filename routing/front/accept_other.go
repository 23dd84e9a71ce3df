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
