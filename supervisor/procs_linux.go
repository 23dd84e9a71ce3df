package supervisor

import (
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A proc is a process as /proc shows it. Two that have both number and start
// time in common are the same.
type proc struct {
	pid, parent, group int
	zombie             bool
	started            uint64 // clock ticks from the system's start to the process's
	mark               mark   // zero where nobody has looked
}

// procOf returns the process of that number; ok is false if there is none.
func procOf(pid int) (p proc, ok bool) {
	const state, parent, group, started = 0, 1, 2, 19 // proc_pid_stat(5), counted from its third field
	fields := processStat(pid)
	if len(fields) <= started {
		return proc{}, false
	}
	p.pid = pid
	p.parent, _ = strconv.Atoi(string(fields[parent]))
	p.group, _ = strconv.Atoi(string(fields[group]))
	p.started, _ = strconv.ParseUint(string(fields[started]), 10, 64)
	p.zombie = fields[state][0] == 'Z' || fields[state][0] == 'X'
	return p, true
}

// allProcs returns the processes that there are, without their marks.
func allProcs() (all []proc) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := procOf(pid); ok {
			all = append(all, p)
		}
	}
	return all
}

// signal sends p a signal, and nobody else who has got its number by now.
func (p proc) signal(sig unix.Signal) error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// If it is p that has the number still, it is p that was opened.
	if now, ok := procOf(p.pid); !ok || now.started != p.started {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// A procTable is what all processes were at one time, with their marks. Many may
// ask for it at the same time, and share the look at them.
type procTable struct {
	mu  sync.Mutex
	at  time.Time // when the look began
	all []proc
}

// now returns what a look saw that began after the call.
func (t *procTable) now() []proc {
	called := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at.Before(called) {
		t.at = time.Now()
		self, _ := procOf(os.Getpid())
		t.all = markedProcs(self.started)
	}
	return t.all
}

// markedProcs is allProcs with the marks of those that are not older than since,
// in the units of proc.started. This process, which lends itself marks, has none.
func markedProcs(since uint64) []proc {
	all := allProcs()
	for i := range all {
		if p := &all[i]; p.started >= since && !p.zombie && p.pid != os.Getpid() {
			p.mark = markOf(p.pid)
		}
	}
	return all
}

// withDescendants returns those of all that live and that belong says so of, or
// of an ancestor.
func withDescendants(all []proc, belong func(proc) bool) (found []proc) {
	in := make(map[int]bool)
	for more := true; more; {
		more = false
		for _, p := range all {
			if !in[p.pid] && (in[p.parent] || belong(p)) {
				in[p.pid], more = true, true
			}
		}
	}
	for _, p := range all {
		if in[p.pid] && !p.zombie {
			found = append(found, p)
		}
	}
	return found
}

// family returns the processes of a worker that live: its own, its group's,
// those with its mark, and the descendants of all these. Those that are beyond us, as
// root's are where we are not, are left out.
func (s *Supervisor) family(w *Worker) []proc {
	m := s.markOf(w)
	all := withDescendants(s.procs.now(), func(p proc) bool {
		return p.mark == m || p.group == w.PID && !w.process.isReaped()
	})
	return slices.DeleteFunc(all, func(p proc) bool { return unix.Kill(p.pid, 0) == unix.EPERM })
}

// strays returns the processes of the ward's workers that live and are in none of
// its groups.
func (w *ward) strays() []proc {
	all := withDescendants(markedProcs(0), func(p proc) bool {
		return w.instance != 0 && p.mark.instance == w.instance || w.groups[p.group]
	})
	return slices.DeleteFunc(all, func(p proc) bool { return w.groups[p.group] })
}
