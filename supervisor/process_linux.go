package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
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

// holdsSockets reports whether a process of the group has a socket open, or
// may have one: what can't be looked at counts.
func holdsSockets(group int) bool {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return true
	}
	for _, p := range processes {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		if of, err := unix.Getpgid(pid); err == nil && of == group && processHoldsSockets(pid) {
			return true
		}
	}
	return false
}

func processHoldsSockets(pid int) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return true
	}
	for _, fd := range fds {
		file, err := os.Readlink(dir + "/" + fd.Name())
		if err == nil && strings.HasPrefix(file, "socket:") || errors.Is(err, fs.ErrPermission) {
			return true // or another user's process, and we are root without CAP_SYS_PTRACE
		}
	}
	return false
}
