package supervisor

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/supervisor/upgrade"
)

// reapTick is the time between looks where no signal came. One may be missing
// where an orphan has got the number of a child of ours just as that was waited
// for.
const reapTick = 5 * time.Second

// A Reaper makes this process the parent of what its descendants leave behind
// (prctl(2), PR_SET_CHILD_SUBREAPER, which an exec in place keeps), as process 1 of a
// container is anyway, and ends their zombies. So what a worker has started stays
// below us, and how it ended is known, see children.
//
// It never waits for a child that StartChild has started, whose exit status is
// for WaitChild; every child of a process that runs a Reaper has to be started
// that way. It kills nobody: an orphan may be of whoever executed us in place of
// himself, such as a container's start script.
type Reaper struct{ log *slog.Logger }

// NewReaper returns a reaper, which must be running for as long as this process
// does.
func NewReaper(log *slog.Logger) *Reaper { return &Reaper{log} }

// Run reaps until ctx is done.
func (r *Reaper) Run(ctx context.Context) {
	unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) // without it, orphans are somebody else's
	// With the first process that it looks at, package os starts a child to
	// learn whether there are pidfds, and waits for it. That is not to be ours.
	os.FindProcess(os.Getpid())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGCHLD)
	defer signal.Stop(signals)
	tick := time.NewTicker(reapTick)
	defer tick.Stop()
	for {
		if n := offspring.reapOthers(); n > 0 {
			r.log.Debug("reaped processes that had lost their parent", "processes", n)
		}
		select {
		case <-signals:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// children are the processes that somebody in this one waits for.
type children struct {
	// mu is held from before a child exists until it is known, and while a
	// zombie that nobody knows is reaped.
	mu   sync.Mutex
	pids map[int]bool

	// last has how the last orphan ended that was reaped in a child's process
	// group since leftAlone was called.
	last map[int]unix.WaitStatus
}

// offspring are this process's.
var offspring = children{pids: make(map[int]bool), last: make(map[int]unix.WaitStatus)}

// StartChild is cmd.Start for a child that a Reaper shall leave alone.
// WaitChild must follow, if there is no error. It may be called from any
// goroutine.
func StartChild(cmd *exec.Cmd) error { return offspring.start(cmd) }

// WaitChild is cmd.Wait for a child of StartChild.
func WaitChild(cmd *exec.Cmd) error { return offspring.wait(cmd) }

func (c *children) start(cmd *exec.Cmd) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.startLocked(cmd)
}

// startMarked is start for a child that is to have a mark, or, if it is zero,
// none, though we may have one.
func (c *children) startMarked(cmd *exec.Cmd, m mark) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer m.lend()()
	return c.startLocked(cmd)
}

func (c *children) startLocked(cmd *exec.Cmd) error {
	err := upgrade.Start(cmd) // which is more than cmd's own after an upgrade
	if err == nil {
		c.pids[cmd.Process.Pid] = true
	}
	return err
}

func (c *children) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	c.forget(cmd.Process.Pid)
	return err
}

// add says that somebody waits for a child that another program has started in
// this process.
func (c *children) add(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pids[pid] = true
}

// forget says that a child was waited for.
func (c *children) forget(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pids, pid)
	delete(c.last, pid)
}

// leftAlone says that a child has exited, and that only others of its group can
// still end.
func (c *children) leftAlone(pid int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, pid)
}

// lastOf returns how the last process of a child's group ended that came to us as
// an orphan, after the child itself; nil if none did.
func (c *children) lastOf(pid int) *syscall.WaitStatus {
	for _, p := range zombies() {
		if p.group == pid {
			c.reapOther(p)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	status, ok := c.last[pid]
	if !ok {
		return nil
	}
	return (*syscall.WaitStatus)(&status)
}

// reapOthers reaps each zombie that nobody waits for, and returns how many
// there were.
//
// Waiting for any child but looking only (WNOWAIT) finds the first zombie again
// and again. While that is one of ours, which its own waiter has not reaped yet,
// it would hide the others, so all are looked up in /proc.
func (c *children) reapOthers() (n int) {
	if !anyZombie() {
		return 0
	}
	for _, p := range zombies() {
		if c.reapOther(p) {
			n++
		}
	}
	return n
}

// reapOther reaps a zombie unless somebody waits for it.
func (c *children) reapOther(p proc) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pids[p.pid] {
		return false
	}
	var status unix.WaitStatus
	got, err := unix.Wait4(p.pid, &status, unix.WNOHANG, nil)
	if err != nil || got != p.pid {
		return false
	}
	if c.pids[p.group] {
		c.last[p.group] = status
	}
	return true
}

// anyZombie reports whether a child has ended and was not waited for.
func anyZombie() bool {
	for {
		var info unix.Siginfo // stays zero if there is none
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil && info.Signo != 0
		}
	}
}

// zombies returns the children of this process that have ended.
func zombies() []proc {
	return slices.DeleteFunc(allProcs(), func(p proc) bool { return !p.zombie || p.parent != os.Getpid() })
}
