package admin

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stickyd/stickyd/fdpass/address"
)

// ofProcess returns the stickyd with a pid, if it has a control socket: of all, by
// its name, or wherever else --control has put it.
func ofProcess(pid string, all []Instance) (meant []Instance) {
	n, err := strconv.Atoi(pid)
	if err != nil || n < 1 {
		return nil
	}
	for _, i := range all {
		if strings.HasSuffix(i.Name, "-"+pid) {
			meant = append(meant, i)
		}
	}
	if len(meant) > 0 {
		return meant
	}
	paths := address.Sockets(n)
	i := slices.IndexFunc(paths, func(path string) bool { return isControl(path, n) })
	if i < 0 {
		return nil
	}
	return []Instance{{Name: pid, Path: paths[i]}}
}

// lookPatience is how long is waited to know whether a socket is a control socket.
var lookPatience = 2 * time.Second // tests have less of it

// isControl reports whether a socket of a process is a control socket, or may be
// one of a process that hangs. Where others may connect, as to those of clients, it
// is not asked.
func isControl(path string, pid int) bool {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != controlMode {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookPatience)
	defer cancel()
	s, err := newClient(path).status(ctx)
	return err == nil && s.PID == pid || errors.Is(err, context.DeadlineExceeded)
}
