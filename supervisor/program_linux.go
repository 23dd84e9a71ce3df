package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/stickyd/stickyd/fdpass/procnet"
)

// describe returns what a process is, without where it listens.
func describe(pid int) program {
	cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	p := program{pid: pid}
	for arg := range bytes.SplitSeq(bytes.TrimRight(cmdline, "\x00"), []byte{0}) {
		if len(p.args) < 2 && len(cmdline) > 0 {
			p.args = append(p.args, string(arg))
		}
	}
	p.name = programName(p.args, string(bytes.TrimSpace(command)))
	return p
}

// programs returns what a worker consists of and where that listens, the worker's
// own process first. A socket that we have open as well is one that we gave it.
func (s *Supervisor) programs(w *Worker) (all []program) {
	ours, _ := procnet.Of(os.Getpid())
	family := s.family(w)
	slices.SortStableFunc(family, func(a, b proc) int { return own(w, b) - own(w, a) })
	for _, p := range family {
		one := describe(p.pid)
		one.listens = listensAt(p.pid, ours)
		all = append(all, one)
	}
	return all
}

// own is 1 for the process that w began with, 0 for others.
func own(w *Worker, p proc) int {
	if p.pid == w.PID {
		return 1
	}
	return 0
}

// listensAt returns the addresses of a process's listening sockets but for some.
func listensAt(pid int, not []uint64) (addrs []string) {
	sockets, _ := procnet.Of(pid)
	sockets = slices.DeleteFunc(sockets, func(inode uint64) bool { return slices.Contains(not, inode) })
	if len(sockets) == 0 {
		return nil
	}
	procnet.Each(fmt.Sprintf("/proc/%d/net", pid), func(s procnet.Socket) bool {
		if s.Listens && slices.Contains(sockets, s.Inode) {
			addrs = append(addrs, s.Addr())
		}
		return s.Listens || !s.At.IsValid()
	})
	slices.Sort(addrs)
	return slices.Compact(addrs) // on IPv4 and IPv6
}
