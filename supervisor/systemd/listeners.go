package systemd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// firstFD is where inherited descriptors start, SD_LISTEN_FDS_START.
const firstFD = 3

// An Inherited is a socket that the service manager has opened.
type Inherited struct {
	FD   int    // the caller's from now on; close-on-exec
	Name string // FileDescriptorName= of its unit, "unknown" if there is none
}

// Listeners returns the sockets that the service manager has opened for this
// process, as sd_listen_fds(3) does; none is no error. It takes what says so out
// of the environment, so it must be called once, and before anything that
// changes the environment or starts a process at the same time.
func Listeners() ([]Inherited, error) {
	pid, fds := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	names, named := os.LookupEnv("LISTEN_FDNAMES")
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		os.Unsetenv(name) // or a child, or what is executed in our place, would think that they are for it
	}
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // for another process, or there are none
	}
	n, err := strconv.ParseUint(fds, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_FDS, from the service manager: %w", err)
	}
	inherited, err := inherit(int(n))
	if err != nil || !named {
		return inherited, err
	}
	list := strings.Split(names, ":")
	if len(list) != len(inherited) {
		return nil, fmt.Errorf("LISTEN_FDNAMES, from the service manager, has %d names for %d sockets", len(list), len(inherited))
	}
	for i, name := range list {
		inherited[i].Name = name
	}
	return inherited, nil
}

func inherit(n int) (inherited []Inherited, err error) {
	for fd := firstFD; fd < firstFD+n; fd++ {
		var stat syscall.Stat_t
		if err := syscall.Fstat(fd, &stat); err != nil {
			return nil, fmt.Errorf("socket %d of %d from the service manager, descriptor %d: %w", fd-firstFD+1, n, fd, err)
		}
		syscall.CloseOnExec(fd)
		inherited = append(inherited, Inherited{FD: fd, Name: "unknown"})
	}
	return inherited, nil
}
