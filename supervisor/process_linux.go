package supervisor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// awaitExit waits until the process has ended and leaves it a zombie, so that
// its number, which is its group's as well, stays its own.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return
		}
	}
}

// setName names the process for ps and top, and not for killall stickyd.
func setName(name string) {
	b := append([]byte(name), 0)
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
}

// CloseOnExec keeps every descriptor above 2 that this process was started
// with from its workers.
func CloseOnExec() { unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) }
