package supervisor

import (
	"bytes"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/workerproto"
)

// lend gives this process the mark, for children to inherit, until the returned
// function is called; the zero mark takes the one away that we have ourselves
// as some other stickyd's worker. Nobody else may start a child meanwhile. Where
// our own limit does not allow it children have the mark in their environment only.
func (m mark) lend() (back func()) {
	var own unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_LOCKS, nil, &own); err != nil {
		return func() {}
	}
	lent := own
	if lent.Cur = own.Max; m != (mark{}) {
		lent.Cur = min(m.limit(), own.Max)
	}
	unix.Prlimit(0, unix.RLIMIT_LOCKS, &lent, nil)
	return func() { unix.Prlimit(0, unix.RLIMIT_LOCKS, &own, nil) }
}

// markOf returns the mark of a process, zero if it has none or is gone.
func markOf(pid int) mark {
	dir := "/proc/" + strconv.Itoa(pid)
	limits, _ := os.ReadFile(dir + "/limits") // everybody may read it, unlike what prlimit(2) returns
	if m := markOfLimit(softLimit(limits, "Max file locks")); m != (mark{}) {
		return m
	}
	environ, _ := os.ReadFile(dir + "/environ")
	for kv := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(kv, []byte(workerproto.EnvInstance+"=")); ok {
			return markOfEnv(string(value))
		}
	}
	return mark{}
}

// softLimit returns a limit of those in the text of /proc/PID/limits
// (proc_pid_limits(5)); 0 if there is none.
func softLimit(limits []byte, name string) uint64 {
	_, rest, _ := bytes.Cut(limits, []byte(name))
	soft, _, _ := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" "))
	n, _ := strconv.ParseUint(string(soft), 10, 64) // unlimited is no number
	return n
}
