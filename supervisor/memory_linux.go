package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A memoryLimit bounds the memory of each worker together with all that it
// starts, by a cgroup (version 2) for each process. Our own cgroup must be ours
// to divide, as systemd gives it with Delegate=yes.
//
// A cgroup that has children with limits can't have processes itself, so we
// move into a leaf of our own, and workers are born in theirs, beside it:
//
//	our cgroup ─┬─ stickyd-supervisor  we and the guardian
//	            ├─ worker-1-17         slot and incarnation
//	            └─ worker-2-18
//
// One for each process, and not for each slot, so that the memory of a worker
// that drains does not count for its heir, nor what one has left behind.
type memoryLimit struct {
	dir   string // of what was our cgroup
	bytes int64

	mu   sync.Mutex
	left []string // cgroups of the dead that could not be removed yet
}

// ownLeaf is the cgroup that we move into. Nobody else's is called that.
const ownLeaf = "stickyd-supervisor"

// limitMemory divides our cgroup, if there is a limit; nil for none. The
// error says what to do. It comes before any child is started.
func limitMemory(bytes int64) (*memoryLimit, error) {
	if bytes == 0 {
		return nil, nil
	}
	dir, err := ownCgroup()
	if err == nil {
		dir, err = divide(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot limit the memory of workers: %w", err)
	}
	m := &memoryLimit{dir: dir, bytes: bytes}
	m.close() // what a stickyd that was killed has left
	return m, nil
}

// CheckMemory returns the error that the memory of workers could not be limited
// with, and changes nothing. Whether other processes are in our cgroup is not
// looked at: a check is often started by one that a start would not have.
func CheckMemory(bytes int64) error {
	if bytes == 0 {
		return nil
	}
	dir, err := ownCgroup()
	if err == nil {
		err = checkDivisible(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot limit the memory of workers: %w", err)
	}
	return nil
}

// checkDivisible returns the error that shows of those that divide would have.
func checkDivisible(dir string) error {
	if isDivided(dir) {
		return nil
	}
	if err := hasMemory(dir); err != nil {
		return err
	}
	for _, name := range []string{".", "cgroup.procs", "cgroup.subtree_control"} {
		path := filepath.Join(dir, name)
		if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS); err != nil {
			return fmt.Errorf("%s: %w; %s", path, err, notDelegated)
		}
	}
	return nil
}

// isDivided: after an exec in place we are in our leaf already.
func isDivided(dir string) bool {
	return filepath.Base(dir) == ownLeaf && controls(filepath.Dir(dir), "cgroup.subtree_control")
}

func hasMemory(dir string) error {
	if controls(dir, "cgroup.controllers") {
		return nil
	}
	return fmt.Errorf("%s has no memory controller; %s", dir, notDelegated)
}

// notDelegated is what helps where a cgroup is not ours.
const notDelegated = "it needs a cgroup (version 2) of its own to divide: in a systemd unit Delegate=yes, " +
	"in a terminal systemd-run --user --scope -p Delegate=yes, in a container a writable /sys/fs/cgroup"

// ownCgroup returns the directory of the cgroup that we are in.
func ownCgroup() (dir string, err error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	membership, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	return findCgroup(string(mounts), string(membership))
}

// findCgroup is ownCgroup for the text of mountinfo (proc_pid_mountinfo(5)) and
// cgroup (cgroups(7)).
func findCgroup(mounts, membership string) (dir string, err error) {
	var path string
	for line := range strings.Lines(membership) {
		if rest, ok := strings.CutPrefix(line, "0::"); ok {
			path = strings.TrimSuffix(rest, "\n")
		}
	}
	for line := range strings.Lines(mounts) {
		mount, kind, _ := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		outside := path == "" || strings.HasPrefix(path, "/..") // of the namespace, or none
		if !strings.HasPrefix(kind, "cgroup2 ") || len(fields) < 5 || outside {
			continue
		}
		root, at := fields[3], fields[4]
		if below, err := filepath.Rel(root, path); err == nil && !strings.HasPrefix(below, "..") {
			return filepath.Join(at, below), nil
		}
	}
	return "", errors.New("no cgroup of version 2 is mounted; " + notDelegated)
}

// divide makes a cgroup ready for workers, and returns it.
func divide(dir string) (string, error) {
	if isDivided(dir) {
		return filepath.Dir(dir), nil
	}
	if err := hasMemory(dir); err != nil {
		return "", err
	}
	leaf := filepath.Join(dir, ownLeaf)
	if err := makeCgroup(leaf); err != nil {
		return "", fmt.Errorf("%w; %s", err, notDelegated)
	}
	if err := writeControl(leaf, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return "", errors.Join(fmt.Errorf("%w; %s", err, notDelegated), os.Remove(leaf))
	}
	err := writeControl(dir, "cgroup.subtree_control", "+memory")
	if errors.Is(err, syscall.EBUSY) {
		return "", fmt.Errorf("%s has other processes than stickyd: %w; %s", dir, err, notDelegated)
	}
	return dir, err
}

// controls reports whether file, a list of controllers, has memory in it.
func controls(dir, file string) bool {
	list, err := os.ReadFile(filepath.Join(dir, file))
	return err == nil && strings.Contains(" "+strings.TrimSpace(string(list))+" ", " memory ")
}

func makeCgroup(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// writeControl writes to a file that exists: the kernel makes them.
func writeControl(dir, file, text string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// A memoryGroup is one worker's cgroup.
type memoryGroup struct {
	of    *memoryLimit // nil: there is a limit no more
	dir   string
	bytes int64
	fd    *os.File // open until the process is in it
}

// join makes w's cgroup and has cmd's process born in it; nil without a limit.
func (m *memoryLimit) join(w *Worker, cmd *exec.Cmd) (g *memoryGroup, err error) {
	if m == nil {
		return nil, nil
	}
	g = &memoryGroup{of: m, bytes: m.bytes, dir: filepath.Join(m.dir, fmt.Sprintf("worker-%d-%d", w.Slot, w.terms.Incarnation))}
	err = makeCgroup(g.dir)
	if err == nil {
		err = writeControl(g.dir, "memory.max", strconv.FormatInt(m.bytes, 10))
	}
	if err == nil {
		// Half of a worker is worse than none: the kernel ends all of it.
		err = writeControl(g.dir, "memory.oom.group", "1")
	}
	if err == nil {
		g.fd, err = os.Open(g.dir)
	}
	if err != nil {
		g.remove()
		return nil, fmt.Errorf("cannot limit the memory of a worker: %w", err)
	}
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.fd.Fd())
	return g, nil
}

// A MemoryState is a worker's cgroup.
type MemoryState struct {
	Dir   string
	Bytes int64 // that it may use
}

func (g *memoryGroup) state() *MemoryState {
	if g == nil {
		return nil
	}
	return &MemoryState{g.dir, g.bytes}
}

func (s *MemoryState) group() *memoryGroup {
	if s == nil {
		return nil
	}
	return &memoryGroup{dir: s.Dir, bytes: s.Bytes}
}

// resume makes it one of m's, which is nil if there is a limit no more.
func (g *memoryGroup) resume(m *memoryLimit) {
	if g != nil {
		g.of = m
	}
}

// started says that the process is in it.
func (g *memoryGroup) started() {
	if g != nil {
		g.fd.Close()
	}
}

// end returns what to add to the cause of the worker's death, which is nothing
// unless the kernel killed it for that, and removes the cgroup as soon as
// nothing that the worker has left runs in it any more.
func (g *memoryGroup) end() (cause string) {
	if g == nil {
		return ""
	}
	events, _ := os.ReadFile(filepath.Join(g.dir, "memory.events"))
	if oomKills(string(events)) > 0 {
		cause = fmt.Sprintf(", out of memory: it may use %d MiB", g.bytes>>20)
	}
	if g.of != nil {
		g.of.drop(g.dir)
	}
	return cause
}

// remove takes back join.
func (g *memoryGroup) remove() {
	if g != nil {
		g.fd.Close()
		os.Remove(g.dir)
	}
}

// drop removes a cgroup, and what could not be removed before. What was killed a
// moment ago may still be in one.
func (m *memoryLimit) drop(dir string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = slices.DeleteFunc(append(m.left, dir), func(dir string) bool {
		err := os.Remove(dir)
		return err == nil || errors.Is(err, fs.ErrNotExist)
	})
}

// oomKills returns how many processes the kernel has killed, by the text of
// memory.events.
func oomKills(events string) (n int) {
	for line := range strings.Lines(events) {
		if count, ok := strings.CutPrefix(line, "oom_kill "); ok {
			n, _ = strconv.Atoi(strings.TrimSpace(count))
		}
	}
	return n
}

// close removes the cgroups of workers that could not be removed before, as far
// as nothing is in them.
func (m *memoryLimit) close() {
	if m == nil {
		return
	}
	left, _ := filepath.Glob(filepath.Join(m.dir, "worker-*"))
	for _, dir := range left {
		os.Remove(dir)
	}
}
