package upgrade

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/supervisor/exact"
)

func (p *Plan) exec() error {
	// /proc/self/exe is this program's file, even if it was replaced or removed.
	old, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot keep this program for the way back: %w", err)
	}
	defer unix.Close(old)
	here, _ := Binary("") // else there is no name for the way back, which matters to messages only
	o := order{
		State: int(p.State.Fd()), Binary: exact.String(p.Binary), Old: old, OldPath: exact.String(here), OldArgs: p.Args, Name: processName(),
	}
	r := newRecord()
	defer r.end()
	if p.Pending != nil {
		o.Signals = p.Pending()
	}
	return replace(p.Binary, p.Args, p.Env, append(slices.Clone(p.FDs), old), o, r)
}

func (t *Takeover) giveBack(cause error) error {
	const longest = 4000 // an environment variable has its limits
	why := cause.Error()
	why = why[:min(len(why), longest)]
	path := "/proc/self/fd/" + strconv.Itoa(t.order.Old)
	r := newRecord()
	defer r.end()
	return replace(path, t.order.OldArgs, os.Environ(), t.fds, order{
		State: t.order.State, Binary: t.order.OldPath, Name: t.order.Name, Returned: why,
	}, r)
}

// replace executes a program in place, and returns only with an error, after
// all was undone.
func replace(path string, args, env []string, fds []int, o order, r *record) error {
	err := patiently(func() error { return replaceOnce(path, args, env, fds, o, r) })
	var errno syscall.Errno
	if errors.As(err, &errno) && errno == err { // execve's own
		return explain(path, err)
	}
	return err
}

func replaceOnce(path string, args, env []string, fds []int, o order, r *record) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("cannot get the limit of open files: %w", err)
	}
	syscall.ForkLock.Lock()
	defer syscall.ForkLock.Unlock()
	undo, err := inheritable(append(slices.Clone(fds), o.State))
	if err != nil {
		return err
	}
	defer undo()
	runtime.LockOSThread() // exec keeps this thread's mask
	defer runtime.UnlockOSThread()
	g := shutGate(r)
	defer g.open()
	o.PID, o.Spared = os.Getpid(), slices.Collect(maps.Keys(g.were))
	o.Signals = slices.Concat(o.Signals, early.pending(), r.signals) // one that comes twice is delivered once
	err = syscall.Exec(path, args, o.in(env))
	syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // Exec lowered it; it is within the hard limit
	return err
}

// processName is what ps and top call this process. After an exec by descriptor it
// would be the descriptor's number.
func processName() string {
	name, _ := os.ReadFile("/proc/self/comm") // for people only
	return string(bytes.TrimSpace(name))
}

func restoreName(name string) {
	os.WriteFile("/proc/self/comm", []byte(name), 0) // for people only
}

func (t *Takeover) dropOld() {
	if t.order.Old != 0 {
		unix.Close(t.order.Old)
		t.order.Old = 0
	}
}
