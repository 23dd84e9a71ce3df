package upgrade

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// closeOnExec makes all descriptors above 2 close-on-exec and returns those
// that were not.
func closeOnExec() (were []int) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.CloseOnExec(fd)
			were = append(were, fd)
		}
	}
	return were
}

// inheritable lets the descriptors survive an exec; undo makes them as they
// were. The caller holds syscall.ForkLock from before the call until after
// undo, or a child that is forked meanwhile would get them as well.
func inheritable(fds []int) (undo func(), err error) {
	changed := make([]int, 0, len(fds))
	undo = func() {
		for _, fd := range changed {
			unix.CloseOnExec(fd)
		}
	}
	for _, fd := range fds {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		if err == nil && flags&unix.FD_CLOEXEC != 0 {
			if _, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flags&^unix.FD_CLOEXEC); err == nil {
				changed = append(changed, fd)
			}
		}
		if err != nil {
			undo()
			return nil, fmt.Errorf("cannot hand over descriptor %d: %w", fd, err)
		}
	}
	return undo, nil
}
