package supervisor

import (
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setName names the process for ps and top, and not for killall stickyd.
func setName(name string) {
	b := append([]byte(name), 0)
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0)
}

// ownNiceness is what a child that changes nothing has.
func ownNiceness() int {
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - raw // getpriority(2): the system call's own range, 40 to 1
}

// CloseOnExec keeps every descriptor above 2 that this process was started
// with from its workers.
func CloseOnExec() {
	if unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	entries, _ := os.ReadDir("/proc/self/fd") // before Linux 5.11
	for _, e := range entries {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
}
