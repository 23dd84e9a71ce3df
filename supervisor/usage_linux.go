package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ is 100 on every
// architecture that Go runs on (proc_pid_stat(5)).
const clockTick = 10 * time.Millisecond

// ProcessUsage returns how much memory a process has resident, in bytes, and
// how much CPU time it has used; ok is false if there is no such process. What
// it has started is not in it.
func ProcessUsage(pid int) (resident int64, cpu time.Duration, ok bool) {
	fields := processStat(pid)
	const utime, stime, rss = 11, 12, 21
	if len(fields) <= rss {
		return 0, 0, false
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(string(fields[i]), 10, 64)
		return n
	}
	return number(rss) * int64(os.Getpagesize()), time.Duration(number(utime)+number(stime)) * clockTick, true
}

// descends reports whether a process was started by another one, or by one that that
// has started, as a launcher's shell.
func descends(pid, from int) bool {
	for range 8 {
		fields := processStat(pid)
		if len(fields) < 2 {
			return false
		}
		if pid, _ = strconv.Atoi(string(fields[1])); pid == from {
			return true
		}
	}
	return false
}

// processStat returns the fields of /proc/PID/stat from the third on, which is
// the process's state; none if there is no such process.
func processStat(pid int) [][]byte {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name may hold anything
}
